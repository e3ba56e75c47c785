"""The allocator: the one write path, for commands and Python users alike.

A turn: take the lock, catch the state up, decide, append, save pieces and projections
when due, commit. What keeps the kept state honest: every event folded in must link to
the head before it, and whatever goes wrong in a turn drops the kept state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import msgspec

from ..ledger.canonical import encode, encode_record
from ..ledger.errors import GpuledgerError, KeyReused
from ..ledger.event import Draft, Event
from ..ledger.log import Log, Turn
from .actor import Actor
from .catalogue import AllocationGranted, AllocationReleased, Payload, RequestRefused, version
from .decision import decide_allocate
from .ending import decide_release, decide_reset
from .errors import Refused
from .facts import AskedRelease, Placed, Pool
from .fold import decode
from .keeping import Keeping
from .pool_change import decide_drain, decide_pool, decide_resume
from .rebuilding import Rebuilt, rebuild
from .refusal import REPEAT_US, Refusal
from .request import AllocateRequest
from .rights import by
from .state import State

Answer = TypeVar("Answer")
Decision = Payload | Refusal | None


SAME = ("act", "reason", "asked", "asked_release", "asked_change")
"""What makes a refusal the same as the actor's last one."""


def _encode(payload: Payload) -> bytes:
    """The event's data: grants and releases hold only what their requests were checked for."""
    checked = isinstance(payload, AllocationGranted | AllocationReleased)
    return encode_record(payload) if checked else encode(payload)


class Recorded(msgspec.Struct, frozen=True):
    """An event that was appended (or found by its retry key) and what it says."""

    event: Event
    payload: Any


class Ended(msgspec.Struct, frozen=True):
    """A release, with the grants that it ended, each from its own event."""

    release: Recorded
    grants: tuple[Recorded, ...]


class Allocator:
    """Writes to one log.

    `once` closes the log's connection with the turn, for a program that writes one time.
    `groups` looks up an actor's groups; called inside the turn, where the pool names groups.
    `notices` gathers what a turn had to say: a snapshot that did not fit, and was replayed.
    """

    def __init__(
        self,
        log: Log,
        *,
        timeout_s: float = 60.0,
        once: bool = False,
        groups: Callable[[Actor], Actor] | None = None,
        notices: list[str] | None = None,
    ) -> None:
        self._log = log
        self._timeout_s = timeout_s
        self._once = once
        self._groups = groups
        self._keeping = Keeping([] if notices is None else notices)

    def allocate(
        self, request: AllocateRequest, actor: Actor, *, key: str | None = None
    ) -> Recorded:
        """Grant a request. Raises Refused, TaskInUse, NoSuchServer, KeyReused, LockTimeout."""
        return self._must(
            lambda state, who: decide_allocate(state, request, who), actor, key, request.asked
        )

    def release(self, asked: AskedRelease, actor: Actor, *, key: str | None = None) -> Ended | None:
        """End allocations, all or nothing; None where `if_held` found none. Raises as
        `decide_release`.
        """
        grants: list[Recorded] = []
        release = self._act(
            lambda state, who: decide_release(state, asked, who), actor, key, asked, grants
        )
        return None if release is None else Ended(release, tuple(grants))

    def reset(self, actor: Actor, reason: str | None) -> Recorded:
        """End every allocation. Raises Refused, ReasonNeeded."""
        return self._must(lambda state, who: decide_reset(state, reason, who), actor)

    def apply_pool(
        self, pool: Pool, actor: Actor, *, remove: bool, force: bool, reason: str | None
    ) -> Recorded | None:
        """Make the pool what `pool` says; None where it is so already. Raises as `decide_pool`."""
        return self._act(
            lambda state, who: decide_pool(
                state, pool, who, remove=remove, force=force, reason=reason
            ),
            actor,
        )

    def drain(self, on: tuple[Placed, ...], actor: Actor, reason: str | None) -> Recorded | None:
        """No new work there; None where it is drained already. Raises Refused, NoSuchServer."""
        return self._act(lambda state, who: decide_drain(state, on, who, reason), actor)

    def resume(self, on: tuple[Placed, ...], actor: Actor, reason: str | None) -> Recorded | None:
        """New work there again; None where none was drained. Raises Refused, NoSuchServer."""
        return self._act(lambda state, who: decide_resume(state, on, who, reason), actor)

    def rebuild(self) -> Rebuilt:
        """Drop snapshot and projections and make them anew from the log alone.

        Raises BrokenChain where the log itself does not hold together.
        """
        return self.batch(lambda batch: batch.rebuild())

    def batch(self, work: Callable[[Batch], Answer]) -> Answer:
        """Run `work` in one turn: what it appends is there whole or not at all."""
        batch: Batch | None = None
        try:
            with self._log.turn(self._timeout_s, last=self._once) as turn:
                batch = Batch(turn, self._keeping)
                answer = work(batch)
                batch.save()
        except BaseException as error:
            harmless = isinstance(error, GpuledgerError) and batch is not None
            if not harmless or (batch is not None and batch.appended):
                self._keeping.forget()
            raise
        return answer

    def with_groups(self, state: State, actor: Actor) -> Actor:
        """The actor with the groups he is in, looked up only where the pool names any."""
        if self._groups is None or not state.pool.admins.groups:
            return actor
        return self._groups(actor)

    def _must(
        self,
        decide: Callable[[State, Actor], Payload | Refusal],
        actor: Actor,
        key: str | None = None,
        asked: object = None,
    ) -> Recorded:
        recorded = self._act(decide, actor, key, asked)
        assert recorded is not None
        return recorded

    def _act(
        self,
        decide: Callable[[State, Actor], Decision],
        actor: Actor,
        key: str | None = None,
        asked: object = None,
        grants: list[Recorded] | None = None,
    ) -> Recorded | None:
        """Decide in a turn and record the outcome; a refusal is recorded, then raised.

        Where `grants` is given, it is filled with the grants of the allocations that end.
        """

        def ended(batch: Batch, recorded: Recorded) -> Recorded:
            if grants is not None:
                grants.extend(batch.grants(recorded.payload.allocations))
            return recorded

        def work(batch: Batch) -> Recorded | Refused | None:
            before = batch.by_key(actor.identity, key, asked) if key is not None else None
            if before is not None:
                return ended(batch, before)
            decision = decide(batch.state, self.with_groups(batch.state, actor))
            if isinstance(decision, Refusal):
                return batch.refuse(decision, actor)
            if decision is None:
                return None
            return ended(batch, batch.append(decision, actor.identity, key=key))

        outcome = self.batch(work)
        if isinstance(outcome, Refused):
            raise outcome
        return outcome


