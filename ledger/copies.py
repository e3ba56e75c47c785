"""Copies: what a mirror, a backup or an export holds of a damaged ledger's events.

A backup may be damaged as well: it is carved like the ledger itself. The name of a sealed segment
tells the hash of its last event, even where the segment is lost.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

import msgspec

from .errors import OtherLedger
from .event import Event
from .lineage import Mark
from .record import could_stand
from .remains import remains
from .segment import segments
from .source import source_at
from .witness import id_told


class Copy(msgspec.Struct, frozen=True):
    """Events by hash, and hashes that are known beside them.

    `skipped` counts lines that are not what their hashes say. `ledger` is the id, 32 hex digits,
    of the ledger that it is about, None where nothing tells it.
    """

    path: str
    events: dict[bytes, Event]
    marks: tuple[Mark, ...]
    skipped: int
    ledger: str | None


def copy_at(path: str, ledger: str | None) -> Copy:
    """Return what the mirror, backup or export at `path` holds of the `ledger`, if that is known.

    Raises OtherLedger where it is another's, LedgerMissing, NotALedger, NotPermitted,
    StorageFailed.
    """
    told = _backup(path) if os.path.isfile(path) else None
    if told is None:
        within = os.path.join(path, ledger) if ledger else path
        told = _lines(path, within if os.path.isdir(within) else path)
    if ledger and told.ledger and told.ledger != ledger:
        raise OtherLedger(path, told.ledger, ledger)
    return told


def _backup(path: str) -> Copy | None:
    """A ledger's file, however damaged; None where none of it is left, or it is another thing."""
    found = remains(path).events
    return Copy(path, found, (), 0, first_id(found.values())) if found else None


def _lines(path: str, place: str) -> Copy:
    """An export, or a mirror's folder at `place`."""
    source = source_at(place)
    found = {event.hash: event for event in source.events() if could_stand(event)}
    marks: list[Mark] = []
    if source.kind == "mirror":
        within = os.path.join(place, source.ledger or "")
        names = segments(within if os.path.isdir(within) else place)
        marks = [Mark(one.last, one.hash) for one in names if one.sealed and one.of_one_block]
    return Copy(path, found, tuple(marks), source.skipped, source.ledger)


def first_id(events: Iterable[Event]) -> str | None:
    """Return the ledger's id, 32 hex digits, that one of the events tells, None where none does."""
    told = (id_told(event) for event in events if event.seq == 1)
    return next((one for one in told if one is not None), None)
