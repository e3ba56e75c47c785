"""The line: who of those that wait is served now, who later, and what may pass whom. Pure.

First come, first served, by the priority of projects. Past the first that is blocked, a request
is served only if that one starts no later for it, as the leases that run tell (EASY backfill).
Those who wait hold nothing: what they will get is worked out anew each time.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from .facts import Share
from .fit import exact, find_place
from .limit import Wish, breach, given_lease
from .piece import WaitingPiece
from .request import AllocateRequest
from .spent import SECOND_US
from .state import State

Shares = tuple[Share, ...]
Ends = list[tuple[int, Shares]]


class Blocked:
    """The first in line that has no room: where it could go, and when at the earliest.

    `start` is None where no lease tells.
    """

    def __init__(self, trial: State, request: AllocateRequest, ends: Ends) -> None:
        self._request = request
        self._ends = sorted(ends, key=lambda one: one[0])
        self._could = _could(trial, request)
        self.start = self._earliest(trial)

    def _earliest(self, trial: State) -> int | None:
        later = trial.trial()
        for end, shares in self._ends:
            later.give(shares)
            mine = any(share.server in self._could for share in shares)
            if mine and find_place(later, self._request) is not None:
                return end
        return None

    def delayed_by(self, trial: State, shares: Shares, until: int | None) -> bool:
        """Whether it would start later if these shares were held until then."""
        if not any(share.server in self._could for share in shares):
            return False
        if self.start is None:
            return True
        if until is not None and until <= self.start:
            return False
        with_them = trial.trial()
        with_them.take(shares, -1)
        start = self._earliest(with_them)
        return start is None or start > self.start


def _could(trial: State, request: AllocateRequest) -> frozenset[str]:
    """The servers on which it may ever find room; none where those are too few."""
    asked = request.asked
    if exact(request):
        return frozenset(one.server for one in request.on)
    each = asked.gpus // asked.servers
    named = {one.server for one in request.on}
    found = frozenset(
        server.facts.name
        for server in trial.fleet.servers
        if (not named or server.facts.name in named)
        and len(server.holders) - len(server.drained) >= each
    )
    return found if len(found) >= asked.servers else frozenset()


def request_of(piece: WaitingPiece) -> AllocateRequest:
    """What a waiting request asks for, its places made out."""
    asked = msgspec.structs.replace(piece.asked, here=None)
    return AllocateRequest(asked, piece.places)


def serve(state: State, line: Sequence[WaitingPiece], now_us: int) -> dict[int, Shares]:
    """What each of those gets who can be served now, by id and in order."""
    ends: Ends = []
    for number, until in state.docket.until.items():
        piece = state.allocation(number)
        if piece is not None:
            ends.append((until, piece.servers))
    ready = [piece for piece in line if _ready(state, piece, now_us)]
    return _served(state.trial(), state, ready, ends, now_us)


def _served(
    trial: State, state: State, line: Sequence[WaitingPiece], ends: Ends, now_us: int
) -> dict[int, Shares]:
    """Serve the line from `trial`, which holds afterwards what they get; `ends` grows likewise."""
    served: dict[int, Shares] = {}
    head: Blocked | None = None
    failed = set()
    for piece in line:
        shape = piece.asked.servers, piece.asked.gpus, piece.asked.cpus, piece.places
        if shape in failed:
            continue
        request = request_of(piece)
        shares = find_place(trial, request)
        if shares is None:
            failed.add(shape)
            head = head or Blocked(trial, request, ends)
            continue
        until = end_of(state, piece, now_us)
        if head is not None and head.delayed_by(trial, shares, until):
            continue
        trial.take(shares, piece.id)
        served[piece.id] = shares
        if until is not None:
            ends.append((until, shares))
    return served


def end_of(state: State, piece: WaitingPiece, start_us: int) -> int | None:
    """When a request's lease would end if it began at `start_us`; None without a lease."""
    lease = given_lease(state, piece.owner, piece.project, piece.asked.lease)
    return None if lease is None else start_us + lease * SECOND_US


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


def forecast(state: State, now_us: int) -> dict[int, int]:
    """When each of those who wait would start (microseconds UTC) if all went by the leases.

    Those of whom no lease tells, and those whom a limit holds up, are missing.
    """
    ends: Ends = []
    for number, until in state.docket.until.items():
        piece = state.allocation(number)
        if piece is not None:
            ends.append((until, piece.servers))
    waiting = [piece for piece in state.docket.line() if _ready(state, piece, now_us)]
    trial, at, starts = state.trial(), now_us, dict[int, int]()
    while waiting:
        for number in _served(trial, state, waiting, ends, at):
            starts[number] = at
        waiting = [piece for piece in waiting if piece.id not in starts]
        if not ends:
            break
        first = min(range(len(ends)), key=lambda one: ends[one][0])
        at, shares = ends.pop(first)
        trial.give(shares)
    return starts
