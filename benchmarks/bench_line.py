"""Leases, limits and a line in place: what a grant with its release costs beside a bare insert."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

import gpuledger
import sample_ledgers as ledgers
from figure import Compare, Goal
from floors import BareInserts
from gpuledger import Limits, Pool
from gpuledger.handle import Ledger
from gpuledger.replay import request as requests
from gpuledger.replay.actor import Actor
from gpuledger.replay.allocator import Allocator
from gpuledger.replay.facts import Asked, Cap, Placed

BATCH = 27
HOUR_S = 3_600
LINE = 100
CAPS = Cap(gpus=64, cpus=512, gpu_hours=1_000_000, lease=48 * HOUR_S)
CASES = ("plain", "leases and limits", "100 wait for a full server", "100 wait for all servers")


def pool(case: str) -> Pool:
    """Five servers of eight GPUs, limited in all scopes where the case says so."""
    made = ledgers.pool(5)
    if case == "plain":
        return made
    return Pool(made.servers, Limits(task=CAPS, user=CAPS, project=CAPS))


def prepared(path: Path, case: str, small: bool) -> Ledger:
    """A ledger with what the case has in place: a server held on a lease, and who waits for it."""
    gpuledger.init(str(path), pool(case))
    ledger = gpuledger.open(str(path))
    if case.startswith("100"):
        full = (Placed("gpu-server-0"),)
        ledger.allocate("holds", 8, 8, on=full, lease=40 * HOUR_S)
        asked = (8, 1, full) if "full" in case else (40, 5, ())
        allocator = Allocator(ledger.log)
        for at in range(3 if small else LINE):
            wanted = Asked(f"waits-{at}", asked[0], 5, asked[1], lease=HOUR_S)
            allocator.join(requests.allocate(wanted, asked[2]), Actor(f"user-{at}"))
    return ledger


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[BareInserts]:
    with ledgers.empty(tmp_path / "like.db") as ledger:
        ledger.allocate("task-1", 1, 4)
        (*_, granted) = ledger.log.read(0)
    inserts = BareInserts(tmp_path / "bare.db", granted.data)
    yield inserts
    inserts.close()


@pytest.mark.parametrize("case", CASES)
def test_a_grant_and_its_release(
    case: str, tmp_path: Path, small: bool, bare: BareInserts, compare: Compare
) -> None:
    """Grants and their releases, each a turn of its own, beside as many bare inserts."""
    batch, numbers = (3 if small else BATCH), count()
    lease = None if case == "plain" else HOUR_S
    project = None if case == "plain" else "vision"
    with prepared(tmp_path / "loaded.db", case, small) as ledger:

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
