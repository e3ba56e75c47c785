"""Start-up is most of a command's time: what a command does not need it does not load."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Loaded = Callable[..., set[str]]

# Heavy, and needed at most on a terminal, by `init`, or by an option.
HEAVY = {"csv", "dateutil", "importlib.metadata", "rich", "sqlite_utils", "tabulate", "tomllib"}
REPORTS = {"gpuledger.replay.verification", "gpuledger.replay.usage", "gpuledger.replay.episode"}

# Runs one command as `python -m gpuledger` does, then tells on its last line what it loaded.
RUN_AND_TELL = """
import json, sys
from gpuledger.cli.entry import main
code = 0
try:
    main()
except SystemExit as end:
    code = end.code or 0
sys.stdout.flush()
print("\\n" + json.dumps([code, sorted(sys.modules)]))
"""


@pytest.fixture
def loaded(cli_env: dict[str, str], ledger_path: Path, tmp_path: Path) -> Loaded:
    def run(*args: str) -> set[str]:
        done = subprocess.run(
            [sys.executable, "-c", RUN_AND_TELL, "--ledger", str(ledger_path), *args],
            cwd=tmp_path,
            env=cli_env,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        said, _, told = done.stdout.rpartition("\n")[0].rpartition("\n")
        code, modules = json.loads(told)
        assert code == 0, said + done.stderr
        return set(modules)

    return run


@pytest.fixture
def started(loaded: Loaded) -> Loaded:
    loaded("init", "--servers", "2", "--gpus-per-server", "4", "--cpus-per-server", "32")
    loaded("allocate", "first", "1", "1")
    return loaded


def modules_after(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; import sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return set(done.stdout.split())


def test_the_front_door_is_light() -> None:
    """`import gpuledger` loads nothing but itself of this project."""
    modules = modules_after("import gpuledger")
    assert {name for name in modules if name.startswith("gpuledger")} == {"gpuledger"}
    assert not {"click", "filelock", "msgspec", "sqlite3"} & modules


def test_the_command_line_opens_light() -> None:
    """Before a command is chosen, nothing heavy, no lock and no database is loaded."""
    modules = modules_after("import gpuledger.cli.entry")
    assert not (HEAVY | {"filelock", "sqlite3"}) & modules


@pytest.mark.parametrize(
    "command", ["allocate second 1 1", "release first", "run --on gpu-server-0 -- true"]
)
def test_writing_loads_nothing_heavy(started: Loaded, command: str) -> None:
    """`allocate`, `run` and `release` load no rich, sqlite-utils or their like, nor a report."""
    assert not (HEAVY | REPORTS) & started(*command.split())


@pytest.mark.parametrize(
    "command",
    [
        "status",
        "status --json",
        "status --gpus",
        "list",
        "history",
        "pool show",
        "audit who gpu-server-0",
        "audit usage",
        "audit refusals",
        "audit verify",
    ],
)
def test_reading_takes_no_lock(started: Loaded, command: str) -> None:
    """What only reads never loads filelock, and nothing heavy when piped."""
    assert not (HEAVY | {"filelock"}) & started(*command.split())
