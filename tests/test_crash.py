"""Invariant 6: what was acknowledged is there, whenever the program is killed.

`test_crash_points.py` hits each single call of the kernel; here moments are random, and many.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest

import forging
from conftest import RunCli
from gpuledger.cli.timetext import utc_text
from gpuledger.handle import Ledger
from prefixes import Booked
from small_pools import ledger, pool

Record = Callable[[str, object], None]
LONGEST_S = 0.6
"""A loop is killed at a random moment of its first so many seconds: two to six commands."""

FINE = (0, 3, 4, 124)
"""What a command may end with: done, no longer there, no room, waited in vain."""


class Worker:
    """Runs commands on one ledger and remembers which of them were acknowledged."""

    def __init__(self, path: Path, command: Sequence[str], env: dict[str, str], seed: str) -> None:
        self.path, self.command, self.env = path, command, env
        self.random = Random(seed)
        self.granted: dict[int, str] = {}
        self.ended: set[int] = set()
        self.until: dict[int, str] = {}
        self.tried = 0

    def words(self) -> list[str]:
        """The next command: an allocate, or a release or extension of what may still run.

        Now and then it is one that waits in line, for all that there is.
        """
        self.tried += 1
        running = sorted(self.granted.keys() - self.ended)
        leased = sorted(self.until.keys() & set(running))
        drawn = self.random.random()
        if leased and drawn < 0.15:
            return ["extend", f"@{self.random.choice(leased)}", "--by", "1h"]
        if running and drawn < 0.5:
            chosen = running if len(running) > 3 else [self.random.choice(running)]
            return ["release", "--if-held", *(f"@{number}" for number in chosen)]
        words = ["allocate", f"t{self.tried}", str(self.random.randint(1, 2))]
        if drawn > 0.95:
            return ["allocate", f"t{self.tried}", "16", "--servers", "2", "--wait-for", "1s"]
        return [*words, "--lease", "8h"] if drawn > 0.7 else words

    def start(self, words: list[str], *before: str) -> subprocess.Popen[str]:
        """Start a command, below the program `before` where one is given."""
        return subprocess.Popen(
            [*before, *self.command, "--ledger", str(self.path), *words, "--json"],
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def heard(self, words: list[str], said: str) -> None:
        """Take an answer for what it says, were it the last words of a killed program."""
        with contextlib.suppress(json.JSONDecodeError):
            answer: dict[str, Any] = json.loads(said)
            if "allocation" in answer:
                self.granted[answer["allocation"]] = words[1]
                if answer["until"] is not None:
                    self.until[answer["allocation"]] = answer["until"]
            self.ended |= {one["allocation"] for one in answer.get("released", ())}
            for one in answer.get("extended", ()):
                self.until[one["allocation"]] = one["until"]

    def killed_after(self, seconds: float) -> bool:
        """Run commands one after the other until the time is up, and kill the one that runs."""
        end = time.monotonic() + seconds
        while True:
            words = self.words()
            with self.start(words) as program:
                try:
                    said, _ = program.communicate(timeout=max(0.0, end - time.monotonic()))
                except subprocess.TimeoutExpired:
                    program.kill()
                    said, _ = program.communicate()
                self.heard(words, said)
                if program.returncode < 0:
                    return True
                assert program.returncode in FINE, said

    def check(self) -> None:
        """What was acknowledged is there, nothing contradicts itself, nobody holds the lock."""
        rows = forging.rows(self.path)
        booked = Booked().follow(rows)
        there = {row.seq: json.loads(row.data) for row in rows}
        for number, task in self.granted.items():
            assert there[number]["task"] == task
        assert self.ended.isdisjoint(booked.owned)
        with Ledger(str(self.path), lock_timeout_s=0.0) as book:
            assert book.verify().problems == ()
            running = {piece.id: piece for piece in book.state().allocations()}
            assert set(booked.owned) == set(running)
            for number in self.until.keys() & running.keys():
                until = running[number].until
                assert until is not None
                assert utc_text(until) >= self.until[number]
            with book.log.turn(0.0):
                pass

    def goes_on(self, run_cli: RunCli) -> None:
        """The next command works at once."""
        words = self.words()
        answer = run_cli("--ledger", self.path, *words, "--lock-timeout", "0", "--json")
        assert answer.returncode in FINE, answer
        self.heard(words, answer.stdout)


@pytest.fixture
def worker(
    ledger_path: Path, cli_command: Sequence[str], cli_env: dict[str, str], rng_seed: int
) -> Worker:
    ledger(ledger_path, pool(2, 8, 64)).close()
    return Worker(ledger_path, cli_command, cli_env, str(rng_seed))


def test_killed_at_random_moments(
    worker: Worker, full: bool, run_cli: RunCli, record_property: Record
) -> None:
    """Whenever a loop of commands is killed, what it acknowledged is there and others go on."""
    kills = 300 if full else 20
    for _ in range(kills):
        assert worker.killed_after(worker.random.uniform(0.02, LONGEST_S))
        worker.check()
        worker.goes_on(run_cli)
    record_property("kills", kills)
    record_property("acknowledged grants and ends", (len(worker.granted), len(worker.ended)))
    record_property("events", len(forging.rows(worker.path)))
