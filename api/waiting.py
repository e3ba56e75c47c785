"""Waiting in line: from joining it to the grant, or to leaving it with nothing behind.

Whoever frees something rings the bell of those who can be served; each then takes what is his
in a turn of his own, so nobody ever holds what no living process was given. Leases end without
a bell: who waits knows when. Below both lies a look at the head of the log every second or so,
seldom enough to cost a two-thousandth of a core.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

import msgspec

from gpuledger.bell import Bell
from gpuledger.hangup import HungUp
from gpuledger.ledger.errors import GpuledgerError
from gpuledger.ledger.event import Head
from gpuledger.replay.actor import Actor
from gpuledger.replay.allocator import Allocator
from gpuledger.replay.batch import Gone, Recorded
from gpuledger.replay.catalogue import RequestQueued
from gpuledger.replay.errors import NotWaiting, WaitedInVain
from gpuledger.replay.facts import STOPPED
from gpuledger.replay.line import serve
from gpuledger.replay.queue import hopeless
from gpuledger.replay.request import AllocateRequest
from gpuledger.replay.spent import SECOND_US
from gpuledger.replay.state import State

POLL_S = 1.0
SPARING = 2_000
"""A look that cost one second is followed by none for so many."""
HOP_S = 0.02
"""How long each of those ahead who can be served too is left the first step."""
ANEW_S = 60.0
"""After so long everything is looked at anew: what a limit counts grows less without an event."""


class Readable(Protocol):
    """What a wait asks of a ledger: its state as of now, and its head."""

    def state(self) -> State:
        """The state now, with the leases ended that are due."""
        ...

    def head(self) -> Head:
        """Where the log ends."""
        ...


class Wait:
    """One request's way through the line. `number` is its id once it stands there."""

    def __init__(
        self,
        ledger: Readable,
        allocator: Allocator,
        actor: Actor,
        *,
        gone: Gone,
        clock_us: Callable[[], int],
        told: Callable[[int], None] | None = None,
    ) -> None:
        self._ledger = ledger
        self._allocator = allocator
        self._actor = actor
        self._gone = gone
        self._clock_us = clock_us
        self._told = told
        self.number = 0

    def served(self, request: AllocateRequest, key: str | None, wait_s: float) -> Recorded:
        """The grant, at once or after at most `wait_s` seconds (infinite where that is).

        Raises WaitedInVain, NotWaiting where somebody cancelled it, Refused for what waiting
        does not mend, and as `Allocator.allocate`.
        """
        bell = Bell()
        try:
            if math.isfinite(wait_s):
                give_up = self._clock_us() + int(wait_s * SECOND_US)
                request = msgspec.structs.replace(request, give_up=give_up)
            request = msgspec.structs.replace(request, port=bell.port)
            joined = self._allocator.join(request, self._actor, key=key)
            if not isinstance(joined.payload, RequestQueued):
                return joined
            self.number = joined.event.seq
            return self._stand(
                msgspec.structs.replace(request, waiting=self.number), key, wait_s, bell
            )
        finally:
            bell.close()

    def _stand(
        self, request: AllocateRequest, key: str | None, wait_s: float, bell: Bell
    ) -> Recorded:
        try:
            if self._told is not None:
                self._told(self.number)
            return self._until_served(request, key, wait_s, bell)
        except NotWaiting:
            raise
        except WaitedInVain:
            self._leave("waited", request)
            raise
        except BaseException as error:
            # A grant under a key is what the key's answer tells, so it must not be empty.
            kept = key is not None and isinstance(error, HungUp)
            with suppress(GpuledgerError):
                self._leave("owner", request, keep=kept)
            raise

    def _leave(self, cause: str, request: AllocateRequest, *, keep: bool = False) -> None:
        self._allocator.leave(self.number, self._actor, cause, keep=keep, request=request)

    def _until_served(
        self, request: AllocateRequest, key: str | None, wait_s: float, bell: Bell
    ) -> Recorded:
        deadline, patient = time.monotonic() + wait_s, True
        while True:
            began = time.process_time()
            state = self._ledger.state()
            ahead = self._ahead(state, request)
            if ahead is not None and (ahead == 0 or not patient):
                recorded = self._allocator.serve(request, self._actor, key=key)
                if recorded is not None:
                    return recorded
            elif ahead is not None:
                patient = bell.heard(ahead * HOP_S)
                continue
            patient = True
            if time.monotonic() >= deadline:
                raise WaitedInVain(request.asked.task, round(wait_s))
            pause = max(POLL_S, (time.process_time() - began) * SPARING)
            self._rest(state, bell, pause, deadline)

    def _ahead(self, state: State, request: AllocateRequest) -> int | None:
        """How many can be served before this request; None where it cannot be itself.

        Where the pool has become one that never can, it is its turn to be told so.
        """
        piece, now = state.docket.waiting.get(self.number), max(self._clock_us(), state.head.at)
        if piece is None or not state.docket.stands(request):
            raise NotWaiting(request.asked.task, self._actor.user, self.number)
        if hopeless(state, piece, now):
            return 0
        served = list(serve(state, state.docket.awake(), now))
        if served[:1] != [self.number]:  # those ahead may be stopped
            state.docket.look(self._gone)
            served = list(serve(state, state.docket.awake(), now))
        return served.index(self.number) if self.number in served else None

    def _rest(self, state: State, bell: Bell, pause_s: float, deadline: float) -> None:
        """Until the bell rings, a lease ends, the log has grown or a process is gone or stopped."""
        first, anew = state.docket.first_end(), time.monotonic() + ANEW_S
        while True:
            until = min(pause_s, deadline - time.monotonic(), anew - time.monotonic())
            if first is not None:
                until = min(until, (first[0] - self._clock_us()) / SECOND_US)
            if until <= 0 or bell.heard(until):
                return
            if first is not None and first[0] <= self._clock_us():
                return
            if self._ledger.head() != state.head or self._anybody_gone(state):
                return

    def _anybody_gone(self, state: State) -> bool:
        """End what is tied to processes that are gone, if any is; whether that was so, or others
        are stopped than before.
        """
        docket = state.docket
        waits = {one.id: self._gone(one.waiter) for one in docket.waiting.values() if one.waiter}
        running = map(state.allocation, docket.tied)
        holds = [self._gone(one.tie) for one in running if one is not None and one.tie]
        if any(why not in (None, STOPPED) for why in (*waits.values(), *holds)):
            self._allocator.tidy(self._actor)
            return True
        return docket.asleep != frozenset(n for n, why in waits.items() if why == STOPPED)
