"""Leases, limits and a line in place: what a grant with its release costs beside a bare insert."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

import sample_ledgers as ledgers
from figure import Compare, Goal
from floors import BareInserts
from sample_ledgers import HOUR_S

CASES = (
    "plain",
    "leases and limits",
    "100 wait for a full server",
    "100 wait for all servers",
    "100 unlike wait for all servers",
)


@pytest.mark.parametrize("case", CASES)
def test_a_grant_and_its_release(
    case: str, tmp_path: Path, *, small: bool, batch: int, bare: BareInserts, compare: Compare
) -> None:
    """Grants and their releases, each a turn of its own, beside as many bare inserts."""
    numbers = count()
    lease = None if case == "plain" else HOUR_S
    project = None if case == "plain" else "vision"
    with ledgers.laden(tmp_path / "loaded.db", case, 3 if small else 100) as ledger:

        def work() -> None:
            tasks = [f"task-{next(numbers)}" for _ in range(batch)]
            for task in tasks:
                ledger.allocate(task, 1, 4, lease=lease, project=project)
            for task in tasks:
                ledger.release(task)

        def ours() -> Callable[[], object]:
            return work

        compare(
            f"grant and release: {case}",
            ours,
            lambda: lambda: bare.insert(2 * batch),
            against="bare INSERT + synced COMMIT, no lock",
            goal=Goal("rate", 0.5) if case != "plain" else Goal("rate"),
            units=(2 * batch, 2 * batch),
            rounds=40,
        )
