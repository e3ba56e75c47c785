"""Tallies: what all running allocations of a user or of a project hold together. Pure.

Limits ask for it at every grant, so it is counted up and down instead of anew. What keeps it
honest: it moves with the docket, which follows every event and remembers each allocation as it
was when it entered, so that what is taken off is what was added.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import msgspec

from .facts import cpus_in, gpus_in
from .piece import AllocationPiece
from .spent import project_key, user_key


class _Amount(msgspec.Struct, frozen=True, gc=False):
    """What one allocation adds to a tally, or with opposite signs takes off; see there."""

    number: int
    gpus: int
    cpus: int
    leased_us: int
    open: int
    open_us: int
    start: int


def _amount(piece: AllocationPiece, sign: int) -> _Amount:
    gpus, cpus, start = sign * gpus_in(piece.servers), sign * cpus_in(piece.servers), piece.start
    if piece.counted is None:
        return _Amount(sign, gpus, cpus, 0, gpus, gpus * start, start)
    return _Amount(sign, gpus, cpus, gpus * max(0, piece.counted - start), 0, 0, start)


class Tally:
    """GPUs and CPUs held at once, and what GPU time is reckoned from.

    Times are microseconds UTC: `earliest` lies at or before every start, `latest` at or behind.
    """

    __slots__ = ("_leased_us", "_open", "_open_us", "cpus", "earliest", "gpus", "latest", "number")

    def __init__(self, pieces: Iterable[AllocationPiece] = ()) -> None:
        self.number = self.gpus = self.cpus = 0
        self.earliest, self.latest = 1 << 62, 0
        self._leased_us = self._open = self._open_us = 0
        for piece in pieces:
            self.add(_amount(piece, 1))

    def add(self, amount: _Amount) -> None:
        """Add an allocation, or take one off."""
        self.number += amount.number
        self.gpus += amount.gpus
        self.cpus += amount.cpus
        self._leased_us += amount.leased_us
        self._open += amount.open
        self._open_us += amount.open_us
        self.earliest = min(self.earliest, amount.start)
        self.latest = max(self.latest, amount.start)

    def gpu_us(self, first: int, at: int, running: Callable[[], Iterable[AllocationPiece]]) -> int:
        """GPU microseconds from `first` on, leases to their ends, the rest until `at`.

        What may have ended in a gap counts up to that. The allocations themselves, `running`, are
        looked at only where one began before `first`.
        """
        if self.earliest >= first and self.latest <= at:
            return self._leased_us + self._open * at - self._open_us
        pieces = list(running())
        self.earliest = min((piece.start for piece in pieces), default=1 << 62)
        return sum(
            gpus_in(piece.servers)
            * max(0, (at if piece.counted is None else piece.counted) - max(first, piece.start))
            for piece in pieces
        )


NOTHING = Tally()
"""The tally of somebody of whom nothing runs; never counted into."""


class Tallies:
    """The tallies of all users and projects, by the keys under which their past is counted."""

    def __init__(self, pieces: Iterable[AllocationPiece]) -> None:
        self._by_key: dict[str, Tally] = {}
        for piece in pieces:
            self.count(piece, 1)

    def of(self, key: str) -> Tally:
        """The tally of a user or project; an empty one where nothing of his runs."""
        return self._by_key.get(key, NOTHING)

    def count(self, piece: AllocationPiece, sign: int) -> None:
        """Add an allocation (`sign` 1), or take one off (-1)."""
        amount = _amount(piece, sign)
        for key in _keys(piece):
            tally = self._by_key.get(key)
            if tally is None:
                tally = self._by_key[key] = Tally()
            tally.add(amount)
            if not tally.number:
                del self._by_key[key]


def _keys(piece: AllocationPiece) -> Iterator[str]:
    yield user_key(piece.owner)
    if piece.project is not None:
        yield project_key(piece.project)
