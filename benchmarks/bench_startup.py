"""Start-up: whole commands beside a Python that only imports what any such command must.

Both run in the same ordinary installation, everything compiled, PYTHONDONTWRITEBYTECODE unset.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

import installed
import sample_ledgers as ledgers
from figure import TIME, Compare, Goal, Side
from floors import BARE_READER, BARE_WRITER
from gpuledger.handle import Ledger
from installed import Installed

PASSED_ON = ("PATH", "PATHEXT", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR")
ROUNDS = 60
LADEN = "100 wait for all servers"
GOALS = {"allocate": Goal("time", 1.6)}
READING = {
    "status": ("status",),
    "status --json": ("status", "--json"),
    "list": ("list",),
    "history": ("history",),
    "audit who": ("audit", "who", "gpu-server-0:0"),
}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory, small: bool) -> Installed:
    if small:
        return installed.as_it_is()
    return installed.in_a_venv(tmp_path_factory.mktemp("installed"))


class Shell:
    """Runs whole commands on one ledger, each in an environment with nothing of a person's own."""

    def __init__(self, program: Installed, ledger: Ledger, home: Path) -> None:
        self.program = program
        self.ledger = ledger
        kept = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        self._environ = {
            **kept, "HOME": str(home), "GPULEDGER": ledger.path, "LANG": "C.UTF-8", "TZ": "UTC"
        }  # fmt: skip
        self.task = "none-yet"
        self._numbers = count()
        self._home = home

    def run(self, *command: str) -> None:
        """Run a program to its end, which must be good."""
        done = subprocess.run(
            command, cwd=self._home, env=self._environ, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def gpuledger(self, *args: str) -> Side:
        """A side that runs one command of ours."""
        return lambda: lambda: self.run(*self.program.command, *args)

    def allocate(self, *more: str) -> Callable[[], object]:
        """Ready to run `allocate` with a new name, everything given back."""
        self.ledger.release(self.task, if_held=True)
        self.task = task = f"task-{next(self._numbers)}"
        return lambda: self.run(*self.program.command, "allocate", task, "1", "4", *more)

    def release(self) -> Callable[[], object]:
        """Ready to run `release` of a task that is held."""
        task = f"task-{next(self._numbers)}"
        self.ledger.allocate(task, 1, 4)
        return lambda: self.run(*self.program.command, "release", task)

    def python(self, code: str) -> Side:
        """A side that runs a line of Python in the same environment."""
        return lambda: lambda: self.run(str(self.program.python), "-c", code)


@pytest.fixture
def shell(program: Installed, tmp_path: Path) -> Iterator[Shell]:
    with ledgers.empty(tmp_path / "team.db") as ledger:
        made = Shell(program, ledger, tmp_path)
        made.allocate()()  # whatever was not compiled or cached is now
        made.python(BARE_WRITER)()()
        yield made


@pytest.mark.parametrize("command", ["allocate", "release"])
def test_a_writing_command(command: str, shell: Shell, compare: Compare) -> None:
    """A durable write as a whole process beside the bare imports."""
    compare(
        f"{command}, whole process",
        getattr(shell, command),
        shell.python(BARE_WRITER),
        against=f'python -c "{BARE_WRITER}"',
        goal=GOALS.get(command, TIME),
        rounds=ROUNDS,
    )


def test_allocate_behind_a_line(
    program: Installed, shell: Shell, tmp_path: Path, small: bool, compare: Compare
) -> None:
    """`allocate` with leases, limits and 100 in line beside the same with nothing in place."""
    with ledgers.laden(tmp_path / "laden.db", LADEN, 3 if small else 100) as ledger:
        laden, leased = Shell(program, ledger, tmp_path), ("--lease", "1h", "--project", "vision")
        laden.allocate(*leased)()
        compare(
            f"allocate, whole process: {LADEN}",
            lambda: laden.allocate(*leased),
            shell.allocate,
            against="allocate with no limit, no lease and nobody in line",
            rounds=ROUNDS,
        )


@pytest.mark.parametrize("command", READING)
def test_a_reading_command(command: str, shell: Shell, compare: Compare) -> None:
    """A reading command as a whole process, piped, beside the bare imports without a lock."""
    for at in range(6):
        shell.ledger.allocate(f"running-{at}", 1 + at % 3)
    compare(
        f"{command}, whole process",
        shell.gpuledger(*READING[command]),
        shell.python(BARE_READER),
        against=f'python -c "{BARE_READER}"',
        rounds=ROUNDS // 2,
    )


def test_status_of_a_cluster(
    program: Installed, tmp_path: Path, small: bool, compare: Compare
) -> None:
    """`status` of 121 servers of which half is held, beside the same floor."""
    servers = 30 if small else 121
    with ledgers.half_held(tmp_path / "cluster.db", servers) as ledger:
        shell = Shell(program, ledger, tmp_path)
        compare(
            f"status at {servers} servers, whole process",
            shell.gpuledger("status"),
            shell.python(BARE_READER),
            against=f'python -c "{BARE_READER}"',
            rounds=ROUNDS // 2,
        )
