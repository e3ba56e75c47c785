"""The state: pieces up to a head, and the questions that commands ask of it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator

import msgspec

from ..ledger.errors import BrokenChain
from ..ledger.event import START, Event, Head
from .docket import Docket
from .fold import fold
from .gap import lose
from .holding import Effects, Holding
from .hole import Finder, Holes, no_holes
from .piece import POOL, AllocationPiece, Piece, PoolPiece, RefusalPiece, ServerPiece, TasksPiece
from .placement import Fleet
from .tenure import begin, end

LEASE = "lease"
"""The cause of an end that a lease made."""


class State:
    """What the events up to `head` amount to.

    Events move it forward, one at a time (`apply`, `show`, `accept`). What no event tells, a
    reader sees in it by `lapse`, and a trial in a `copy` by `hold`. `holes` tells of what is
    missing in the log, where events have come to lie behind a hole.
    """

    __slots__ = ("_docket", "_finder", "_fleet", "head", "pieces")

    def __init__(
        self, pieces: dict[str, Piece] | None = None, head: Head = START, holes: Holes = no_holes
    ) -> None:
        self.pieces: dict[str, Piece] = {} if pieces is None else pieces
        self.head = head
        self._finder = Finder(holes)
        self._fleet: Fleet | None = None
        self._docket: Docket | None = None

    def over(self, holes: Holes) -> State:
        """The same state, that asks `holes` what is missing in the log from now on."""
        self._finder = Finder(holes)
        return self

    def apply(self, event: Event) -> Effects:
        """Fold one event in, hashed again; raises BrokenChain where it is not the next one, or
        the next behind a hole that the log names.
        """
        wrong = self._finder.wrong(event, self.head)
        if wrong is not None:
            raise BrokenChain("", wrong, event.seq)
        return self._behind(event)

    def show(self, event: Event, breaks: list[tuple[int, str]]) -> Effects:
        """Fold one event in for a reader: a break of the chain is remembered, reading goes on."""
        wrong = self._finder.wrong(event, self.head)
        if wrong is not None:
            breaks.append((event.seq, wrong))
        return self._behind(event)

    def _behind(self, event: Event) -> Effects:
        """Fold one event in, and the hole before it; what both did."""
        hole = self._finder.between(self.head, event)
        if hole is None:
            return self.accept(event)
        touched = lose(self.pieces, hole, self.head.at, event.at)
        self._follow(touched)
        effects = self.accept(event)
        return msgspec.structs.replace(effects, touched=(*touched, *effects.touched))

    def accept(self, event: Event) -> Effects:
        """Fold one event in unchecked: one that this process has just sealed."""
        effects = fold(self.pieces, event)
        self.head = Head(event.seq, event.hash, event.at)
        self._follow(effects.touched)
        return effects

    def _follow(self, touched: Iterable[str]) -> None:
        if self._fleet is not None:
            self._fleet.follow(self.pieces, touched)
        if self._docket is not None:
            self._docket.follow(self.pieces, touched)

    def lapse(self, now_us: int) -> list[Holding]:
        """End the leases that are due by `now_us`, for a reader who writes nothing.

        Returns the holdings that ended, each at its lease's end, or at the head's time where a
        forged lease ended before it: as a writer would record it. The head stays where it is.
        """
        closed: list[Holding] = []
        while (due := self.docket.due(now_us)) is not None:
            until, number = due
            touched, holdings = end(self.pieces, max(until, self.head.at), (number,), (LEASE, None))
            closed += holdings
            self._follow(touched)
        return closed

    def copy(self) -> State:
        """Another one, to be moved on its own: for finding out what would be."""
        other = State(dict(self.pieces), self.head)
        other._finder = self._finder
        return other

    def hold(self, piece: AllocationPiece) -> None:
        """In a copy: let an allocation run that no event tells of."""
        self._follow(begin(self.pieces, piece))

    def prolong(self, piece: AllocationPiece, until: int) -> None:
        """In a copy: let an allocation's lease end at `until` (microseconds UTC) instead."""
        key = f"allocation:{piece.id}"
        self.pieces[key] = msgspec.structs.replace(piece, until=until)
        self._follow((key,))

    @property
    def seq(self) -> int:
        """The seq of the last event folded."""
        return self.head.seq

    @property
    def pool(self) -> PoolPiece:
        """The pool's frame: server names in order, limits, admins.

        Raises BrokenChain where the log does not begin with the event that makes it.
        """
        pool = self.pieces.get(POOL)
        if not isinstance(pool, PoolPiece):
            raise BrokenChain("", "no event makes the pool", 1)
        return pool

    @property
    def fleet(self) -> Fleet:
        """The servers arranged for placement; made when first asked for."""
        if self._fleet is None:
            self._fleet = Fleet(self.servers())
        return self._fleet

    @property
    def docket(self) -> Docket:
        """Leases, ties, projects and the line, by what they are looked up for."""
        if self._docket is None:
            self._docket = Docket(self.pieces)
        return self._docket

    def servers(self) -> Iterator[ServerPiece]:
        """The pool's servers in pool order."""
        for name in self.pool.servers:
            server = self.pieces["server:" + name]
            assert isinstance(server, ServerPiece)
            yield server

    def server(self, name: str) -> ServerPiece | None:
        """The server of that name, or None where the pool has none."""
        server = self.pieces.get("server:" + name)
        return server if isinstance(server, ServerPiece) and server.holders else None

    def allocation(self, number: int) -> AllocationPiece | None:
        """The running allocation with that id, if any."""
        piece = self.pieces.get(f"allocation:{number}")
        return piece if isinstance(piece, AllocationPiece) else None

    def allocations(self) -> list[AllocationPiece]:
        """All running allocations, by id."""
        found = [piece for piece in self.pieces.values() if isinstance(piece, AllocationPiece)]
        return sorted(found, key=lambda piece: piece.id)

    def leases(self, allocations: Iterable[int]) -> dict[int, int | None]:
        """When the leases of running allocations end (microseconds UTC); None for one without."""
        pieces = map(self.allocation, allocations)
        return {piece.id: piece.until for piece in pieces if piece is not None}

    def tasks(self, owner: str) -> tuple[tuple[str, int], ...]:
        """The running tasks of an owner: pairs of name and allocation id."""
        piece = self.pieces.get("tasks:" + owner)
        return piece.tasks if isinstance(piece, TasksPiece) else ()

    def named(self, owner: str, task: str) -> list[int]:
        """The running allocations of an owner under a name: in a forged log more than one."""
        tasks = self.tasks(owner)
        found: list[int] = []
        at = bisect_left(tasks, (task, 0))
        while at < len(tasks) and tasks[at][0] == task:
            found.append(tasks[at][1])
            at += 1
        return found

    def last_refusal(self, actor: str) -> RefusalPiece | None:
        """The actor's last recorded refusal."""
        piece = self.pieces.get("refusal:" + actor)
        return piece if isinstance(piece, RefusalPiece) else None


def replay(events: Iterable[Event], holes: Holes = no_holes) -> State:
    """The state that these events, from the first one on, amount to."""
    state = State(holes=holes)
    for event in events:
        state.apply(event)
    return state
