"""A batch: one turn of the allocator, with the state as of now, and appending to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from ..ledger.canonical import encode, encode_record
from ..ledger.errors import GpuledgerError, KeyReused
from ..ledger.event import Draft, Event
from ..ledger.log import Turn
from .actor import Actor
from .catalogue import (
    AllocationExtended,
    AllocationGranted,
    AllocationReleased,
    Payload,
    RequestCancelled,
    RequestQueued,
    RequestRefused,
    version,
)
from .errors import NoSuchTask, Refused
from .facts import STOPPED, Tie
from .fold import decode
from .keeping import Keeping
from .mirroring import note
from .piece import WaitingPiece
from .rebuilding import Rebuilt, rebuild
from .refusal import REPEAT_US, Refusal
from .rights import by
from .state import LEASE

Gone = Callable[[Tie], str | None]

SAME = ("act", "reason", "asked", "asked_release", "asked_change", "asked_extend")
"""What makes a refusal the same as the actor's last one."""


def _encode(payload: Payload) -> bytes:
    """The event's data: grants and releases hold only what their requests were checked for."""
    checked = isinstance(payload, AllocationGranted | AllocationReleased)
    return encode_record(payload) if checked else encode(payload)


ANSWERS = {
    "allocate": AllocationGranted.KIND,
    "extend": AllocationExtended.KIND,
    "release": AllocationReleased.KIND,
    "cancel": RequestCancelled.KIND,
}
"""The kind of event that answers what a retry key may stand for."""


class Keyed(msgspec.Struct, frozen=True):
    """A retry key, and what it stands for: what was asked, and of which command."""

    key: str | None = None
    asked: object = None
    act: str = ""


UNKEYED = Keyed()
"""Asked without a key."""


class Recorded(msgspec.Struct, frozen=True):
    """An event that was appended (or found by its retry key) and what it says."""

    event: Event
    payload: Any


def _frees(payload: Payload) -> bool:
    """Whether somebody in line may be served after this event: all but what only takes."""
    if isinstance(payload, AllocationGranted):
        return payload.request is not None
    return not isinstance(payload, RequestRefused | RequestQueued)


class Ended(msgspec.Struct, frozen=True):
    """A release, with the grants that it ended, each from its own event.

    `ends` tells when their leases would have ended (microseconds UTC), None for one without;
    of a release that was found by its retry key it is empty.
    """

    release: Recorded
    grants: tuple[Recorded, ...]
    ends: dict[int, int | None]


