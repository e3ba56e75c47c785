"""Joining: of all that several sources hold, the longest history that links from seq 1 on.

An event belongs where its `prev` is the hash of the one before, whichever source has it; so
what one source lost another fills. Over a hole it belongs where an event names that hole. Where
two different events follow the same one, the history forks: the longest branch is taken, of
equally long ones that of the source named first, and the fork is told.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

import msgspec

from .chain import head_of
from .event import START, Event, Head

Hole = tuple[int, int, bytes, bytes]
"""The first and last seq that are lost, the hash before, and the hash of the last."""


class Fork(msgspec.Struct, frozen=True):
    """At `seq` two events followed the same one: `taken` and `left` are their hashes (32 bytes).

    `upto` is the last seq of the branch that was left.
    """

    seq: int
    taken: bytes
    left: bytes
    upto: int


class _Branch:
    """One history since the fork: the events that are not told yet, and where it ends."""

    __slots__ = ("head", "pending")

    def __init__(self, head: Head, pending: list[Event]) -> None:
        self.head = head
        self.pending = pending


class _Holes:
    """Holes by where they end, and those that a seq lies in: a source may name any number."""

    def __init__(self, holes: Iterable[Hole] = ()) -> None:
        self._ending: dict[tuple[int, bytes], list[Hole]] = {}
        self._later: list[tuple[int, int]] = []
        self._begun: list[tuple[int, int]] = []
        for hole in holes:
            first, last, _before, after = hole
            self._ending.setdefault((last + 1, after), []).append(hole)
            self._later.append((first, last))
        self._later.sort(reverse=True)

    def ending(self, event: Event) -> Sequence[Hole]:
        """The holes that the event follows on."""
        return self._ending.get((event.seq, event.prev), ())

    def around(self, seq: int) -> int:
        """Where the first hole begins that `seq` lies in, the next seq where none does.

        `seq` may only rise from call to call.
        """
        while self._later and self._later[-1][0] <= seq:
            heapq.heappush(self._begun, self._later.pop())
        while self._begun and self._begun[0][1] < seq:
            heapq.heappop(self._begun)
        return self._begun[0][0] if self._begun else seq + 1


class Joining:
    """The join of `sources`: iterate `events` once, then ask for the rest.

    Each source tells its events in the order of their seqs.
    `head` is where the history ends, `forks` where others were left, `beyond` the greatest seq
    that any source holds, and `unlinked` how many events link to nothing in the history. Each of
    `holes` is a stretch of seqs that an event of a source names as lost.
    """

    def __init__(self, sources: Iterable[Iterable[Event]], holes: Iterable[Hole] = ()) -> None:
        self.head = START
        self.forks: list[Fork] = []
        self.beyond = 0
        self.unlinked = 0
        self._sources = tuple(sources)
        self._holes = _Holes(holes)
        self._branches: list[_Branch] = [_Branch(START, [])]
        self._ended: list[_Branch] = []

    def events(self) -> Iterator[Event]:
        """The history's events, from seq 1 on. Holds more than a few only while it is forked."""
        merged = heapq.merge(*self._sources, key=_seq)
        for seq, alike in groupby(merged, key=_seq):
            self.beyond = seq
            self._follow(list({event.hash: event for event in alike}.values()))
            yield from self._settled()
        self._ended += self._branches
        self._holes = _Holes()
        longest = max(branch.head.seq for branch in self._ended)
        self._branches = [one for one in self._ended if one.head.seq == longest][:1]
        self._ended = [one for one in self._ended if one is not self._branches[0]]
        yield from self._settled()

    def _follow(self, found: list[Event]) -> None:
        """Let each branch go on with what links to it."""
        extended: list[_Branch] = []
        ended: list[_Branch] = []
        for branch in self._branches:
            links = [one for one in found if _follows(one, branch.head)]
            if not links:
                ended.append(branch)
                continue
            others = [_Branch(head_of(one), [*branch.pending, one]) for one in links[1:]]
            branch.pending.append(links[0])
            branch.head = head_of(links[0])
            extended += [branch, *others]
        extended += self._beyond_holes([one for one in found if not _ends(one, extended)])
        self.unlinked += len(found) - len(extended)
        if extended:
            self._branches = extended
            self._ended += ended

    def _beyond_holes(self, found: list[Event]) -> Iterator[_Branch]:
        """Branches that go on behind a hole, from where it begins."""
        for event in found:
            for first, _last, before, _after in self._holes.ending(event):
                for branch in self._branches:
                    kept = bisect_left(branch.pending, first, key=_seq)
                    head = head_of(branch.pending[kept - 1]) if kept else self.head
                    if (head.seq, head.hash) == (first - 1, before) and head.at <= event.at:
                        yield _Branch(head_of(event), [*branch.pending[:kept], event])
                        return

    def _settled(self) -> Iterator[Event]:
        """What is certain: all of the one branch that is left, once the others have ended, but
        for what lies in a hole that it may have to leave out.
        """
        if len(self._branches) > 1:
            return
        (branch,) = self._branches
        at = branch.head.seq
        keep = self._holes.around(at)
        if not branch.pending or branch.pending[0].seq >= keep:
            return
        self._tell_forks(branch)
        told = [event for event in branch.pending if event.seq < keep]
        branch.pending = branch.pending[len(told) :]
        self.head = head_of(told[-1])
        yield from told

    def _tell_forks(self, branch: _Branch) -> None:
        """Say where the branches that ended parted from the one that is taken."""
        taken = {event.seq: event.hash for event in branch.pending}
        for other in self._ended:
            parted = next((one for one in other.pending if taken.get(one.seq) != one.hash), None)
            if parted is not None and parted.seq in taken:
                fork = Fork(parted.seq, taken[parted.seq], parted.hash, other.head.seq)
                self.forks.append(fork)
            elif parted is not None:
                self.unlinked += sum(1 for one in other.pending if one.seq not in taken)
        self._ended = []


def _ends(event: Event, branches: list[_Branch]) -> bool:
    return any(branch.head.hash == event.hash for branch in branches)


def _follows(event: Event, head: Head) -> bool:
    return event.seq == head.seq + 1 and event.prev == head.hash and event.at >= head.at


def _seq(event: Event) -> int:
    return event.seq
