"""What the README shows is what the program prints."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import click
import pytest


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def readme(root: Path) -> str:
    return (root / "README.md").read_text(encoding="utf-8")


def test_the_status_table_is_a_real_one(
    readme: str, run_cli: Callable[..., subprocess.CompletedProcess[str]], ledger_path: Path
) -> None:
    """The console block is a session word for word, on the pool that the first command makes."""
    ledger = {"GPULEDGER": str(ledger_path)}
    (made,) = re.findall(r"^gpuledger (init .*?) &&$", readme, re.MULTILINE)
    assert run_cli(*shlex.split(made), env=ledger).returncode == 0
    (session,) = blocks(readme, "console")
    for part in session.split("$ gpuledger ")[1:]:
        words, _, shown = part.partition("\n")
        done = run_cli(*shlex.split(words), env=ledger)
        assert done.stdout == shown


def test_every_command_shown_exists(readme: str) -> None:
    """Each `gpuledger …` in a shell block names a command and options that the program has."""
    from gpuledger.cli.program import program

    shown = re.findall(r"gpuledger ((?:[a-z]+)(?: [^#\n&)|>]*)?)", "\n".join(blocks(readme, "sh")))
    assert len(shown) >= 12
    for line in shown:
        context = click.Context(program())
        command: click.Command = program()
        words = shlex.split(line.partition(" -- ")[0])
        while isinstance(command, click.Group):
            name = words.pop(0)
            found = command.get_command(context, name)
            assert found is not None, line
            command = found
        known = {option for param in command.params for option in param.opts}
        asked = {word for word in words if word.startswith("--")}
        assert asked <= known, line
