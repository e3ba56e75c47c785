"""Many processes at one ledger: what all of them do together beside what one does alone."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

import one_writer
import sample_ledgers as ledgers
from figure import RATE, Compare, Goal

PROCESSES = (8, 32, 128)
GOALS = {32: Goal("rate", 0.3)}
PAIRS = 640
"""Grants, each with its release, in one round: shared evenly by the processes."""


class Crew:
    """Writers at one ledger, started and waiting for the word."""

    def __init__(self, path: Path, count: int) -> None:
        self._writers = [
            subprocess.Popen(
                [sys.executable, one_writer.__file__, str(path), f"writer-{at}"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for at in range(count)
        ]
        self._hear("ready")

    def work(self, pairs: int) -> None:
        """So many grants and releases by all of them together."""
        for writer in self._writers:
            assert writer.stdin is not None
            writer.stdin.write(f"{pairs // len(self._writers)}\n")
            writer.stdin.flush()
        self._hear("done")

    def _hear(self, word: str) -> None:
        for writer in self._writers:
            assert writer.stdout is not None
            heard = writer.stdout.readline().strip()
            assert heard == word, f"a writer said {heard!r} and not {word!r}"

    def dismiss(self) -> None:
        """End all of them."""
        for writer in self._writers:
            writer.communicate(timeout=60)


@contextmanager
def crew(path: Path, count: int) -> Iterator[Crew]:
    """A new ledger of 16 servers, a GPU for each of the writers at least, and these writers."""
    ledgers.empty(path, servers=16).close()
    made = Crew(path, count)
    try:
        yield made
    finally:
        made.dismiss()


@pytest.mark.parametrize("processes", PROCESSES)
def test_many_writers(processes: int, tmp_path: Path, small: bool, compare: Compare) -> None:
    """The rate of many processes in total beside the rate of one."""
    count = min(processes, 3) if small else processes
    pairs = 6 if small else PAIRS
    with ExitStack() as stack:
        many = stack.enter_context(crew(tmp_path / "many.db", count))
        one = stack.enter_context(crew(tmp_path / "one.db", 1))
        compare(
            f"grants and releases by {count} processes in total",
            lambda: lambda: many.work(pairs),
            lambda: lambda: one.work(pairs),
            against="one process",
            goal=GOALS.get(processes, RATE),
            units=(2 * pairs, 2 * pairs),
            rounds=12,
        )
