"""Holes: where the log has them, and which events name them.

A gap is told at the log's head and means something at its place. So whoever folds asks for
what names a hole when he comes to it, and what was found goes for the holes behind it, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from ..ledger.chain import links
from ..ledger.event import Event, Head
from .catalogue import GapRecorded
from .fold import decode
from .gap import Hole

Holes = Callable[[int], Iterable[Hole]]
"""The holes that events behind a seq name."""


class Readable(Protocol):
    """What events are read from."""

    def read(self, after: int, upto: int | None = None) -> Iterable[Event]:
        """Events in order of seq."""
        ...


def no_holes(_after: int) -> tuple[Hole, ...]:
    """A log that names none."""
    return ()


def holes_of(log: Readable) -> Holes:
    """The holes that a log names."""
    return lambda after: holes_in(log.read(after))


def holes_in(events: Iterable[Event]) -> Iterator[Hole]:
    """The holes that these events name. Raises UnknownEvent, BrokenChain as `decode` does."""
    for event in events:
        if event.kind == GapRecorded.KIND:
            yield from named(decode(event))


def named(record: GapRecorded) -> Iterator[Hole]:
    """The holes that a record names; what is no hash names none."""
    for gap in record.gaps:
        try:
            before, after = bytes.fromhex(gap.before), bytes.fromhex(gap.after)
        except ValueError:
            continue
        yield Hole(gap.first, gap.last, before, after, record.ledger)


class Finder:
    """Knows the holes of one log, once it was asked for the first."""

    __slots__ = ("_holes", "_known")

    def __init__(self, holes: Holes) -> None:
        self._holes = holes
        self._known: dict[tuple[int, int], Hole] | None = None

    def between(self, head: Head, event: Event) -> Hole | None:
        """The hole between what was folded last and this event; None where no event names it."""
        if event.seq <= head.seq + 1:
            return None
        if self._known is None:
            self._known = {(one.first, one.last): one for one in self._holes(event.seq - 1)}
        return self._known.get((head.seq + 1, event.seq - 1))

    def wrong(self, event: Event, head: Head) -> str | None:
        """What keeps the event from following the head, over a hole where one lies between."""
        hole = self.between(head, event)
        if hole is None:
            return links(event, head)
        if hole.before != head.hash:
            return "prev"
        return links(event, Head(hole.last, hole.after, head.at))
