"""The line: who of those that wait is served now, who later, and what may pass whom. Pure.

First come, first served, by the priority of projects. Past one that is blocked, a request is
served only if that one starts no later for it, as the leases that run tell (EASY backfill).
Those who wait hold nothing: what they will get is worked out anew each time.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from .fit import exact, find_place, usable
from .foresight import NEVER, Blocked, Ends, Shares
from .limit import Wish, breach, given_lease, limited
from .piece import AllocationPiece, WaitingPiece
from .request import AllocateRequest
from .spent import SECOND_US
from .state import State

NO_ROOM = 0
"""Instead of an end: there is no room, however short the lease."""


def serve(state: State, line: Sequence[WaitingPiece], now_us: int) -> dict[int, Shares]:
    """What each of those gets who can be served now, by id and in order."""
    return _Round(state, now_us).serve(line)


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
    """A look down the line at one instant; `trial` holds all that is given away in it."""

    def __init__(self, state: State, now_us: int) -> None:
        self.trial = state.fleet.copy()
        self._state = self._book = state
        self._now_us = now_us
        limits = state.pool.limits
        self._limits = limited(state.pool)
        self._same = not self._limits and limits.gpus_per_task is None
        self._by_task = limits.task.gpu_hours is not None
        self._known: dict[object, tuple[bool, int]] = {}
        self._given: dict[int, Shares] = {}
        self._ends: Ends = []
        self._heads: list[Blocked] = []
        self._blocked: list[AllocateRequest] = []

    def serve(self, line: Sequence[WaitingPiece]) -> dict[int, Shares]:
        """What each of those gets who can be served, by id and in order."""
        denied: dict[int, int] = {}  # by shape: whoever would hold as much as long need not ask
        shape_of = self._state.docket.shape_of
        for piece in line:
            shape = shape_of(piece)
            if denied.get(shape) == NO_ROOM:
                continue
            ready, until = self._standing(piece, shape)
            if not ready or until >= denied.get(shape, NEVER + 1):
                continue
            request = request_of(piece)
            shares = find_place(self.trial, request)
            if shares is None:
                denied[shape] = NO_ROOM
                self._blocked.append(request)
                continue
            shares = self._behind_heads(request, shares, until)
            if shares is not None:
                self._give(piece, shares, until)
            elif piece.asked.servers == 1 or exact(request):  # over several other ways may be left
                denied[shape] = until
        return self._given

    def ends(self) -> Ends:
        """The leases that run, those of this round with them."""
        running = self._state.docket.until.items()
        return [*self._ends, *((until, one, self.held_by(one)) for one, until in running)]

    def held_by(self, number: int) -> Shares:
        """What an allocation holds, or one who was served in this round."""
        piece = self._state.allocation(number)
        return self._given.get(number, ()) if piece is None else piece.servers

    def _give(self, piece: WaitingPiece, shares: Shares, until: int) -> None:
        self.trial.take(shares, piece.id)
        self._given[piece.id] = shares
        if until != NEVER:
            self._ends.append((until, piece.id, shares))
        for head in self._heads:
            head.admit(shares, until)
        if self._limits:
            self._book = self._state.copy() if self._book is self._state else self._book
            _hold(self._book, piece, shares, self._now_us)
            self._known.clear()

    def _standing(self, piece: WaitingPiece, shape: int) -> tuple[bool, int]:
        """Whether room alone is lacking, and when it would end if it began now."""
        if self._same and not piece.places:
            return True, self._until(piece.asked.lease)
        task = piece.asked.task if self._by_task else None
        key = shape, piece.owner, piece.project, piece.asked.lease, task
        known = self._known.get(key)
        if known is None:
            lease = given_lease(self._state, piece.owner, piece.project, piece.asked.lease)
            ready = _ready(self._book, piece, self._now_us)
            known = self._known[key] = ready, self._until(lease)
        return known

    def _until(self, lease: int | None) -> int:
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
        """Of the blocked the first on each server that any of them could use."""
        covered = 0
        for head in self._heads:
            covered |= head.usable
        for request in self._blocked:
            could = usable(self.trial, request)
            if could & ~covered:
                self._heads.append(Blocked(request, could, self))
                covered |= could
        self._blocked.clear()
        return self._heads


def request_of(piece: WaitingPiece) -> AllocateRequest:
    """What a waiting request asks for, its places made out."""
    asked = piece.asked
    if asked.here is not None:
        asked = msgspec.structs.replace(asked, here=None)
    return AllocateRequest(asked, piece.places)


def _ready(state: State, piece: WaitingPiece, now_us: int) -> bool:
    """Whether room alone is lacking: its servers are there, and no limit holds it up."""
    for place in piece.places:
        server = state.server(place.server)
        if server is None or any(server.position(gpu) < 0 for gpu in place.gpus or ()):
            return False
    return breach(state, wish_of(state, piece), now_us) is None


def wish_of(state: State, piece: WaitingPiece) -> Wish:
    """A waiting request as limits see it."""
    lease = given_lease(state, piece.owner, piece.project, piece.asked.lease)
    return Wish(piece.owner, piece.user, piece.project, request_of(piece), lease)
