"""The docket: what the state holds that has to be looked up each turn, by what it is asked for.

Leases by their ends, ties by host, running allocations by project, what they hold together, the
line, and the mirrors. It follows the state and holds nothing of its own, as `placement.Fleet`
does: each piece that is entered is remembered as it was, and goes by that again.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Mapping

from .facts import STOPPED, Tie
from .piece import AllocationPiece, MirrorPiece, Piece, WaitingPiece
from .request import AllocateRequest
from .tally import Tallies

Size = tuple[int, int]
"""On how many servers, and how many GPUs on each; zeros where places are named."""


class Docket:
    """The index of a state's pieces; made from all of them, then moved by `follow`."""

    __slots__ = (
        "_alike",
        "_last_shape",
        "_line",
        "_names",
        "_shape",
        "_shapes",
        "_tallies",
        "asleep",
        "ends",
        "mirrors",
        "projects",
        "running",
        "tied",
        "waiting",
    )

    def __init__(self, pieces: Mapping[str, Piece]) -> None:
        self.running: dict[int, AllocationPiece] = {}
        self.tied: dict[int, str] = {}
        self.projects: dict[int, str] = {}
        self.waiting: dict[int, WaitingPiece] = {}
        self.mirrors: dict[str, MirrorPiece] = {}
        self.asleep: frozenset[int] = frozenset()
        """Of those who wait, whose processes are stopped: no record tells, whoever looks does."""
        self.ends: list[tuple[int, int]] = []
        self._line: list[WaitingPiece] | None = None
        self._shape: dict[int, int] = {}
        self._shapes: dict[object, int] = {}
        self._alike: dict[Size, dict[int, dict[int, WaitingPiece]]] = {}
        self._last_shape = 0
        self._names: dict[tuple[str, str], list[int]] = {}
        self._tallies: Tallies | None = None
        for piece in pieces.values():
            if isinstance(piece, AllocationPiece):
                self._enter(piece)
                if piece.due is not None:
                    self.ends.append((piece.due, piece.id))
            elif isinstance(piece, WaitingPiece):
                self._join(piece)
            elif isinstance(piece, MirrorPiece):
                self.mirrors[piece.directory] = piece
        self.ends.sort()

    def stands(self, request: AllocateRequest) -> bool:
        """Whether a request stands in line under its id, and nobody else's under the same one:
        a ledger that was restored gives ids once more.
        """
        piece = self.waiting.get(request.waiting or 0)
        if piece is None or piece.asked != request.asked:
            return False
        return request.waiter is None or request.waiter == piece.waiter

    @property
    def tallies(self) -> Tallies:
        """What users and projects hold; counted when first asked for, and kept up from then on."""
        if self._tallies is None:
            self._tallies = Tallies(self.running.values())
        return self._tallies

    def follow(self, pieces: Mapping[str, Piece], touched: Iterable[str]) -> None:
        """Take over the allocations, requests and mirrors among the touched keys."""
        for key in touched:
            if key[0] == "a":  # no other keys begin with these letters
                self._allocation(int(key[11:]), pieces.get(key))
            elif key[0] == "w":
                self._waiting(int(key[8:]), pieces.get(key))
            elif key[0] == "m":
                self._mirror(key[7:], pieces.get(key))

    def _mirror(self, directory: str, piece: Piece | None) -> None:
        self.mirrors.pop(directory, None)
        if isinstance(piece, MirrorPiece):
            self.mirrors[directory] = piece

    def due(self, now_us: int) -> tuple[int, int] | None:
        """The lease that ended first, at or before `now_us`: its end and its allocation."""
        first = self.first_end()
        return first if first is not None and first[0] <= now_us else None

    def first_end(self) -> tuple[int, int] | None:
        """The lease that ends first: its end (microseconds UTC) and its allocation."""
        return self.ends[0] if self.ends else None

    def line(self) -> list[WaitingPiece]:
        """Those who wait, the first in line first: by priority, then by when they came."""
        if self._line is None:
            self._line = sorted(self.waiting.values(), key=_order)
        return self._line

    def look(self, gone: Callable[[Tie], str | None]) -> None:
        """Ask who of those who wait is `stopped`."""
        ties = [(one.id, one.waiter) for one in self.waiting.values() if one.waiter is not None]
        self.asleep = frozenset(number for number, tie in ties if gone(tie) == STOPPED)

    def awake(self) -> list[WaitingPiece]:
        """Those in line who come when they are called: a stopped process takes nothing."""
        line = self.line()
        return [one for one in line if one.id not in self.asleep] if self.asleep else line

    def passed(self, piece: AllocationPiece, priority: int) -> list[WaitingPiece]:
        """Those who waited when this was granted, wait still, and come before it in line; its
        `priority` is that of its project now, as theirs are.
        """
        place = -priority, piece.request or piece.id
        return [one for one in self.awake() if one.id < piece.id and _order(one) < place]

    def ahead_of(self, piece: WaitingPiece) -> list[WaitingPiece]:
        """Those in line before a request, which may stand there or come new."""
        line = self.awake()
        if line and _order(line[-1]) < _order(piece):
            return line
        return line[: bisect_left(line, _order(piece), key=_order)]

    def shape_of(self, piece: WaitingPiece) -> int:
        """A number for how much is asked for and where: the same for all alike, 0 for one who
        comes new and is like nobody. Kept of those in line, who stay what they are.
        """
        return self._shape.get(piece.id) or self._shapes.get(_shape(piece), 0)

    def sizes(self) -> Mapping[Size, Mapping[int, Mapping[int, WaitingPiece]]]:
        """Those in line by their sizes, then by their shapes, then by id."""
        return self._alike

    def awaits(self, owner: str, task: str) -> list[int]:
        """The requests in line by which an owner awaits a task of that name, oldest first."""
        return self._names.get((owner, task), [])

    def _enter(self, piece: AllocationPiece) -> None:
        self.running[piece.id] = piece
        if piece.tie is not None:
            self.tied[piece.id] = piece.tie.host
        if piece.project is not None:
            self.projects[piece.id] = piece.project

    def _allocation(self, number: int, piece: Piece | None) -> None:
        before = self.running.pop(number, None)
        if before is not None:
            self._leave(before)
        if isinstance(piece, AllocationPiece):
            self._enter(piece)
            if piece.due is not None:
                insort(self.ends, (piece.due, number))
            if self._tallies is not None:
                self._tallies.count(piece, 1)

    def _leave(self, piece: AllocationPiece) -> None:
        if piece.due is not None:
            del self.ends[bisect_left(self.ends, (piece.due, piece.id))]
        if piece.tie is not None:
            del self.tied[piece.id]
        if piece.project is not None:
            del self.projects[piece.id]
        if self._tallies is not None:
            self._tallies.count(piece, -1)

    def _join(self, piece: WaitingPiece) -> None:
        self.waiting[piece.id] = piece
        shape = self._shapes.get(_shape(piece), 0)
        if not shape:
            shape = self._shapes[_shape(piece)] = self._last_shape = self._last_shape + 1
        self._shape[piece.id] = shape
        self._alike.setdefault(_size(piece), {}).setdefault(shape, {})[piece.id] = piece
        self._names.setdefault((piece.owner, piece.asked.task), []).append(piece.id)

    def _waiting(self, number: int, piece: Piece | None) -> None:
        line, before = self._line, self.waiting.pop(number, None)
        if before is not None:
            self._go(before)
        if line is not None and before is not None:
            at = bisect_left(line, _order(before), key=_order)
            line = line[:at] + line[at + 1 :]
        if isinstance(piece, WaitingPiece):
            self._join(piece)
            if line is not None:
                at = bisect_left(line, _order(piece), key=_order)
                line = [*line[:at], piece, *line[at:]]
        self._line = line

    def _go(self, piece: WaitingPiece) -> None:
        name, shape = (piece.owner, piece.asked.task), self._shape.pop(piece.id)
        self._names[name].remove(piece.id)
        if not self._names[name]:
            del self._names[name]
        size = _size(piece)
        del self._alike[size][shape][piece.id]
        if not self._alike[size][shape]:
            del self._alike[size][shape], self._shapes[_shape(piece)]
        if not self._alike[size]:
            del self._alike[size]


def _shape(piece: WaitingPiece) -> tuple[object, ...]:
    asked = piece.asked
    return asked.servers, asked.gpus, asked.cpus, piece.places


def _size(piece: WaitingPiece) -> Size:
    asked = piece.asked
    return (0, 0) if piece.places else (asked.servers, asked.each[0])


def _order(piece: WaitingPiece) -> tuple[int, int]:
    return -piece.priority, piece.id
