"""The docket: what the state holds that has to be looked up each turn, by what it is asked for.

Leases by their ends, ties by host, running allocations by project, and the line. It follows
the state and holds nothing of its own, as `placement.Fleet` does.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from heapq import heapify, heappop, heappush

from .piece import AllocationPiece, Piece, WaitingPiece


class Docket:
    """The index of a state's pieces; made from all of them, then moved by `follow`."""

    __slots__ = ("_ends", "_line", "_shape", "_shapes", "projects", "tied", "until", "waiting")

    def __init__(self, pieces: Mapping[str, Piece]) -> None:
        self.until: dict[int, int] = {}
        self.tied: dict[int, str] = {}
        self.projects: dict[int, str] = {}
        self.waiting: dict[int, WaitingPiece] = {}
        self._ends: list[tuple[int, int]] = []
        self._line: list[WaitingPiece] | None = None
        self._shape: dict[int, int] = {}
        self._shapes: dict[object, int] = {}
        for piece in pieces.values():
            if isinstance(piece, AllocationPiece):
                self._enter(piece)
            elif isinstance(piece, WaitingPiece):
                self.waiting[piece.id] = piece
        self._ends.extend((end, number) for number, end in self.until.items())
        heapify(self._ends)

    def follow(self, pieces: Mapping[str, Piece], touched: Iterable[str]) -> None:
        """Take over the allocations and requests among the touched keys."""
        for key in touched:
            if key.startswith("allocation:"):
                self._allocation(int(key[11:]), pieces.get(key))
            elif key.startswith("waiting:"):
                self._waiting(int(key[8:]), pieces.get(key))

    def due(self, now_us: int) -> tuple[int, int] | None:
        """The lease that ended first, at or before `now_us`: its end and its allocation."""
        first = self.first_end()
        return first if first is not None and first[0] <= now_us else None

    def first_end(self) -> tuple[int, int] | None:
        """The lease that ends first: its end (microseconds UTC) and its allocation."""
        while self._ends:
            end, number = self._ends[0]
            if self.until.get(number) == end:
                return end, number
            heappop(self._ends)
        return None

    def line(self) -> list[WaitingPiece]:
        """Those who wait, the first in line first: by priority, then by when they came."""
        if self._line is None:
            self._line = sorted(self.waiting.values(), key=_order)
        return self._line

    def ahead_of(self, piece: WaitingPiece) -> list[WaitingPiece]:
        """Those in line before a request, which may stand there or come new."""
        line = self.line()
        return line[: bisect_left(line, _order(piece), key=_order)]

    def shape_of(self, piece: WaitingPiece) -> int:
        """A number for how much is asked for and where: the same for all who ask for the like."""
        number = self._shape.get(piece.id)
        if number is None:
            asked = piece.asked
            shape = asked.servers, asked.gpus, asked.cpus, piece.places
            number = self._shapes.setdefault(shape, len(self._shapes))
            if piece.id in self.waiting:
                self._shape[piece.id] = number
        return number

    def _enter(self, piece: AllocationPiece) -> None:
        if piece.until is not None:
            self.until[piece.id] = piece.until
        if piece.tie is not None:
            self.tied[piece.id] = piece.tie.host
        if piece.project is not None:
            self.projects[piece.id] = piece.project

    def _allocation(self, number: int, piece: Piece | None) -> None:
        if not isinstance(piece, AllocationPiece):
            for index in (self.until, self.tied, self.projects):
                index.pop(number, None)
            return
        if piece.until is not None:
            heappush(self._ends, (piece.until, number))
        self._enter(piece)

    def _waiting(self, number: int, piece: Piece | None) -> None:
        line, before = self._line, self.waiting.pop(number, None)
        if line is not None and before is not None:
            at = bisect_left(line, _order(before), key=_order)
            line = line[:at] + line[at + 1 :]
        if isinstance(piece, WaitingPiece):
            self.waiting[number] = piece
            if line is not None:
                at = bisect_left(line, _order(piece), key=_order)
                line = [*line[:at], piece, *line[at:]]
        self._line = line
        self._shape.pop(number, None)
        if not self.waiting:
            self._shapes.clear()


def _order(piece: WaitingPiece) -> tuple[int, int]:
    return -piece.priority, piece.id
