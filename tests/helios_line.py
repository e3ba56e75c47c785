"""The real cluster's jobs on a part of its servers: who waits, and how long, by the real turns.

The allocator's own turns, one after the other on the trace's clock, within one transaction, so that
a month of them takes a minute. Whoever the bell would ring takes his turn at once, in order.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import msgspec

from gpuledger.ledger.sqlite_log import SqliteLog, SqliteTurn
from gpuledger.replay import request as requests
from gpuledger.replay.actor import Actor
from gpuledger.replay.allocator import Allocator
from gpuledger.replay.catalogue import AllocationGranted
from gpuledger.replay.facts import Asked, AskedRelease, Card, Pool, Server
from gpuledger.replay.founding import found
from gpuledger.replay.piece import WaitingPiece
from gpuledger.replay.request import AllocateRequest
from gpuledger.replay.state import State
from small_pools import ROOT
from trace_sweep import Job

SECOND_US = 1_000_000
MINUTE = 60
BEGAN_S = 1_585_666_800
"""2020-03-31T15:00:00Z, an hour before the first job."""
ENDS, ASKS = 0, 1
"""At one instant ends come before starts, so that what one job gives back the next can have."""

Running = tuple[int, tuple[tuple[str, int, int], ...]]


def pool(servers: int) -> Pool:
    """The first so many servers of the cluster, of 8 GPUs and 48 CPUs each."""
    cards = tuple(Card(index) for index in range(8))
    return Pool(tuple(Server(f"venus{at + 1:03d}", 48, cards) for at in range(servers)))


class OneTurn:
    """A log that gives out one long turn again and again, each time at what the clock says."""

    def __init__(self, turn: SqliteTurn, path: str) -> None:
        self.path = path
        self.now = 0
        self._turn = turn

    @contextmanager
    def turn(self, timeout_s: float = 60.0, *, last: bool = False) -> Iterator[SqliteTurn]:
        """The turn, with the trace's time."""
        self._turn.now_us = self.now * SECOND_US
        yield self._turn


@dataclass
class Run:
    """What became of each job: when it started and when it ended, in seconds.

    `firsts` tells when one became first in line, and what then ran.
    """

    servers: int
    started: dict[str, int] = field(default_factory=dict)
    ended: dict[str, int] = field(default_factory=dict)
    too_big: list[str] = field(default_factory=list)
    longest_line: int = 0
    firsts: list[First] = field(default_factory=list)


@dataclass(frozen=True)
class First:
    """One who has become first in line and has no room: the job, the second, and what runs.

    `running` holds the end of each, and its GPUs and CPUs on each server.
    """

    job: str
    at: int
    running: tuple[Running, ...]


