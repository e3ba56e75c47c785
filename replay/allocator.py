"""The allocator: the one write path, for commands and Python users alike.

A turn: take the lock, catch the state up, decide, append, save pieces and projections when due,
commit, mirror. Kept state stays honest: every event folded in must link to the head before it, and
whatever goes wrong in a turn drops it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from ..ledger.errors import GpuledgerError
from ..ledger.log import Log
from .actor import Actor
from .batch import UNKEYED, Batch, Ended, Gone, Keyed, Recorded
from .cancelling import decide_cancel, decide_leave
from .catalogue import Payload, RequestQueued
from .decision import decide_allocate, decide_queued, waiting_mends
from .ending import decide_release, decide_reset
from .facts import AskedExtend, AskedRelease, Placed, Pool
from .keeping import Keeping
from .leasing import decide_extend
from .line import serve
from .piece import WaitingPiece
from .pool_change import decide_drain, decide_pool, decide_resume
from .rebuilding import Rebuilt
from .refusal import Refusal
from .request import AllocateRequest
from .state import State

Answer = TypeVar("Answer")
Decision = Payload | Refusal | None

LOOK_US = 1_000_000
"""A process that writes again and again looks after other processes this often."""


def _to_tell(batch: Batch) -> list[WaitingPiece]:
    """Those in line whom this turn concerns: who can be served now, and who was cancelled."""
    docket = batch.state.docket
    freed = batch.freed and docket.waiting
    served = serve(batch.state, docket.awake(), batch.at) if freed else ()
    return batch.cancelled + [docket.waiting[number] for number in served]


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
        gone: Gone | None = None,
        tell: Callable[[Iterable[WaitingPiece]], None] | None = None,
        notices: list[str] | None = None,
    ) -> None:
        self._log = log
        self._timeout_s = timeout_s
        self._once = once
        self._groups = groups
        self._gone = gone
        self._tell = tell
        self._looked_us = 0
        self._keeping = Keeping([] if notices is None else notices)

    def allocate(
        self, request: AllocateRequest, actor: Actor, *, key: str | None = None
    ) -> Recorded:
        """Grant a request. Raises Refused, TaskInUse, NoSuchServer, KeyReused, LockTimeout."""
        return self._must(
            lambda state, who, now: decide_allocate(state, request, who, now),
            actor, Keyed(key, request.asked, "allocate"),
        )  # fmt: skip

    def join(self, request: AllocateRequest, actor: Actor, *, key: str | None = None) -> Recorded:
        """Grant a request, or let it stand in line where waiting mends what is in the way.

        Raises as `allocate`, Refused only for what waiting does not mend.
        """
        return self._must(
            lambda state, who, now: decide_queued(state, request, who, now),
            actor, Keyed(key, request.asked, "allocate"),
        )  # fmt: skip

    def serve(
        self, request: AllocateRequest, actor: Actor, *, key: str | None = None
    ) -> Recorded | None:
        """Grant a request that stands in line; None where it is not its turn yet.

        Raises NotWaiting where it stands there no longer, and as `allocate`.
        """

        def decide(state: State, who: Actor, now_us: int) -> Decision:
            decision = decide_allocate(state, request, who, now_us)
            if isinstance(decision, Refusal) and waiting_mends(decision):
                return None
            return decision

        return self._act(decide, actor, Keyed(key, request.asked, "allocate"))

    def extend(self, asked: AskedExtend, actor: Actor, *, key: str | None = None) -> Recorded:
        """Let leases end later, all or nothing. Raises as `decide_extend`, and Refused."""
        return self._must(
            lambda state, who, now: decide_extend(state, asked, who, now),
            actor, Keyed(key, asked, "extend"),
        )  # fmt: skip

    def cancel(
        self, asked: AskedRelease, actor: Actor, *, key: str | None = None
    ) -> Recorded | None:
        """Leave the line; None where `if_held` found none. Raises as `decide_cancel`, Refused."""
        return self._act(
            lambda state, who, _now: decide_cancel(state, asked, who),
            actor, Keyed(key, asked, "cancel"),
        )  # fmt: skip

    def leave(
        self,
        number: int,
        actor: Actor,
        cause: str,
        *,
        keep: bool = False,
        request: AllocateRequest | None = None,
    ) -> None:
        """Take one request out of the line, as `decide_leave` tells."""

        def decide(state: State, who: Actor, _now: int) -> Decision:
            return decide_leave(state, number, who, cause, keep=keep, request=request)

        self._act(decide, actor)

    def tidy(self, actor: Actor) -> None:
        """End the leases that are due, and what is tied to processes that are gone; no more."""
        self._looked_us = 0
        self._act(lambda _state, _who, _now: None, actor)

    def release(self, asked: AskedRelease, actor: Actor, *, key: str | None = None) -> Ended | None:
        """End allocations, all or nothing; None where `if_held` found none. Raises as
        `decide_release`.
        """
        grants, ends = list[Recorded](), dict[int, int | None]()

        def decide(state: State, who: Actor, _now: int) -> Decision:
            decision = decide_release(state, asked, who)
            ends.update(state.leases(getattr(decision, "allocations", ())))
            return decision

        release = self._act(decide, actor, Keyed(key, asked, "release"), grants)
        return None if release is None else Ended(release, tuple(grants), ends)

    def reset(self, actor: Actor, reason: str | None) -> Recorded:
        """End every allocation. Raises Refused, ReasonNeeded."""
        return self._must(lambda state, who, _now: decide_reset(state, reason, who), actor)

    def apply_pool(
        self, pool: Pool, actor: Actor, *, remove: bool, force: bool, reason: str | None
    ) -> Recorded | None:
        """Make the pool what `pool` says; None where it is so already. Raises as `decide_pool`."""
        return self._act(
            lambda state, who, _now: decide_pool(
                state, pool, who, remove=remove, force=force, reason=reason
            ),
            actor,
        )

    def drain(self, on: tuple[Placed, ...], actor: Actor, reason: str | None) -> Recorded | None:
        """No new work there; None where it is drained already. Raises Refused, NoSuchServer."""
        return self._act(lambda state, who, _now: decide_drain(state, on, who, reason), actor)

    def resume(self, on: tuple[Placed, ...], actor: Actor, reason: str | None) -> Recorded | None:
        """New work there again; None where none was drained. Raises Refused, NoSuchServer."""
        return self._act(lambda state, who, _now: decide_resume(state, on, who, reason), actor)

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
        batch.tell_mirrors()
        if self._tell is not None and (concerned := _to_tell(batch)):
            self._tell(concerned)
        return answer

    def with_groups(self, state: State, actor: Actor) -> Actor:
        """The actor with the groups he is in, looked up only where the pool names any."""
        if self._groups is None or not state.pool.admins.groups:
            return actor
        return self._groups(actor)

    def _must(
        self,
        decide: Callable[[State, Actor, int], Payload | Refusal],
        actor: Actor,
        keyed: Keyed = UNKEYED,
    ) -> Recorded:
        recorded = self._act(decide, actor, keyed)
        assert recorded is not None
        return recorded

    def _act(
        self,
        decide: Callable[[State, Actor, int], Decision],
        actor: Actor,
        keyed: Keyed = UNKEYED,
        grants: list[Recorded] | None = None,
    ) -> Recorded | None:
        """Decide in a turn and record the outcome; a refusal is recorded, then raised.

        Where `grants` is given, it is filled with the grants of the allocations that end.
        """

        def work(batch: Batch) -> Recorded | GpuledgerError | None:
            batch.lapse(actor)
            self._look(batch, actor)
            try:
                recorded = self._recorded(batch, decide, actor, keyed)
            except GpuledgerError as error:
                told = batch.explained(error)
                if told is error and not batch.appended:
                    raise
                return told  # what ended by itself has ended, whatever became of this act
            if grants is not None and isinstance(recorded, Recorded):
                grants.extend(batch.grants(recorded.payload.allocations))
            return recorded

        outcome = self.batch(work)
        if isinstance(outcome, GpuledgerError):
            raise outcome
        return outcome

    def _recorded(
        self,
        batch: Batch,
        decide: Callable[[State, Actor, int], Decision],
        actor: Actor,
        keyed: Keyed,
    ) -> Recorded | GpuledgerError | None:
        """What the key answered before, or what is decided now, appended."""
        before = batch.by_key(actor.identity, keyed)
        if before is not None:
            return before
        decision = self._decided(batch, decide, actor)
        if isinstance(decision, Refusal):
            return batch.refuse(decision, actor)
        if decision is None:
            return None
        waits = isinstance(decision, RequestQueued)  # the key is for the answer: the grant
        return batch.append(decision, actor.identity, key=None if waits else keyed.key)

    def _decided(
        self, batch: Batch, decide: Callable[[State, Actor, int], Decision], actor: Actor
    ) -> Decision:
        """The decision; before room is denied, or somebody passed who was stopped, those who hold
        it or wait are looked at once more.
        """
        who = self.with_groups(batch.state, actor)
        decision = decide(batch.state, who, batch.at)
        doubtful = isinstance(decision, Refusal) or batch.state.docket.asleep
        if doubtful and self._looked_us != batch.now_us:
            before = batch.state.seq, batch.state.docket.asleep
            self._look(batch, actor, at_once=True)
            if (batch.state.seq, batch.state.docket.asleep) != before:
                return decide(batch.state, who, batch.at)
        return decision

    def _look(self, batch: Batch, actor: Actor, *, at_once: bool = False) -> None:
        """End what is tied to processes that are gone, looking for them once a second at most."""
        docket = batch.state.docket
        due = at_once or abs(batch.now_us - self._looked_us) >= LOOK_US
        if due and self._gone is not None and (docket.tied or docket.waiting):
            self._looked_us = batch.now_us
            batch.sweep(actor, self._gone)
