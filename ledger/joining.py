"""Joining: of all that several sources hold, the longest history that links from seq 1 on.

An event belongs where its `prev` is the hash of the one before, whichever source has it; so
what one source lost another fills. Where two different events follow the same one, the history
forks: the longest branch is taken, of equally long ones that of the source named first, and the
fork is told.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from itertools import groupby

import msgspec

from .chain import head_of
from .event import START, Event, Head
from .source import Source, ascending


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


class Joining:
    """The join of `sources`: iterate `events` once, then ask for the rest.

    `head` is where the history ends, `forks` where others were left, `beyond` the greatest seq
    that any source holds, and `unlinked` how many events link to nothing in the history.
    """

    def __init__(self, sources: Iterable[Iterable[Event] | Source]) -> None:
        self.head = START
        self.forks: list[Fork] = []
        self.beyond = 0
        self.unlinked = 0
        self._sources = [ascending(one) if isinstance(one, Source) else one for one in sources]
        self._branches = [_Branch(START, [])]
        self._ended: list[_Branch] = []

    def events(self) -> Iterator[Event]:
        """The history's events, from seq 1 on. Holds more than a few only while it is forked."""
        merged = heapq.merge(*self._sources, key=_seq)
        for seq, alike in groupby(merged, key=_seq):
            self.beyond = seq
            self._follow(list({event.hash: event for event in alike}.values()))
            yield from self._settled()
        self._ended += self._branches
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
        self.unlinked += len(found) - len(extended)
        if extended:
            self._branches = extended
            self._ended += ended

    def _settled(self) -> Iterator[Event]:
        """What is certain: all of the one branch that is left, once the others have ended."""
        if len(self._branches) > 1:
            return
        (branch,) = self._branches
        if branch.head.seq <= self.head.seq:
            return
        self._tell_forks(branch)
        yield from branch.pending
        branch.pending = []
        self.head = branch.head

    def _tell_forks(self, branch: _Branch) -> None:
        """Say where the branches that ended parted from the one that is taken."""
        taken = {event.seq: event.hash for event in branch.pending}
        for other in self._ended:
            parted = next((one for one in other.pending if taken.get(one.seq) != one.hash), None)
            if parted is not None and parted.seq in taken:
                fork = Fork(parted.seq, taken[parted.seq], parted.hash, other.head.seq)
                self.forks.append(fork)
        self._ended = []


def _follows(event: Event, head: Head) -> bool:
    return event.seq == head.seq + 1 and event.prev == head.hash and event.at >= head.at


def _seq(event: Event) -> int:
    return event.seq
