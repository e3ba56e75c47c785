"""The line: who of those that wait is served now, who later, and what may pass whom. Pure.

First come, first served, by the priority of projects. Past one that is blocked, a request is
served only if that one starts no later for it, as the leases that run tell (EASY backfill).
Those who wait hold nothing: what they will get is worked out anew each time.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator, Sequence
from heapq import merge

import msgspec

from .fit import exact, find_place, usable
from .foresight import NEVER, Blocked, Shares
from .limit import Wish, breach, given_lease
from .piece import AllocationPiece, WaitingPiece
from .request import AllocateRequest
from .spent import SECOND_US
from .state import State

NO_ROOM = 0
"""Instead of an end: there is no room, however short the lease."""


def serve(
    state: State, line: Sequence[WaitingPiece], now_us: int, free: int | None = None
) -> dict[int, Shares]:
    """What each of those gets who can be served now, by id and in order.

    `free` is the id of one of whom it is known that no limit holds it up as things stand.
    """
    return _Round(state, now_us, free).serve(line)


def forecast(state: State, now_us: int) -> dict[int, int]:
    """When each of those who wait would start (microseconds UTC) if all went by the leases.

    Those are missing of whom no lease tells, and whom a limit holds up that no lease's end mends.
    """
    trial, at, starts = state.copy(), now_us, dict[int, int]()
    while line := trial.docket.line():
        for number, shares in serve(trial, line, at).items():
            _hold(trial, trial.docket.waiting[number], shares, at)
            starts[number] = at
        first = trial.docket.first_end()
        if first is None:
            break
        at = first[0]
        trial.lapse(at)
    return starts


def _hold(trial: State, piece: WaitingPiece, shares: Shares, at: int) -> None:
    """Let a request be served at `at` in a copy of the state."""
    lease = given_lease(trial, piece.owner, piece.project, piece.asked.lease)
    until = None if lease is None else at + lease * SECOND_US
    held = AllocationPiece(
        piece.id, piece.asked.task, piece.owner, piece.user, at, shares, piece.project,
        until=until, request=piece.id,
    )  # fmt: skip
    trial.hold(held)


class _Round:
    """A look down the line at one instant; `trial` holds all that is given away in it.

    `free` is the request of which it is known that no limit holds it up as things stand.
    """

    def __init__(self, state: State, now_us: int, free: int | None) -> None:
        self.trial = state.fleet  # another one as soon as something is given away
        self._state = self._book = state
        self._now_us = now_us
        self._free = free
        limits = state.pool.limits
        self._limits = state.pool.limited
        self._same = not self._limits and limits.gpus_per_task is None
        self._by_task = limits.task.gpu_hours is not None
        self._known: dict[object, bool] = {}
        self._given: dict[int, Shares] = {}
        self._unbooked: list[WaitingPiece] = []
        self._ends: list[tuple[int, int]] = []
        self._heads: list[Blocked] = []
        self._covered = 0
        self._blocked: list[tuple[int, WaitingPiece]] = []
        self._settled: set[int] = set()

    def serve(self, line: Sequence[WaitingPiece]) -> dict[int, Shares]:
        """What each of those gets who can be served, by id and in order."""
        denied: dict[int, int] = {}  # by shape: whoever would hold as much as long need not ask
        shape_of, last = self._state.docket.shape_of, line[-1] if line else None
        for piece in line:
            shape = shape_of(piece)
            if denied.get(shape) == NO_ROOM:
                self._block(shape, piece)
                continue
            request = request_of(piece)
            shares = self._place(request, shape)
            if shares is None:
                denied[shape] = NO_ROOM
                self._block(shape, piece)
                continue
            until = self._until(piece)
            if until >= denied.get(shape, NEVER + 1) or not self._ready(piece, shape):
                continue
            shares = self._behind_heads(request, shares, until)
            if shares is not None:
                self._give(piece, shares, until, last=piece is last)
            elif piece.asked.servers == 1 or exact(request):  # over several other ways may be left
                denied[shape] = until
        return self._given

    def ends(self) -> Iterator[tuple[int, Shares]]:
        """The leases that run, those of this round with them, in the order of their ends."""
        docket, given = self._state.docket, self._given
        for until, one in merge(docket.ends, self._ends) if self._ends else docket.ends:
            yield until, given[one] if one in given else docket.running[one].servers

    def held_by(self, number: int) -> Shares:
        """What an allocation holds, or one who was served in this round."""
        piece = self._state.allocation(number)
        return self._given.get(number, ()) if piece is None else piece.servers

    def _place(self, request: AllocateRequest, shape: int) -> Shares | None:
        """Where it has room. One whose servers are not there has none, and holds up nobody."""
        if request.on and not _there(self._state, request):
            self._settled.add(shape)
            return None
        return find_place(self.trial, request)

    def _block(self, shape: int, piece: WaitingPiece) -> None:
        """Remember one who has no room, until somebody has who comes behind."""
        if shape not in self._settled:
            self._blocked.append((shape, piece))

    def _give(self, piece: WaitingPiece, shares: Shares, until: int, *, last: bool) -> None:
        self._given[piece.id] = shares
        if last:  # nobody comes behind
            return
        if self.trial is self._state.fleet:
            self.trial = self.trial.copy()
        self.trial.take(shares, piece.id)
        if until != NEVER:
            insort(self._ends, (until, piece.id))
        for head in self._heads:
            head.admit(shares, until)
        if self._limits:
            self._unbooked.append(piece)
            self._known.clear()

    def _ready(self, piece: WaitingPiece, shape: int) -> bool:
        """Whether room alone is lacking: no limit holds it up, what was given away counted in."""
        if self._same:
            return True
        task = piece.asked.task if self._by_task else None
        key = shape, piece.owner, piece.project, piece.asked.lease, task
        known = self._known.get(key)
        if known is None:
            book = self._booked()
            known = piece.id == self._free and book is self._state
            known = known or breach(book, wish_of(self._state, piece), self._now_us) is None
            self._known[key] = known
        return known

    def _booked(self) -> State:
        """The state with all that was given away so far; a copy as soon as that is anything."""
        if self._unbooked:
            self._book = self._state.copy() if self._book is self._state else self._book
            for piece in self._unbooked:
                _hold(self._book, piece, self._given[piece.id], self._now_us)
            self._unbooked.clear()
        return self._book

    def _until(self, piece: WaitingPiece) -> int:
        """When it would end if it began now."""
        lease = given_lease(self._state, piece.owner, piece.project, piece.asked.lease)
        return NEVER if lease is None else self._now_us + lease * SECOND_US

    def _behind_heads(self, request: AllocateRequest, shares: Shares, until: int) -> Shares | None:
        """These shares if they hinder nobody who is blocked, else others that do not, or None."""
        if not self._hinders(shares, until):
            return shares
        if exact(request):
            return None
        apart, among = self.trial, -1
        for head in self._heads:
            if head.minds(until):
                apart = head.apart(apart)
                among &= ~head.closed()
        while (other := find_place(apart, request, among)) is not None:
            if not self._hinders(other, until):
                return other
            among &= ~self.trial.under(other)
        return None

    def _hinders(self, shares: Shares, until: int) -> bool:
        return any(head.hindered_by(shares, until) for head in self._all_heads())

    def _all_heads(self) -> list[Blocked]:
        """Of the blocked the first on each server that any of them could use.

        Nothing was given away since they were met, so what holds them up now did so then.
        """
        everywhere = (1 << len(self.trial.servers)) - 1
        for shape, piece in self._blocked:
            if self._covered == everywhere:
                break
            if shape in self._settled:
                continue
            request = request_of(piece)
            could = usable(self.trial, request)
            new = could & ~self._covered
            if new and not self._ready(piece, shape):
                continue
            self._settled.add(shape)  # what others of that shape could use is covered now
            if new:
                self._heads.append(Blocked(request, could, self))
                self._covered |= could
        self._blocked.clear()
        return self._heads


def request_of(piece: WaitingPiece) -> AllocateRequest:
    """What a waiting request asks for, its places made out."""
    asked = piece.asked
    if asked.here is not None:
        asked = msgspec.structs.replace(asked, here=None)
    return AllocateRequest(asked, piece.places)


def _there(state: State, request: AllocateRequest) -> bool:
    """Whether the servers and GPUs that it names are there."""
    for place in request.on:
        server = state.server(place.server)
        if server is None or any(server.position(gpu) < 0 for gpu in place.gpus or ()):
            return False
    return True


def wish_of(state: State, piece: WaitingPiece) -> Wish:
    """A waiting request as limits see it."""
    lease = given_lease(state, piece.owner, piece.project, piece.asked.lease)
    return Wish(piece.owner, piece.user, piece.project, request_of(piece), lease)
