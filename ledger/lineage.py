"""Lineage: one history out of records that prove themselves, from wherever they come.

Each event names the hash of the one before, so records make runs. Where several have one seq, the
log went on from an old copy, or a turn was undone: one branch is the history, the others forked.
Across a hole nothing links, and only the order of seqs and times tells.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Container, Iterable, Mapping

import msgspec

from .event import ZERO_HASH, Event


class Mark(msgspec.Struct, frozen=True, gc=False):
    """The hash (32 bytes) that the event at `seq` is known to have had."""

    seq: int
    hash: bytes


class Hole(msgspec.Struct, frozen=True):
    """Lost seqs `first` to `last`, and the hashes on both sides: of the event before `first` (zeros
    where that is 1) and of the event `last` itself, zeros where either is not known.

    It happened between `from_us` and `to_us` (microseconds UTC), None where nothing tells.
    """

    first: int
    last: int
    before: bytes
    after: bytes
    from_us: int | None
    to_us: int | None


class Lineage(msgspec.Struct, frozen=True):
    """The history: its events by seq, its holes, and what is known of the lost.

    `forked` are records of other branches. `end` is where the log ended, a lost tail included.
    """

    events: tuple[Event, ...]
    holes: tuple[Hole, ...]
    known: tuple[Mark, ...]
    forked: tuple[Event, ...]
    end: Mark


def lineage(
    records: Mapping[bytes, Event], note: Mark | None, marks: Iterable[Mark], own: Container[bytes]
) -> Lineage:
    """Return the history that `records` (by hash) tell, not one of which needs to be there.

    The branch that leads to the `note` of the head wins; else one that the damaged file has itself,
    whose hashes are `own`, before one that only copies have; else the one that leads to the
    furthest of `marks`; else the one that goes furthest.
    """
    told = [*([] if note is None else [note]), *marks]
    order = sorted(records.values(), key=lambda event: (event.seq, event.hash))
    chosen = _Chosen(records, note, own)
    for tip in _tips(order, records, chosen, told):
        chosen.take(tip)
    chosen.drop_reused_keys()
    events = tuple(chosen.events[seq] for seq in sorted(chosen.events))
    known = _consistent(chosen.events, told)
    last = events[-1].seq if events else 0
    top = max([last, *known])
    known |= {e.seq - 1: e.prev for e in events if e.seq > 1 and e.seq - 1 not in chosen.events}
    kept = {event.hash for event in events}
    return Lineage(
        events,
        tuple(_holes(events, known, top)),
        tuple(Mark(seq, known[seq]) for seq in sorted(known) if seq not in chosen.events),
        tuple(event for event in order if event.hash not in kept),
        Mark(top, chosen.events[top].hash if top in chosen.events else known.get(top, ZERO_HASH)),
    )


def attested(
    records: Mapping[bytes, Event],
    doubtful: Mapping[bytes, Event],
    marks: Iterable[Mark],
    upto: int,
) -> dict[bytes, Event]:
    """Return those of the `doubtful` up to a seq, and those that a record or a mark says were
    before it.
    """
    found = {key: event for key, event in doubtful.items() if event.seq <= upto}
    wanted = [event.prev for event in (*records.values(), *found.values())]
    wanted += [mark.hash for mark in marks]
    for link in wanted if doubtful else ():
        event = doubtful.get(link)
        while event is not None and event.hash not in found:
            found[event.hash] = event
            event = doubtful.get(event.prev)
    return found


def parent(event: Event, records: Mapping[bytes, Event]) -> Event | None:
    """Return the event before, where it is among the records and this one may follow it."""
    found = records.get(event.prev)
    return found if found and found.seq + 1 == event.seq and found.at <= event.at else None


def _tips(
    order: list[Event], records: Mapping[bytes, Event], chosen: _Chosen, marks: list[Mark]
) -> list[Event]:
    """The last event of each run, those first that lead to what is known and go furthest."""
    known = {mark.hash for mark in marks}
    ranks: dict[bytes, tuple[int, int, int, int]] = {}
    inner: set[bytes] = set()
    for event in order:
        before = parent(event, records)
        noted, furthest, _, length = (0, 0, 0, 0) if before is None else ranks[before.hash]
        if before is not None:
            inner.add(before.hash)
        noted = chosen.noted(event) or noted
        if event.hash in known:
            furthest = event.seq
        ranks[event.hash] = noted, furthest, event.seq, length + 1
    tips = [event for event in order if event.hash not in inner]

    def rank(tip: Event) -> tuple[int, bool, tuple[int, ...], bytes]:
        noted, *rest = ranks[tip.hash]
        return noted, tip.hash in chosen.own, tuple(rest), tip.hash

    return sorted(tips, key=rank, reverse=True)


class _Chosen:
    """The history as far as it is chosen: `events` by seq; later runs give way to earlier ones."""

    def __init__(
        self, records: Mapping[bytes, Event], note: Mark | None, own: Container[bytes]
    ) -> None:
        self.events: dict[int, Event] = {}
        self.own = own
        self._records = records
        self._note = note
        self._edges: list[tuple[int, int]] = []

    def take(self, tip: Event) -> None:
        """Take the run that ends with `tip`, up to where it contradicts what is chosen.

        Of a run that does, what only copies have may be of the other branch from its first on, but
        for event 1, which all branches have.
        """
        run: list[Event] = []
        event: Event | None = tip
        while event is not None and self.events.get(event.seq) is not event:
            run.append(event)
            event = parent(event, self._records)
        run.reverse()
        fitting = 0
        while fitting < len(run) and self._fits(
            run[fitting], run[fitting - 1] if fitting else None
        ):
            fitting += 1
        if fitting < len(run):
            while fitting and run[fitting - 1].hash not in self.own and run[fitting - 1].seq > 1:
                fitting -= 1
        taken = run[:fitting]
        if taken and self._in_time(taken):
            self.events.update((event.seq, event) for event in taken)
            self._edges += [(one.seq, one.at) for one in (taken[0], taken[-1])]
            self._edges.sort()

    def noted(self, event: Event) -> int:
        """1 for the event that the note names, -1 for another at its seq, 0 elsewhere."""
        if self._note is None or event.seq != self._note.seq:
            return 0
        return 1 if event.hash == self._note.hash else -1

    def drop_reused_keys(self) -> None:
        """Leave out events under a retry key that their actor had used, which no log takes."""
        keys: set[tuple[str, str]] = set()
        for seq in sorted(self.events):
            event = self.events[seq]
            if event.key is not None and (event.actor, event.key) in keys:
                del self.events[seq]
            elif event.key is not None:
                keys.add((event.actor, event.key))

    def _fits(self, event: Event, before: Event | None) -> bool:
        """Whether the event contradicts neither its neighbours nor the note."""
        below, above = self.events.get(event.seq - 1, before), self.events.get(event.seq + 1)
        if event.seq in self.events or (event.seq == 1) != (event.prev == ZERO_HASH):
            return False
        if below is not None and below.hash != event.prev:
            return False
        return self.noted(event) >= 0 and (above is None or above.prev == event.hash)

    def _in_time(self, taken: list[Event]) -> bool:
        """Whether the times of a run lie between those of its neighbours beyond holes."""
        place = bisect_left(self._edges, (taken[0].seq, 0))
        below = self._edges[place - 1] if place else (0, 0)
        above = self._edges[place] if place < len(self._edges) else None
        return below[1] <= taken[0].at and (above is None or taken[-1].at <= above[1])


def _consistent(events: Mapping[int, Event], marks: Iterable[Mark]) -> dict[int, bytes]:
    """The marks of lost events, by seq, that contradict neither the history nor an earlier mark."""
    found: dict[int, bytes] = {}
    for mark in marks:
        above = events.get(mark.seq + 1)
        if mark.seq not in events and (above is None or above.prev == mark.hash):
            found.setdefault(mark.seq, mark.hash)
    return found


def _holes(events: tuple[Event, ...], known: Mapping[int, bytes], top: int) -> Iterable[Hole]:
    """The stretches of seqs up to `top` that no event has."""
    seq, link, at = 0, ZERO_HASH, None
    for event in events:
        if event.seq > seq + 1:
            yield Hole(seq + 1, event.seq - 1, link, event.prev, at, event.at)
        seq, link, at = event.seq, event.hash, event.at
    if top > seq:
        yield Hole(seq + 1, top, link, known.get(top, ZERO_HASH), at, None)
