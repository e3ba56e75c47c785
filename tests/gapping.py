"""Ledgers with holes: rows taken out by plain sqlite3, and an event at the head that names them.

It is what `salvage` leaves, made without it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

import forging
from forging import Raw
from gpuledger.ledger.canonical import encode
from gpuledger.ledger.chain import head_of, seal
from gpuledger.ledger.event import Draft, Event, Head
from gpuledger.ledger.row import insert
from gpuledger.replay.catalogue import GapRecorded
from gpuledger.replay.facts import By, Gap
from gpuledger.replay.hole import holes_in
from gpuledger.replay.state import State
from memory_log import MemoryLog

ROOT_DID = By("root", 0)
CACHES = ("snapshot", "pieces", "holdings", "capacity")


def gaps_in(left: Sequence[Event], head: Head, ledger: str | None = None) -> GapRecorded:
    """What is missing among the events that are left: before the first, between them, and up to
    the head that a note tells of.
    """
    before = [(0, bytes(32)), *((one.seq, one.hash) for one in left)]
    behind = [*((one.seq - 1, one.prev) for one in left), (head.seq, head.hash)]
    gaps = tuple(
        Gap(first + 1, last, link.hex(), hashed.hex())
        for (first, link), (last, hashed) in zip(before, behind, strict=True)
        if last > first
    )
    return GapRecorded(ROOT_DID, gaps, ledger=ledger, sources=("a damaged file",))


def without(events: Sequence[Event], lost: Iterable[int], ledger: str | None = None) -> list[Event]:
    """The events less those that are lost, and the one that says so behind them."""
    gone = {*lost}
    left = [event for event in events if event.seq not in gone]
    return [*left, told(left, head_of(events[-1]), ledger)]


def told(left: Sequence[Event], head: Head, ledger: str | None = None) -> Event:
    """The event that names what is missing, behind the head that was."""
    record = gaps_in(left, head, ledger)
    draft = Draft(left[-1].at, record.KIND, 1, "uid:0", None, encode(record))
    return seal(draft, Head(head.seq, head.hash, left[-1].at))


def folded(events: Sequence[Event]) -> State:
    """The state of events with named holes; none of them is void."""
    state = State(holes=lambda after: holes_in(one for one in events if one.seq > after))
    for event in events:
        assert state.apply(event).void is None, event
    return state


def punch(path: Path, lost: Iterable[int], ledger: str | None = None) -> None:
    """Take events out of a ledger file for good, and let its head name the gaps."""
    gone = {*lost}
    rows = forging.rows(path)
    events = [Event(*row._replace(data=row.data.encode())) for row in rows]  # type: ignore[arg-type]
    last = without(events, gone, ledger)[-1]
    with forging.unguarded(path) as connection:
        connection.executemany("DELETE FROM events WHERE seq = ?", [(seq,) for seq in gone])
        forging.insert(
            connection, Raw(*msgspec.structs.astuple(last))._replace(data=last.data.decode())
        )
        empty_caches(connection)
    Path(f"{path}.lock").unlink(missing_ok=True)


def log_of(events: Sequence[Event], clock_us: Callable[[], int]) -> MemoryLog:
    """A log in memory that has these events, whichever are missing between them."""
    first = events[0]
    draft = Draft(first.at, first.kind, first.version, first.actor, None, first.data)
    log = MemoryLog(draft, clock_us)

    def fill(connection: sqlite3.Connection) -> None:
        triggers = connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'")
        kept = dict(triggers.fetchall())
        for name in kept:
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute("DELETE FROM events")
        for event in events:
            insert(connection, event)
        for sql in kept.values():
            connection.execute(sql)

    log.reading(fill)
    return log


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
