"""Imported events tell a past: none of them lies in the future, whoever imports."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from gpuledger.handle import Ledger, init
from gpuledger.replay.actor import Actor
from gpuledger.replay.facts import AdminGroup, Admins, Pool
from gpuledger.replay.importing import TOO_LATE, Source
from gpuledger.replay.trace import TraceRow
from small_pools import ADA, ROOT, pool

BEGINS = 1_577_836_800_000_000
NOW = BEGINS + 3_600_000_000


def source(*rows: TraceRow) -> Source:
    """A trace of these rows."""
    return Source("jobs.csv", "0" * 64, rows)


@pytest.fixture
def past(ledger_path: Path) -> Ledger:
    """A ledger whose clock says an hour after its pool began."""
    init(ledger_path, pool(), at=BEGINS, actor=ROOT)
    return Ledger(str(ledger_path), actor=ROOT, clock_us=lambda: NOW)


def test_what_ends_in_the_future_is_still_held(past: Ledger) -> None:
    """A job whose end is yet to come is granted and runs; no event's time leads the clock."""
    told = past.import_trace(source(TraceRow(2, "a", "u1", BEGINS + 5, 1, end=NOW + 1)))
    assert (told.granted, told.released, told.still_held) == (1, 0, 1)
    assert [one.task for one in past.state().allocations()] == ["a"]
    assert past.head().at <= NOW


def test_what_ends_now_has_ended(past: Ledger) -> None:
    """A job that ends at this very instant is released at it."""
    told = past.import_trace(source(TraceRow(2, "a", "u1", BEGINS + 5, 1, end=NOW)))
    assert (told.released, past.head().at) == (1, NOW)


def test_what_starts_in_the_future_is_no_past(past: Ledger) -> None:
    """A job whose start is yet to come is counted as unusable, with its line."""
    told = past.import_trace(source(TraceRow(7, "a", "u1", NOW + 1, 1, end=NOW + 2)))
    assert (told.granted, [(row.line, row.why) for row in told.unusable]) == (0, [(7, TOO_LATE)])
    assert past.head().at <= NOW


def test_an_admin_by_group_imports(ledger_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is an admin by a group may act for the users of the rows, as any admin may."""
    admins = Admins(groups=(AdminGroup("lab", 5000),))
    init(ledger_path, Pool(pool().servers, admins=admins), at=BEGINS, actor=ROOT)

    def in_lab(actor: Actor) -> Actor:
        return msgspec.structs.replace(actor, gids=(5000,))

    monkeypatch.setattr("gpuledger.cli.actor.with_groups", in_lab)
    with Ledger(str(ledger_path), actor=ADA) as ledger:
        told = ledger.import_trace(source(TraceRow(2, "a", "u1", BEGINS + 5, 1, end=BEGINS + 9)))
    assert (told.granted, told.refused) == (1, ())