class Batch:
    """One turn of the allocator: the state as of now, and appending to it."""

    def __init__(self, turn: Turn, keeping: Keeping) -> None:
        self._turn = turn
        self._keeping = keeping
        self.now_us = turn.now_us
        """The wall clock as read in this turn (microseconds UTC)."""
        self.appended = False
        self.freed = False
        self.cancelled: list[WaitingPiece] = []
        self.state = keeping.catch_up(turn)

    @property
    def at(self) -> int:
        """The time of an event that is appended now: the clock's, never below the last one's."""
        return max(self.now_us, self.state.head.at)

    def lapse(self, actor: Actor) -> None:
        """End the leases that are due, oldest first, each at its own end, by an event each."""
        docket = self.state.docket
        while docket.ends and (due := docket.due(self.at)) is not None:
            until, number = due
            ended = AllocationReleased(by(actor), (number,), LEASE, clock=self.now_us)
            self.append(ended, actor.identity, at=until)

    def sweep(self, actor: Actor, gone: Gone) -> None:
        """End what is tied to processes of this host that are gone, and the waits of such.

        `gone` says `process` or `reboot`, `stopped` for what does nothing for the time being, or
        None for what is there or is not ours to judge. Who is stopped keeps nobody waiting.
        """
        docket = self.state.docket
        for number in [number for number, host in docket.tied.items() if host == actor.host]:
            piece = self.state.allocation(number)
            why = gone(piece.tie) if piece is not None and piece.tie is not None else None
            if why not in (None, STOPPED):
                self.append(AllocationReleased(by(actor), (number,), why), actor.identity)
        asleep: set[int] = set()
        for waiting in list(docket.waiting.values()):
            tie = waiting.waiter
            why = gone(tie) if tie is not None and tie.host == actor.host else None
            over = waiting.until is not None and waiting.until <= self.now_us
            if over and why in (None, STOPPED):
                why = "waited"
            if why == STOPPED:
                asleep.add(waiting.id)
            elif why is not None:
                self.append(RequestCancelled(by(actor), (waiting.id,), why), actor.identity)
        docket.asleep = frozenset(asleep)

    def append(
        self, payload: Payload, actor: str, *, key: str | None = None, at: int | None = None
    ) -> Recorded:
        """Append one event and fold it in; `at` only for a past that lies elsewhere."""
        now, last = self.now_us, self.state.head.at
        when = max(now, last) if at is None else max(at, last)
        if when != now and at is None:
            payload = msgspec.structs.replace(payload, clock=now)
        if isinstance(payload, RequestCancelled):
            leaving = map(self.state.docket.waiting.get, payload.requests)
            self.cancelled += [piece for piece in leaving if piece is not None]
        draft = Draft(when, payload.KIND, version(payload.KIND), actor, key, _encode(payload))
        event = self._turn.append(draft, self.state.head)
        effects = self.state.accept(event)
        self.appended = True
        self.freed = self.freed or _frees(payload)
        assert effects.void is None, f"decided what is impossible: {effects.void}"
        self._keeping.note(event.seq, effects)
        if isinstance(payload, AllocationGranted):
            self._keeping.keep_grant(event, payload)
        return Recorded(event, payload)

    def by_key(self, actor: str, keyed: Keyed) -> Recorded | None:
        """The event that answered this key before. Raises KeyReused where it asked for
        something else.
        """
        key = keyed.key
        event = self._turn.find_key(actor, key) if key is not None else None
        if key is None or event is None:
            return None
        payload = decode(event)
        answered = payload.KIND, getattr(payload, "asked", None)
        if answered != (ANSWERS[keyed.act], keyed.asked):
            raise KeyReused(key, event.seq)
        return Recorded(event, payload)

    def explained(self, error: GpuledgerError) -> GpuledgerError:
        """The error; where no allocation of a number runs, with whether there ever was one."""
        if not (isinstance(error, NoSuchTask) and error.ended):
            return error
        number = int(error.task[1:])
        there = (event.kind for event in self._turn.read(number - 1, number))
        if next(there, AllocationGranted.KIND) == AllocationGranted.KIND:
            return error
        return NoSuchTask(error.task, error.user, never=True)

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
                asked_extend=refusal.asked_extend,
            ),
            actor.identity,
        )
        return Refused(reason, recorded.event.seq, **facts)

    def grants(self, allocations: Iterable[int]) -> list[Recorded]:
        """The granted events with these ids: as this process recorded them, else read again."""
        return [self._grant(seq) for seq in allocations]

    def _grant(self, seq: int) -> Recorded:
        own = self._keeping.grant(seq)
        if own is not None:
            return Recorded(*own)
        event = next(iter(self._turn.read(seq - 1, seq)))
        return Recorded(event, decode(event))

    def first_of(self, kind: str) -> int | None:
        """The seq of the first event of that kind, if there is one."""
        return next((event.seq for event in self._turn.read(0) if event.kind == kind), None)

    def save(self) -> None:
        """Save pieces and projections where that is due, and say where the mirrors are."""
        self._keeping.save_if_due(self._turn)
        self._turn.mirrors = tuple(self.state.docket.mirrors)

    def prepare_mirror(self, directory: str) -> None:
        """Make ready for mirroring into `directory`; raises MirrorUnusable."""
        self._turn.prepare_mirror(directory)

    def tell_mirrors(self) -> None:
        """After the turn: note what kept it from writing to the mirrors."""
        for one in self._turn.mirrored:
            note(self._keeping.notices, one)

    @property
    def lagging(self) -> bool:
        """After the turn: whether a mirror can be written to, and another turn writes more."""
        return any(one.trouble == "behind" for one in self._turn.mirrored)

    def rebuild(self) -> Rebuilt:
        """Drop snapshot and projections and save them anew, and compare."""
        rebuilt = rebuild(self._turn, self._keeping)
        self.state = self._keeping.fold_rest(self._turn)
        return rebuilt
