"""A mirror: a grant that is mirrored beside one that is not, and how fast one is caught up.

Ledger and mirror lie on the same disk, the worst that is allowed: two syncs wait for one another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import rmtree

import pytest

import sample_ledgers as ledgers
from bench_append import Client
from figure import Compare, Goal
from gpuledger.handle import Ledger


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[Ledger]:
    with ledgers.empty(tmp_path / "plain.db") as ledger:
        yield ledger


@pytest.mark.parametrize("mirrors", [1, 2])
def test_mirrored_grant(
    plain: Ledger, tmp_path: Path, batch: int, mirrors: int, compare: Compare
) -> None:
    """A grant that is in the mirrors before it is answered."""
    with ledgers.empty(tmp_path / "mirrored.db") as ledger:
        for number in range(mirrors):
            disk = tmp_path / f"disk-{number}"
            disk.mkdir()
            ledger.mirror_add(str(disk))
        compare(
            f"grant with {mirrors} mirror{'s' if mirrors > 1 else ''} on the same disk",
            Client(ledger).grants(batch),
            Client(plain).grants(batch),
            against="grant without a mirror",
            goal=Goal("time", 1.0 + mirrors),
            units=(batch, batch),
            rounds=40,
        )


def test_reading_beside_a_mirror(
    plain: Ledger, tmp_path: Path, small: bool, compare: Compare
) -> None:
    """What a reader does more where there is a mirror: look whether it is whole."""
    del small
    with ledgers.empty(tmp_path / "mirrored.db") as ledger:
        (tmp_path / "disk").mkdir()
        ledger.mirror_add(str(tmp_path / "disk"))
        compare(
            "state beside a mirror",
            lambda: ledger.state,
            lambda: plain.state,
            against="state without one",
            goal=Goal("time", None),
            rounds=60,
        )


def test_catching_up(tmp_path: Path, small: bool, compare: Compare) -> None:
    """A mirror that is filled from nothing, beside the export of the same events."""
    events = 400 if small else 20_000
    disk = tmp_path / "disk"
    with ledgers.aged(tmp_path / "aged.db", events) as ledger:

        def make_ready() -> Callable[[], object]:
            rmtree(disk, ignore_errors=True)
            disk.mkdir()
            return lambda: ledger.mirror_add(str(disk))

        compare(
            f"mirror of {events:,} events, caught up",
            make_ready,
            lambda: lambda: sum(map(len, ledger.export())),
            against="export of the same, not written",
            goal=Goal("time", None),
            units=(events, events),
            rounds=5,
        )
