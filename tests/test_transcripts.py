"""Golden transcripts: sessions as people see them, word for word, each command among them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import json_shapes
from conftest import RunCli
from groups import GROUPS, every_command
from transcript import Ran, compared, names, replay, rewritten, steps, text_of

WITHOUT_JSON = {"export", "completion", "run"}
"""`export` is JSON by nature; what a shell is given to read is no console session."""


def command_of(words: list[str]) -> str:
    """The command that some words call, as its schema is named: `status`, `audit-who` …"""
    rest = words[2:] if words[:1] == ["--ledger"] else words
    name = rest[0].removeprefix("--") if rest[0] in ("--status", "--reset") else rest[0]
    return f"{name}-{rest[1]}" if name in GROUPS else name


def check_document(one: Ran) -> None:
    """What a command prints with `--json`, and each line of `export`, keeps to its schema."""
    name = command_of(one.words) if one.words else ""
    if "--json" in one.words and one.stdout:
        failed = one.code != 0 and name not in ("audit-verify", "audit-check")
        json_shapes.check("error" if failed else name, json.loads(one.stdout))
    elif name == "export" and one.code == 0:
        for line in one.stdout.splitlines():
            json_shapes.check("export", json.loads(line))


@pytest.mark.parametrize("name", names())
def test_a_session_says_what_its_transcript_says(
    run_cli: RunCli, tmp_path: Path, ledger_path: Path, name: str
) -> None:
    """Every command of a session says, and ends with, what was written down for it."""
    for one in replay(text_of(name), run_cli, tmp_path, ledger_path):
        said = (one.step.command, compared(one.lines))
        assert said == (one.step.command, compared(one.step.expected))
        check_document(one)


def commands(*, documents: bool) -> set[str]:
    """The commands that the transcripts call, or those whose document is in them."""
    lines = [step.command for name in names() for step in steps(text_of(name))]
    called = [line.split()[1:] for line in lines if line.startswith("gpuledger ")]
    return {command_of(words) for words in called if "--json" in words or not documents}


def test_every_command_is_in_a_transcript() -> None:
    """No command is without a session that shows it, none without one that shows its document."""
    every = every_command()
    assert every - commands(documents=False) == {"completion"}
    assert every - commands(documents=True) == WITHOUT_JSON


@pytest.mark.parametrize("name", names())
def test_nothing_of_one_machine_is_in_a_transcript(name: str) -> None:
    """No hash, no id, no path of a folder for tests: what differs stands as a placeholder."""
    text = text_of(name)
    assert re.findall(r"\b[0-9a-f]{32,}\b|/tmp/|/home/|/root", text) == []


def test_a_session_is_written_anew_as_it_is_read(
    run_cli: RunCli, tmp_path: Path, ledger_path: Path
) -> None:
    """Remarks, files and exit codes survive a rewriting, and what is said is put in place."""
    session = (
        "# First.\n$ gpuledger release x\nwhatever\n\n# A file.\n"
        "$ cat > pool.toml <<END\n> [[server]]\n> END\n$ gpuledger pool check nowhere.toml\n"
    )
    text = rewritten(session, replay(session, run_cli, tmp_path, ledger_path))
    first, second = text.split("\n\n# A file.\n")
    assert first.startswith(
        "# First.\n$ gpuledger release x\ngpuledger: there is no ledger at <led"
    )
    assert first.endswith("\n[exit 78]")
    assert second.startswith("$ cat > pool.toml <<END\n> [[server]]\n> END\n$ gpuledger pool ch")
    assert [step.given for step in steps(text)] == [step.given for step in steps(session)]
