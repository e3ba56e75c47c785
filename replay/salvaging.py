"""Salvaging: what is known of lost events, and the event that says which they are. Pure.

Survivors keep their seq, `prev` and `hash`. The event that tells of the holes stands behind all of
them, and behind every seq that is known to have been given, so that no id is used twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

from ..ledger.canonical import encode
from ..ledger.chain import seal
from ..ledger.errors import BrokenChain, UnknownEvent
from ..ledger.event import Draft, Event, Head
from ..ledger.lineage import Lineage, Mark
from .actor import Actor
from .catalogue import GapRecorded, version
from .facts import Gap, Known
from .fold import decode
from .rights import by


def marks_in(events: Iterable[Event]) -> Iterator[Mark]:
    """The hashes of lost events that earlier salvages knew."""
    for record in _records(events):
        for one in record.known:
            with suppress(ValueError):
                yield Mark(one.seq, bytes.fromhex(one.hash))


def gap_event(
    history: Lineage,
    ledger: str,
    actor: Actor,
    now_us: int,
    sources: Sequence[str],
    *,
    reason: str | None = None,
) -> Event | None:
    """The event that names all holes of the history; None where each has been named before.

    `ledger` is its id, which the event keeps where the first one is lost.
    """
    gaps = tuple(
        Gap(hole.first, hole.last, hole.before.hex(), hole.after.hex()) for hole in history.holes
    )
    if {gap for record in _records(history.events) for gap in record.gaps}.issuperset(gaps):
        return None
    last = history.events[-1].at
    record = GapRecorded(
        by(actor),
        gaps,
        tuple(Known(mark.seq, mark.hash.hex()) for mark in history.known),
        tuple(source.encode("utf-8", "replace").decode() for source in sources),
        len(history.forked),
        None if history.events[0].seq == 1 else ledger,
        reason,
        now_us if now_us < last else None,
    )
    draft = Draft(
        max(now_us, last), record.KIND, version(record.KIND), actor.identity, None, encode(record)
    )
    return seal(draft, Head(history.end.seq, history.end.hash, last))


def _records(events: Iterable[Event]) -> Iterator[GapRecorded]:
    """What earlier salvages said; what cannot be decoded, the verifier names."""
    for event in events:
        if event.kind == GapRecorded.KIND:
            with suppress(UnknownEvent, BrokenChain):
                yield decode(event)