class Batch:
    """One turn of the allocator: the state as of now, and appending to it."""

    def __init__(self, turn: Turn, keeping: Keeping) -> None:
        self._turn = turn
        self._keeping = keeping
        self.appended = False
        self.state = keeping.catch_up(turn)

    def append(
        self, payload: Payload, actor: str, *, key: str | None = None, at: int | None = None
    ) -> Recorded:
        """Append one event and fold it in; `at` only for a past that lies elsewhere."""
        now, last = self._turn.now_us, self.state.head.at
        when = max(now, last) if at is None else max(at, last)
        if when != now and at is None:
            payload = msgspec.structs.replace(payload, clock=now)
        draft = Draft(when, payload.KIND, version(payload.KIND), actor, key, _encode(payload))
        event = self._turn.append(draft, self.state.head)
        effects = self.state.accept(event)
        self.appended = True
        assert effects.void is None, f"decided what is impossible: {effects.void}"
        self._keeping.note(event.seq, effects)
        return Recorded(event, payload)

    def by_key(self, actor: str, key: str, asked: object) -> Recorded | None:
        """The event that answered this key before. Raises KeyReused where it asked for
        something else.
        """
        event = self._turn.find_key(actor, key)
        if event is None:
            return None
        payload = decode(event)
        if getattr(payload, "asked", None) != asked:
            raise KeyReused(key, event.seq)
        return Recorded(event, payload)

    def refuse(self, refusal: Refusal, actor: Actor) -> Refused:
        """Record a refusal, unless it is the actor's last one again within a minute."""
        last = self.state.last_refusal(actor.identity)
        facts = {name: getattr(refusal, name) for name in refusal.__struct_fields__}
        reason = facts.pop("reason")
        same = last is not None and all(
            getattr(last, name) == getattr(refusal, name) for name in SAME
        )
        if last is not None and same and abs(self.now_us - last.clock_us) < REPEAT_US:
            return Refused(reason, last.seq, **facts)
        recorded = self.append(
            RequestRefused(
                refusal.act,
                refusal.user,
                reason,
                by(actor),
                refusal.asked,
                refusal.asked_release,
                refusal.asked_change,
            ),
            actor.identity,
        )
        return Refused(reason, recorded.event.seq, **facts)

    @property
    def now_us(self) -> int:
        """The wall clock as read in this turn (microseconds UTC)."""
        return self._turn.now_us

    def grants(self, allocations: Iterable[int]) -> list[Recorded]:
        """The granted events with these ids."""
        events = [next(iter(self._turn.read(seq - 1, seq))) for seq in allocations]
        return [Recorded(event, decode(event)) for event in events]

    def first_of(self, kind: str) -> int | None:
        """The seq of the first event of that kind, if there is one."""
        return next((event.seq for event in self._turn.read(0) if event.kind == kind), None)

    def save(self) -> None:
        """Save pieces and projections where that is due."""
        self._keeping.save_if_due(self._turn)

    def rebuild(self) -> Rebuilt:
        """Drop snapshot and projections and save them anew, and compare."""
        rebuilt = rebuild(self._turn, self._keeping)
        self.state = self._keeping.state_at(self._turn)
        return rebuilt
