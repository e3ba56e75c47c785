"""Ledgers with holes: rows taken out by plain sqlite3, and an event at the head that names them.

It is what `salvage` leaves, made without it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

import forging
from forging import Raw
from gpuledger.ledger.canonical import encode
from gpuledger.ledger.chain import seal
from gpuledger.ledger.event import Draft, Event, Head
from gpuledger.replay.catalogue import GapRecorded
from gpuledger.replay.facts import By, Gap
from gpuledger.replay.hole import holes_in
from gpuledger.replay.state import State

ROOT_DID = By("root", 0)
CACHES = ("snapshot", "pieces", "holdings", "capacity")


def gaps_in(left: Sequence[Event], ledger: str | None = None) -> GapRecorded:
    """What is missing among the events that are left, between them and before the first."""
    seqs = [(0, bytes(32)), *((one.seq, one.hash) for one in left)]
    gaps = tuple(
        Gap(before + 1, event.seq - 1, link.hex(), event.prev.hex())
        for (before, link), event in zip(seqs, left, strict=False)
        if event.seq > before + 1
    )
    return GapRecorded(ROOT_DID, gaps, ledger=ledger, sources=("a damaged file",))


def without(events: Sequence[Event], lost: Iterable[int], ledger: str | None = None) -> list[Event]:
    """The events less those that are lost, and the one that says so behind them."""
    gone = {*lost}
    left = [event for event in events if event.seq not in gone]
    return [*left, told(left, gaps_in(left, ledger))]


def told(left: Sequence[Event], record: GapRecorded) -> Event:
    """The event of a record, behind those that are left."""
    last = left[-1]
    draft = Draft(last.at, record.KIND, 1, "uid:0", None, encode(record))
    return seal(draft, Head(last.seq, last.hash, last.at))


def folded(events: Sequence[Event]) -> State:
    """The state of events with named holes; none of them is void."""
    state = State(holes=lambda after: holes_in(one for one in events if one.seq > after))
    for event in events:
        assert state.apply(event).void is None, event
    return state


def punch(path: Path, lost: Iterable[int], ledger: str | None = None) -> None:
    """Take events out of a ledger file for good, and let its head name the gaps."""
    gone = {*lost}
    left = [row for row in forging.rows(path) if row.seq not in gone]
    events = [Event(*row._replace(data=row.data.encode())) for row in left]  # type: ignore[arg-type]
    last = told(events, gaps_in(events, ledger))
    with forging.unguarded(path) as connection:
        connection.executemany("DELETE FROM events WHERE seq = ?", [(seq,) for seq in gone])
        forging.insert(
            connection, Raw(*msgspec.structs.astuple(last))._replace(data=last.data.decode())
        )
        empty_caches(connection)
    Path(f"{path}.lock").unlink(missing_ok=True)


def empty_caches(connection: sqlite3.Connection) -> None:
    """Leave nothing but the log."""
    for table in CACHES:
        connection.execute(f"DELETE FROM {table}")


def stretches(seqs: Iterable[int]) -> list[tuple[int, int]]:
    """Numbers as stretches of neighbours."""
    ordered = sorted(seqs)
    cuts = [at + 1 for at, (one, two) in enumerate(pairwise(ordered)) if two > one + 1]
    parts = [ordered[a:b] for a, b in pairwise([0, *cuts, len(ordered)])]
    return [(part[0], part[-1]) for part in parts if part]


def plain(event: Event) -> dict[str, Any]:
    """What an event says, as plain JSON values."""
    return msgspec.json.decode(event.data)  # type: ignore[no-any-return]
