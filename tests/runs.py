"""`gpuledger run` on a pool of which this machine is a server, and what becomes of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from conftest import RunCli
from console import Console
from gpuledger.cli.actor import host_name

HOST = host_name() or ""
GPUS = 4
POOL = f"""
[[server]]
name = "{HOST}"
gpus = {GPUS}
cpus = 32

[[server]]
name = "elsewhere"
gpus = {GPUS}
cpus = 32
"""


class Hold(NamedTuple):
    """A running allocation: its id, task, GPUs of this machine."""

    id: int
    task: str
    gpus: tuple[int, ...]


class Host(Console):
    """A console on the ledger of a pool of this machine and another."""

    def __init__(
        self, run: RunCli, ledger: Path, command: Sequence[str], environ: Mapping[str, str]
    ) -> None:
        super().__init__(run, ledger)
        self.command = command
        self.whole_environ = {**environ, **self.environ}
        pool = ledger.with_name("pool.toml")
        pool.write_text(POOL, encoding="utf-8")
        self.says(f"init --pool {pool}")

    def words(self, options: str, *command: str) -> list[str]:
        """A command line of `run`."""
        return [*self.command, "run", *options.split(), "--", *command]

    def ran(self, options: str, *command: str, **more: str) -> subprocess.CompletedProcess[bytes]:
        """A command that was run to its end, with nothing on its input."""
        return subprocess.run(
            self.words(options, *command),
            env={**self.whole_environ, **more},
            cwd=self.ledger.parent,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=120,
            check=False,
        )

    @contextmanager
    def running(
        self, options: str, *command: str, before: Sequence[str] = ()
    ) -> Iterator[subprocess.Popen[str]]:
        """A command that runs; killed with all that it started where a test leaves it."""
        with subprocess.Popen(
            [*before, *self.words(options, *command)],
            env=self.whole_environ,
            cwd=self.ledger.parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                yield process
            finally:
                for number in [process.pid, *children(process.pid)]:
                    kill(number)

    def held(self) -> list[Hold]:
        """What runs, by id, as a reader finds it."""
        with self.acting() as ledger:
            return [
                Hold(piece.id, piece.task, piece.servers[0].gpus)
                for piece in ledger.state().allocations()
            ]

    def why(self) -> dict[int, str]:
        """Why allocations have ended, by id."""
        with self.acting() as ledger:
            found = ledger.log.read(0)
            told = [event.data for event in found if event.kind == "allocation.released"]
        import json

        ended = [json.loads(data) for data in told]
        return {number: one["cause"] for one in ended for number in one["allocations"]}


def python(code: str) -> tuple[str, str, str]:
    """The words that run a program in Python."""
    return sys.executable, "-c", code


def children(pid: int) -> list[int]:
    """The children of a process, none where it is gone."""
    try:
        told = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    except OSError:
        return []
    return list(map(int, told.split()))


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    """Send a signal to a process that may be gone."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def line(process: subprocess.Popen[str]) -> str:
    """The next line that a process writes."""
    assert process.stdout is not None
    return process.stdout.readline().rstrip("\n")
