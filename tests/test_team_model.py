"""Invariant 3 and the line: whatever a team does, in any order, is answered as a page of it says.

The page is `team_model.py`, plain dictionaries where everything is found by trying.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from gpuledger.ledger.creation import create
from gpuledger.ledger.event import Draft
from gpuledger.ledger.sqlite_log import SqliteLog
from gpuledger.replay.store_schema import STORES
from team_machine import Team

PARTS = 8
EXAMPLES = 20_000
ON_FILES = 800


def run(machine: type[Team], chosen: int, examples: int) -> None:
    """Run so many examples, drawn by a seed."""
    run_state_machine_as_test(
        seed(chosen)(type("Team", (machine,), {})),
        settings=settings(
            max_examples=examples,
            stateful_step_count=20,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.parametrize("part", range(PARTS))
def test_whatever_a_team_does(part: int, full: bool, rng_seed: int) -> None:
    """Grants, refusals, the line, leases, limits, ends: each as the model has it, at every step."""
    run(Team, rng_seed * PARTS + part, EXAMPLES // PARTS if full else 12)


def test_the_same_on_files(full: bool, rng_seed: int, tmp_path: Path) -> None:
    """A file that each of them has opened for himself makes no difference."""

    class OnFile(Team):
        made = 0

        def log_from(self, first: Draft) -> SqliteLog:
            OnFile.made += 1
            self.path = str(tmp_path / f"{OnFile.made}.db")
            create(self.path, first, store_migrations=STORES)
            return self.opened()

        def opened(self) -> SqliteLog:
            log = SqliteLog(self.path, clock=lambda: self.now * 1_000_000)
            self.handles.append(log)
            return log

    run(OnFile, rng_seed, ON_FILES if full else 10)
