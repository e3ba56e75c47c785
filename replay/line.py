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
from .hosts import absent
from .limit import Wish, breach, given_lease
from .piece import AllocationPiece, WaitingPiece
from .request import AllocateRequest
from .spent import SECOND_US
from .state import State


def serve(
    state: State, line: Sequence[WaitingPiece], now_us: int, alone: Shares | None = None
) -> dict[int, Shares]:
    """What each of those gets who can be served now, by id and in order.

    Whoever does not wait yet can only be the last. Of such a one `alone` may tell what it would
    get if nobody waited; no limit holds it up then, as things stand.
    """
    return _Round(state, now_us, alone).serve(line)


def forecast(state: State, now_us: int) -> dict[int, int]:
    """When each of those who wait would start (microseconds UTC) if all went by the leases.

    Those are missing of whom no lease tells, and whom a limit holds up that no lease's end mends.
    """
    trial, at, starts = state.copy(), now_us, dict[int, int]()
    trial.docket.asleep = state.docket.asleep
    while line := trial.docket.awake():
        for number, shares in serve(trial, line, at).items():
            _hold(trial, trial.docket.waiting[number], shares, at)
            starts[number] = at
        first = trial.docket.first_end()
        if first is None:
            break
        at = first[0]
        trial.lapse(at)
    return starts


def lacks_room(state: State, piece: WaitingPiece, now_us: int) -> bool:
    """Whether one who waits lacks nothing but room."""
    there = _there(state, request_of(piece))
    return there and breach(state, wish_of(state, piece), now_us) is None


def room_at(state: State, piece: WaitingPiece, now_us: int) -> int | None:
    """When one who waits has room if nobody else comes (microseconds UTC), as the leases tell;
    None where none does. The servers that are named must be there.
    """
    request = request_of(piece)
    if find_place(state.fleet, request) is not None:
        return now_us
    look = _Round(state, now_us, None)
    return Blocked(request, usable(state.fleet, request), look).start()


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

    Shapes are `full` for which there is no room, and `settled` where no more heads come of them.
    `alone` is what the last in line would get alone, where it is known.
    """

    def __init__(self, state: State, now_us: int, alone: Shares | None) -> None:
        self.trial = state.fleet  # another one as soon as something is given away
        self._state = self._book = state
        self._now_us = now_us
        self._alone = alone
        limits = state.pool.limits
        self._limits = state.pool.limited
        self._same = not self._limits and limits.gpus_per_task is None
        self._by_task = limits.task.gpu_hours is not None
        self._known: dict[object, bool] = {}
        self._line: Sequence[WaitingPiece] = ()
        self._given: dict[int, Shares] = {}
        self._unbooked: list[WaitingPiece] = []
        self._ends: list[tuple[int, int]] = []
        self._heads: list[Blocked] = []
        self._covered = 0
        self._full: set[int] = set()
        self._settled: set[int] = set()
        self._looked = 0

    def serve(self, line: Sequence[WaitingPiece]) -> dict[int, Shares]:
        """What each of those gets who can be served, by id and in order."""
        self._line, last = line, len(line) - 1
        denied: dict[int, int] = {}  # by shape: whoever would hold as much as long need not ask
        shape_of, full = self._state.docket.shape_of, self._full
        for at in range(self._first(line), len(line)):
            piece = line[at]
            shape = shape_of(piece)
            if shape in full:
                continue
            request = request_of(piece)
            shares = self._place(request, shape, newest=at == last)
            if shares is None:
                continue
            until = self._until(piece)
            if until >= denied.get(shape, NEVER + 1) or not self._ready(piece, shape):
                continue
            self._look_at_blocked(at)
            shares = self._behind_heads(request, shares, until)
            if shares is not None:
                self._give(piece, shares, until, last=at == last)
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

    def _first(self, line: Sequence[WaitingPiece]) -> int:
        """The first who may have room: where none of all the shapes in line has any, that is
        one who comes new, or nobody. A thousand in line may have few shapes.
        """
        docket, fleet = self._state.docket, self.trial
        for (servers, gpus), shapes in docket.sizes().items():
            if fleet.roomy(gpus) < servers:
                self._full.update(shapes)
                continue
            for shape, alike in shapes.items():
                if self._place(request_of(next(iter(alike.values()))), shape) is not None:
                    return 0
        new = bool(line) and line[-1].id not in docket.waiting
        return len(line) - new

    def _place(
        self, request: AllocateRequest, shape: int, *, newest: bool = False
    ) -> Shares | None:
        """Where it has room. One whose servers are not there has none, and holds up nobody."""
        shares = None
        if newest and self._alone is not None and self.trial is self._state.fleet:
            shares = self._alone
        elif not request.on or _there(self._state, request):
            shares = find_place(self.trial, request)
        else:
            self._settled.add(shape)
        if shares is None:
            self._full.add(shape)
        return shares

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
            known = self._alone is not None and piece is self._line[-1] and book is self._state
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
        return any(head.hindered_by(shares, until) for head in self._heads)

    def _look_at_blocked(self, upto: int) -> None:
        """Make heads of those who have no room: the first on each server that any could use.

        Nothing was given away since they were passed by, so what is in their way now was then.
        """
        everywhere = (1 << len(self.trial.servers)) - 1
        passed, self._looked = range(self._looked, upto), upto + 1  # who stands there has room
        for at in passed:
            if self._covered == everywhere or len(self._settled) == len(self._full):
                break
            piece = self._line[at]
            shape = self._state.docket.shape_of(piece)
            if shape in self._settled or shape not in self._full:
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


def request_of(piece: WaitingPiece) -> AllocateRequest:
    """What a waiting request asks for, its places made out."""
    asked = piece.asked
    if asked.here is not None:
        asked = msgspec.structs.replace(asked, here=None)
    return AllocateRequest(asked, piece.places)


def _there(state: State, request: AllocateRequest) -> bool:
    """Whether the servers and GPUs that it names are there."""
    return absent(state, request.on) is None


def wish_of(state: State, piece: WaitingPiece) -> Wish:
    """A waiting request as limits see it."""
    lease = given_lease(state, piece.owner, piece.project, piece.asked.lease)
    return Wish(piece.owner, piece.user, piece.project, request_of(piece), lease)