class Cluster:
    """The jobs of a trace on a ledger, each asked for at its own time, in its own user's name.

    `lease_s` says how long a job's lease is; None for none. `exact` where leases end as the jobs
    do, so that they end by themselves; else each is given back when the job has ended.
    """

    def __init__(
        self, log: OneTurn, run: Run, lease_s: Callable[[Job], int | None], *, exact: bool
    ) -> None:
        self._log = log
        self._run = run
        self._lease_s = lease_s
        self._exact = exact
        self._allocator = Allocator(log, tell=self._hear)
        self._told: deque[WaitingPiece] = deque()
        self._waiting: dict[int, tuple[Job, AllocateRequest]] = {}
        self._steps: list[tuple[int, int, int, Job]] = []
        self._first = 0

    def play(self, jobs: Sequence[Job]) -> None:
        """All jobs from the first request to the last end."""
        self._steps = [(job.start, ASKS, at, job) for at, job in enumerate(jobs)]
        heapq.heapify(self._steps)
        while self._steps:
            self._log.now, what, number, job = heapq.heappop(self._steps)
            if what == ENDS:
                self._end(number, job)
            else:
                self._ask(job)
            self._serve_told()
            if not self._steps or self._steps[0][0] > self._log.now:
                self._look()

    def _hear(self, pieces: Iterable[WaitingPiece]) -> None:
        self._told.extend(pieces)

    def _ask(self, job: Job) -> None:
        asked = Asked(job.name, job.gpus, job.cpus, job.nodes, lease=self._lease_s(job))
        request = requests.allocate(asked, ())
        recorded = self._allocator.join(request, Actor(job.user))
        number = recorded.event.seq
        if isinstance(recorded.payload, AllocationGranted):
            self._begin(job, number)
        else:
            self._waiting[number] = job, msgspec.structs.replace(request, waiting=number)

    def _begin(self, job: Job, number: int) -> None:
        end = self._log.now + length_s(job)
        self._run.started[job.name] = self._log.now
        self._run.ended[job.name] = end
        heapq.heappush(self._steps, (end, ENDS, number, job))

    def _end(self, number: int, job: Job) -> None:
        if self._exact:
            self._allocator.tidy(ROOT)
        else:
            own = AskedRelease((f"@{number}",), if_held=True)
            self._allocator.release(own, Actor(job.user))

    def _serve_told(self) -> None:
        """Those for whom the bell rang take their turns, in order."""
        while self._told:
            piece = self._told.popleft()
            job, request = self._waiting.get(piece.id, (None, None))
            if job is None or request is None:
                continue
            recorded = self._allocator.serve(request, Actor(job.user))
            if recorded is not None:
                del self._waiting[piece.id]
                self._begin(job, recorded.event.seq)

    def _look(self) -> None:
        """Remember who has become first in line since the last look."""
        state = self._allocator.batch(lambda batch: batch.state)
        line = state.docket.line()
        self._run.longest_line = max(self._run.longest_line, len(line))
        first = line[0] if line else None
        if first is not None and first.id != self._first:
            self._first = first.id
            self._run.firsts.append(First(first.asked.task, self._log.now, self._running(state)))

    def _running(self, state: State) -> tuple[Running, ...]:
        return tuple(
            (
                self._run.ended[piece.task],
                tuple((share.server, len(share.gpus), share.cpus) for share in piece.servers),
            )
            for piece in state.allocations()
        )


def length_s(job: Job) -> int:
    """How long a job holds what it has: a second at least, as no lease is shorter."""
    return max(1, job.end - job.start)


def in_minutes(job: Job) -> int:
    """A lease as somebody would ask for who knows the job: up to the next whole minute."""
    return -(-length_s(job) // MINUTE) * MINUTE


def played(
    path: Path,
    jobs: Sequence[Job],
    servers: int,
    lease_s: Callable[[Job], int | None],
    *,
    exact: bool = False,
) -> Run:
    """Play jobs on so many servers, on a new ledger at `path`."""
    run = Run(servers)
    fitting = [job for job in jobs if job.nodes <= servers]
    run.too_big = [job.name for job in jobs if job.nodes > servers]
    found(str(path), pool(servers), ROOT, at=BEGAN_S * SECOND_US, group=None, public=False)
    log = SqliteLog(str(path))
    with log.turn() as turn:
        Cluster(OneTurn(turn, str(path)), run, lease_s, exact=exact).play(fitting)
    log.close()
    return run


def start_alone(first: First, job: Job, servers: int) -> int:
    """When the first in line starts if nobody passes: what runs ends, nothing else begins."""
    gpus = {server.name: 8 for server in pool(servers).servers}
    cpus = dict.fromkeys(gpus, 48)
    for _, shares in first.running:
        for server, held, with_cpus in shares:
            gpus[server] -= held
            cpus[server] -= with_cpus
    each, cpus_each = job.gpus // job.nodes, job.cpus // job.nodes
    for end, ended in groupby(sorted(first.running), key=itemgetter(0)):
        for _, shares in ended:
            for server, held, with_cpus in shares:
                gpus[server] += held
                cpus[server] += with_cpus
        able = sum(gpus[name] >= each and cpus[name] >= cpus_each for name in gpus)
        if able >= job.nodes:
            return end
    raise AssertionError(f"{job.name} would never start")
