"""Completion: what the tab key offers in bash, zsh and fish."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from conftest import RunCli
from console import SMALL, Console
from gpuledger.cli.program import COMMANDS


@pytest.fixture
def console(run_cli: RunCli, ledger_path: Path) -> Console:
    made = Console(run_cli, ledger_path)
    made.says(SMALL)
    made.says("allocate train-1 1")
    made.says("allocate train-2 1")
    return made


def offered(run_cli: RunCli, console: Console, line: str) -> list[str]:
    """What bash would be offered at the end of a line."""
    words = shlex.split(line)
    at = len(words) if line.endswith(" ") else len(words) - 1
    asked = {
        "_GPULEDGER_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(at),
    }  # fmt: skip
    done = run_cli(env={**console.environ, **asked})
    assert (done.returncode, done.stderr) == (0, "")
    return [one.partition(",")[2] for one in done.stdout.splitlines() if one]


@pytest.mark.parametrize(
    ("line", "offers"),
    [
        ("gpuledger ", list(COMMANDS)),
        ("gpuledger re", ["release", "resume", "reset", "restore", "rebuild"]),
        ("gpuledger pool ", ["show", "template", "check", "diff", "apply"]),
        ("gpuledger release train", ["train-1", "train-2"]),
        ("gpuledger release @", ["@2", "@3"]),
        ("gpuledger status gpu", ["gpu-server-0", "gpu-server-1"]),
        ("gpuledger drain gpu-server-1", ["gpu-server-1"]),
        ("gpuledger allocate t 1 --on gpu-server-0", ["gpu-server-0"]),
        ("gpuledger allocate t 1 --se", ["--servers"]),
        ("gpuledger allocate t 1 --export=", ["torchrun", "mpi", "slurm"]),
        ("gpuledger --ledger /nowhere release t", []),
        ("gpuledger completion f", ["fish"]),
    ],
)
def test_what_is_offered(run_cli: RunCli, console: Console, line: str, offers: list[str]) -> None:
    """Commands, options, one's tasks, ids and servers; not a word where no ledger is readable."""
    assert offered(run_cli, console, line) == offers


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_its_lines(console: Console, shell: str) -> None:
    """`completion SHELL` prints what that shell evaluates."""
    script = console.says(f"completion {shell}")
    assert f"_GPULEDGER_COMPLETE={shell}_complete" in script
    assert console.document(f"completion {shell}") == {
        "shell": shell, "script": script.rstrip("\n"),
    }  # fmt: skip


@pytest.mark.needs("bash")
def test_bash_completes_with_them(
    console: Console, cli_env: Mapping[str, str], tmp_path: Path
) -> None:
    """Bash, having evaluated the lines, asks the program and has its answers."""
    import sys

    program = tmp_path / "bin" / "gpuledger"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m gpuledger "$@"\n')
    program.chmod(0o755)
    script = (
        'eval "$(gpuledger completion bash)"; complete -p gpuledger;'
        " COMP_WORDS=(gpuledger release tr); COMP_CWORD=2;"
        " _gpuledger_completion gpuledger tr release; echo ${COMPREPLY[@]}"
    )
    done = subprocess.run(
        [shutil.which("bash") or "bash", "-c", script],
        env={**cli_env, **console.environ, "PATH": f"{program.parent}:{cli_env['PATH']}"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    complete, answers = done.stdout.splitlines()
    assert complete.endswith("gpuledger")
    assert answers == "train-1 train-2"
