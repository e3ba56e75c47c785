"""Salvage: out of a damaged ledger, its mirrors and its backups, a new ledger that verifies.

The damaged file is read as bytes, with its -wal, and never written to. Every record proves itself
by its hash, wherever it was found.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress

import msgspec

from gpuledger.handle import Ledger
from gpuledger.ledger import clock
from gpuledger.ledger.chain import head_of
from gpuledger.ledger.copies import Copy, copy_at, first_id
from gpuledger.ledger.errors import BrokenChain, NothingLeft, OtherLedger, UnknownEvent
from gpuledger.ledger.event import Event, Head
from gpuledger.ledger.lineage import Hole, Lineage, Mark, attested, lineage
from gpuledger.ledger.note import Note
from gpuledger.ledger.remains import Remains, remains
from gpuledger.ledger.replacing import replacing
from gpuledger.ledger.staging import ownership_of, staged
from gpuledger.recovery import verified_file
from gpuledger.replay import request as requests
from gpuledger.replay.actor import Actor
from gpuledger.replay.problem import Problem
from gpuledger.replay.restoring import keep
from gpuledger.replay.salvaging import gap_event, marks_in
from gpuledger.replay.store_schema import STORES

_LOCK_S = 10.0


class Helped(msgspec.Struct, frozen=True):
    """A mirror or a backup: how many `events` of the history it has, how many nothing else has,
    and how many of its lines were `skipped`, since they are not what their hashes say.
    """

    path: str
    events: int
    alone: int
    skipped: int


class Salvaged(msgspec.Struct, frozen=True):
    """What came of it: `recovered` events are in the new ledger at `path`, which ends at `head`;
    `lost` are the holes among them, in order.

    `forked` events stand on other branches than the one that was chosen; `unfinished` ones only in
    a -wal behind its last commit, where a turn was undone. `noted` tells that the lock file named
    the head: otherwise more may be lost at the end than anybody knows. `unreadable` bytes the disk
    did not give back; `given_up` tells that too much in the file only looks like events, so that it
    was not searched to its end. `gap` is the seq of the event that records the holes, None where
    there are none, or they are recorded already. `problems` are what a verification of the new file
    found.
    """

    path: str
    ledger: str
    head: Head
    recovered: int
    lost: tuple[Hole, ...]
    forked: tuple[Event, ...]
    unfinished: int
    noted: bool
    unreadable: int
    given_up: bool
    helped: tuple[Helped, ...]
    gap: int | None
    problems: tuple[Problem, ...]

    @property
    def missing(self) -> int:
        """How many events are lost."""
        return sum(hole.last - hole.first + 1 for hole in self.lost)


def salvage(
    damaged: str | os.PathLike[str],
    new: str | os.PathLike[str],
    *,
    copies: Sequence[str | os.PathLike[str]] = (),
    actor: Actor | None = None,
    reason: str | None = None,
) -> Salvaged:
    """Make the ledger `new` of what is left of `damaged` and is in its `copies`.

    Those are mirrors, backups and exports. By `actor`, by default who runs this process. Raises
    LedgerMissing, NothingLeft, LedgerExists where there is a `new` already, OtherLedger where a
    copy is another ledger's, NotALedger where one is nothing of the kind, NotPermitted,
    StorageFailed.
    """
    reason = requests.reason(reason)
    damaged, told = os.fspath(damaged), [os.fspath(one) for one in copies]
    with Ledger(os.fspath(new), actor=actor) as ledger:
        path, who = ledger.path, ledger.actor
    with replacing(path, _LOCK_S, over=False) as site:
        left = remains(damaged)
        helps, name = _copies(left, told)
        history, unfinished = _history(left, helps)
        if not history.events:
            raise NothingLeft(damaged)
        name = _id_of(history, name, damaged)
        gap = gap_event(history, name, who, clock.now_us(), (damaged, *told), reason=reason)
        events = history.events if gap is None else (*history.events, gap)
        head = head_of(events[-1])
        with (
            staged(site.new, events, STORES, ownership_of(damaged), wal=True) as turn,
            suppress(UnknownEvent, BrokenChain),  # which verification names
        ):
            keep(turn)
        problems = verified_file(site.new).problems
        site.put(Note(bytes.fromhex(name), head.seq, head.hash))
    return Salvaged(
        path, name, head, len(history.events), history.holes, history.forked, unfinished,
        left.note is not None, left.unreadable, left.given_up, _helped(left, helps, history),
        None if gap is None else gap.seq, problems,
    )  # fmt: skip


def _copies(left: Remains, paths: Sequence[str]) -> tuple[list[Copy], str | None]:
    """What the copies hold, and the id of the ledger that all of it is about, if anything tells."""
    name = None if left.note is None else left.note.ledger.hex()
    name = name or first_id(left.events.values())
    found: list[Copy] = []
    for path in paths:
        found.append(copy_at(path, name))
        name = name or found[-1].ledger
    return found, name


def _history(left: Remains, helps: Sequence[Copy]) -> tuple[Lineage, int]:
    """The one history that all of it tells, and how many unfinished events are not in it."""
    records = dict(left.events)
    marks: list[Mark] = []
    for one in helps:
        records.update(one.events)
        marks += one.marks
    marks += marks_in(records.values())
    note = None if left.note is None else Mark(left.note.seq, left.note.hash)
    told = marks if note is None else [note, *marks]
    finished = attested(records, left.unfinished, told, 0 if note is None else note.seq)
    history = lineage(records | finished, note, marks, left.events.keys() | finished.keys())
    return history, len(left.unfinished.keys() - records.keys() - finished.keys())


def _id_of(history: Lineage, name: str | None, damaged: str) -> str:
    """The ledger's id: of the first event, else of what lay beside it.

    Where nothing at all tells it, one that every salvage of the same events gives.
    """
    found = first_id(history.events[:1])
    if found and name and found != name:
        raise OtherLedger(damaged, found, name)
    return found or name or history.events[0].prev.hex()[:32]


def _helped(left: Remains, helps: Sequence[Copy], history: Lineage) -> tuple[Helped, ...]:
    """What each copy gave."""
    places = [left.events.keys() | left.unfinished.keys(), *(one.events.keys() for one in helps)]
    having = Counter(key for place in places for key in place)
    kept = [event.hash for event in history.events]
    return tuple(
        Helped(
            one.path,
            sum(key in one.events for key in kept),
            sum(key in one.events and having[key] == 1 for key in kept),
            one.skipped,
        )
        for one in helps
    )
