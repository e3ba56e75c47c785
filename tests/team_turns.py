"""What each turn of the booking machine is held to, whatever it is about.

What ends by itself comes first: leases at their own ends, the oldest first, then what is tied to
processes that are gone. What a reader showed before is what the turn then records. Whoever can
be served after it has been told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import msgspec
from hypothesis.stateful import RuleBasedStateMachine, invariant

from drawn_pools import benches_of
from drawn_teams import FAR, HERE
from forging import Raw
from gpuledger.ledger.canonical import encode
from gpuledger.ledger.errors import GpuledgerError
from gpuledger.ledger.event import Draft, Event
from gpuledger.ledger.sqlite_log import SqliteLog
from gpuledger.replay.actor import Actor
from gpuledger.replay.allocator import Allocator
from gpuledger.replay.catalogue import (
    AllocationGranted,
    AllocationReleased,
    LedgerCreated,
    RequestCancelled,
    RequestQueued,
    RequestRefused,
    version,
)
from gpuledger.replay.errors import Refused
from gpuledger.replay.facts import Admins, AdminUser, By, Pool, Process, Share, Tie
from gpuledger.replay.fold import decode
from gpuledger.replay.invariants import broken
from gpuledger.replay.line import serve
from gpuledger.replay.piece import WaitingPiece, state_hash
from gpuledger.replay.state import State, replay
from gpuledger.replay.verification import verify
from memory_log import MemoryLog
from prefixes import Booked
from small_pools import ADA, BOB, ROOT
from team_model import Model, Plan

S = 1_000_000
BEGINS = 444_444 * 3_600
TEAM = tuple(msgspec.structs.replace(actor, host=HERE) for actor in (ROOT, ADA, BOB))
ADMINS = Admins((AdminUser("root", "uid:0"),))


def outcome(act: Callable[[], Any]) -> tuple[Any, GpuledgerError | None]:
    """What an act answers, or with which error of ours it ends."""
    try:
        return act(), None
    except GpuledgerError as error:
        return None, error


def shares_by(plan: dict[int, tuple[Share, ...]]) -> Plan:
    """What is given to whom, as the model writes it."""
    return {
        number: tuple((one.server, one.gpus, one.cpus) for one in shares)
        for number, shares in plan.items()
    }


Readable = MemoryLog | SqliteLog


class Turn(NamedTuple):
    """What came of an act: its answer or error, what it recorded itself, and when (seconds)."""

    answer: Any
    error: GpuledgerError | None
    event: Event | None
    at: int


class Turns(RuleBasedStateMachine):
    """Root, ada and bob, and root's program that opens the log once a command."""

    def __init__(self) -> None:
        super().__init__()
        self.now = BEGINS
        self.processes: dict[int, tuple[int, str]] = {}
        self.dead: dict[int, str] = {}
        self.give_up: dict[int, int] = {}
        self.told: list[int] = []
        self.rung: set[int] = set()
        self.cancelled: set[int] = set()
        self.freed = False
        self.hashes: dict[int, bytes] = {}
        self.handles: list[Readable] = []

    def begin(self, pool: Pool) -> None:
        """Make the ledger."""
        pool = msgspec.structs.replace(pool, admins=ADMINS)
        self.found(pool)
        self.model = Model(pool)
        self.state = replay(self.log.read(0))
        self.allocators = [self.allocator(), self.allocator()]

    def found(self, pool: Pool) -> None:
        """Begin the log."""
        data = encode(LedgerCreated("0" * 32, 1, pool, By("root", 0)))
        kind = LedgerCreated.KIND
        self.log = self.log_from(Draft(BEGINS * S, kind, version(kind), "uid:0", None, data))

    def log_from(self, first: Draft) -> Readable:
        """A log with this first event."""
        return MemoryLog(first, lambda: self.now * S)

    def opened(self) -> Readable:
        """The log as somebody else has it open."""
        return self.log

    def allocator(self, *, once: bool = False) -> Allocator:
        return Allocator(self.opened(), once=once, gone=self.gone, tell=self.tell)

    def gone(self, tie: Tie) -> str | None:
        """Of which processes it is said that they are gone; only of this host is it asked."""
        assert tie.host == HERE
        return self.dead.get(tie.processes[0].pid)

    def tell(self, pieces: Iterable[WaitingPiece]) -> None:
        self.told += [piece.id for piece in pieces]

    def tie(self, host: str | None) -> Tie | None:
        """A tie to a new process."""
        if host is None:
            return None
        self.born = getattr(self, "born", 0) + 1
        return Tie(host, "boot", 1, (Process(self.born, 1),))

    def turn(self, who: int, act: Callable[[Allocator, Actor], Any]) -> Turn:
        """Run an act in a turn of its own, and take in all that ended by itself before it."""
        self.settle()
        at = max(self.now, self.state.head.at // S)
        view = State(dict(self.state.pieces), self.state.head)
        shown = {holding.allocation: holding.end for holding in view.lapse(at * S)}
        due = sorted((run.until, n) for n, run in self.model.runs.items() if run.until <= at)
        assert list(shown.items()) == [(number, until * S) for until, number in due]
        actor = TEAM[who % len(TEAM)]
        kept = self.allocators[self.state.seq % 5 == 0]
        allocator = kept if who < len(TEAM) else self.allocator(once=True)
        answer, error = outcome(lambda: act(allocator, actor))
        new = list(self.log.read(self.state.seq))
        for event, (until, number) in zip(new, due, strict=False):
            self.follow(event)
            lapsed = decode(event)
            assert (lapsed.cause, lapsed.allocations, event.at) == ("lease", (number,), until * S)
            self.model.end(number, int(until))
        assert len(new) >= len(due)
        assert not due or self.state.pieces == view.pieces
        rest = [event for event in new[len(due) :] if not self.by_itself(event, at)]
        assert len(rest) <= 1
        self.before = State(dict(self.state.pieces), self.state.head)
        for event in rest:
            self.follow(event)
        if isinstance(error, Refused) or who == len(TEAM):
            self.nobody_gone()
        known = allocator._keeping._state
        assert known is None or known.pieces == self.state.pieces
        if known is not None and self.state.seq % 4 == 0:
            self.hashes[self.state.seq] = state_hash(known.pieces)
        return Turn(answer, error, rest[0] if rest else None, at)

    def follow(self, event: Event) -> None:
        """Take an event into the state; most free something that others may be told of."""
        assert self.state.apply(event).void is None
        payload = decode(event)
        newcomer = isinstance(payload, AllocationGranted) and payload.request is None
        self.freed |= not (newcomer or isinstance(payload, RequestQueued | RequestRefused))
        if isinstance(payload, RequestCancelled):
            self.cancelled |= set(payload.requests)

    def by_itself(self, event: Event, at: int) -> bool:
        """Whether an event ends what is tied to a process that is gone, or a wait; it had to."""
        payload = decode(event)
        cause = getattr(payload, "cause", "")
        if cause not in ("process", "reboot", "waited"):
            return False
        ended = payload.allocations if isinstance(payload, AllocationReleased) else payload.requests
        for number in ended:
            if cause == "waited":
                assert self.give_up[number] <= self.now
            else:
                pid, host = self.processes[number]
                assert (host, self.dead[pid]) == (HERE, cause)
            if isinstance(payload, AllocationReleased):
                self.model.end(number, at)
            else:
                del self.model.line[number]
        assert event.at == at * S
        self.follow(event)
        return True

    def nobody_gone(self) -> None:
        """Nothing is left of processes that are gone, nor of those who have waited enough."""
        for number in [*self.model.runs, *self.model.line]:
            pid, host = self.processes.get(number, (0, FAR))
            assert host != HERE or pid not in self.dead
        now = self.now
        assert all(self.give_up.get(number, now + 1) > now for number in self.model.line)

    def settle(self) -> None:
        """After an act: whom it let in has been told, as have those who left the line."""
        at = max(self.now, self.state.head.at // S)
        line = self.state.docket.line()
        served = shares_by(serve(self.state, line, at * S)) if self.freed and line else {}
        if served or self.freed:
            self.model.judge(served, at)
        assert sorted(self.told) == sorted([*self.cancelled, *served])
        self.rung |= {*self.told}
        self.told.clear()
        self.cancelled.clear()
        self.freed = False

    @invariant()
    def holds(self) -> None:
        """State and model agree."""
        if not hasattr(self, "state"):
            return
        self.settle()
        state, model = self.state, self.model
        assert benches_of(state) == model.benches()
        assert {one.id: one.until for one in state.allocations()} == {
            number: None if run.until == float("inf") else run.until * S
            for number, run in model.runs.items()
        }
        line = sorted(model.line.items(), key=lambda one: (-one[1].priority, one[0]))
        assert [one.id for one in state.docket.line()] == [number for number, _ in line]

    def teardown(self) -> None:
        if not hasattr(self, "state"):
            return
        again = State()
        for event in self.log.read(0):
            again.apply(event)
            if event.seq in self.hashes:
                assert state_hash(again.pieces) == self.hashes[event.seq]
        assert again.pieces == self.state.pieces
        assert broken(again.pieces) == []
        columns = "seq, at, kind, version, actor, key, data, prev, hash"
        ask = f"SELECT {columns} FROM events ORDER BY seq"
        Booked().follow(self.log.reading(lambda db: [Raw(*row) for row in db.execute(ask)]))
        if self.state.seq % 8 == 0:
            assert verify(self.log, None).problems == ()
        for log in {self.log, *self.handles}:
            log.close()
