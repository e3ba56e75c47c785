"""The front door for Python: one open ledger, with typed calls for all that the commands do.

    >>> with gpuledger.open() as ledger, ledger.allocate("train", 2, 16) as allocation:
    ...     print(allocation.servers)

Times are microseconds UTC. Reading never takes the lock; each write is one turn.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING

import msgspec

from gpuledger.allocation import Allocation, Released
from gpuledger.ledger import clock
from gpuledger.ledger.event import Event, Head
from gpuledger.ledger.sqlite_log import SqliteLog
from gpuledger.replay import request as requests
from gpuledger.replay.actor import Actor
from gpuledger.replay.allocator import Allocator
from gpuledger.replay.batch import Recorded
from gpuledger.replay.errors import BadRequest
from gpuledger.replay.facts import Asked, AskedExtend, AskedRelease, Placed, Pool, Tie
from gpuledger.replay.past import load_state, state_at
from gpuledger.replay.piece import WaitingPiece
from gpuledger.replay.state import State
from gpuledger.replay.uncertainty import uncertainty
from gpuledger.upkeep import Upkeep

if TYPE_CHECKING:
    from gpuledger.replay.queue import Queued

__all__ = ["Allocation", "Ledger", "Released", "init", "open"]


class Ledger(Upkeep):
    """An open ledger. Threads may share it; a forked child may go on with it.

    `once` is for a program that writes a single time. `notices` are sentences about what
    was noticed on the way, a snapshot that did not fit for example.
    """

    def __init__(
        self,
        path: str,
        *,
        lock_timeout_s: float = 60.0,
        once: bool = False,
        actor: Actor | None = None,
        clock_us: Callable[[], int] = clock.now_us,
        notices: list[str] | None = None,
    ) -> None:
        self.log = SqliteLog(path, clock=clock_us)
        self._clock = clock_us
        self._actor = actor
        self._process = (0, -1)
        self._runs_as = Actor("")
        self.notices = [] if notices is None else notices
        self._allocator = Allocator(
            self.log,
            timeout_s=lock_timeout_s,
            once=once,
            groups=_with_groups,
            gone=_gone,
            tell=self._tell,
            notices=self.notices,
        )

    @property
    def path(self) -> str:
        """Where the ledger lies."""
        return self.log.path

    @property
    def actor(self) -> Actor:
        """Who acts: as given, or whom the kernel says runs this process."""
        if self._actor is not None:
            return self._actor
        process = os.getpid(), getattr(os, "getuid", int)()
        if self._process != process:
            from gpuledger.cli.actor import current

            self._process, self._runs_as = process, current()
        return self._runs_as

    def allocate(
        self,
        task: str,
        gpus: int,
        cpus: int | None = None,
        *,
        on: tuple[Placed, ...] = (),
        on_words: tuple[str, ...] = (),
        here: str | None = None,
        servers: int = 1,
        project: str | None = None,
        note: str | None = None,
        key: str | None = None,
        beneficiary: Actor | None = None,
        lease: int | None = None,
        tie: Tie | None = None,
        wait_s: float = 0.0,
        told: Callable[[int], None] | None = None,
    ) -> Allocation:
        """Take GPUs and CPUs for a task; `gpus` and `cpus` are totals over `servers` servers.

        `on` names places (`on_words` as they were typed), `here` the host whose server is
        meant, `beneficiary` for whom an admin acts. It ends after `lease` seconds, and with the
        processes of `tie`. Where room is lacking it waits in line `wait_s` seconds at most
        (`math.inf` for as long as it takes); `told` then gets the request's id. Raises Refused,
        BadRequest, TaskInUse, NoSuchServer, NoSuchProject, WaitedInVain, NotWaiting, KeyReused,
        LockTimeout and what the ledger floor raises.
        """
        words = on_words or tuple(map(requests.placed_text, on))
        whose = beneficiary.user if beneficiary else None
        asked = Asked(task, gpus, cpus, servers, words, here, project, note, whose, lease)
        uid, sid = (beneficiary.uid, beneficiary.sid) if beneficiary else (None, None)
        request = requests.allocate(asked, on, uid=uid, sid=sid, tie=tie)
        key = requests.key(key)
        if not wait_s:
            return Allocation(self, self._allocator.allocate(request, self.actor, key=key))
        return Allocation(self, self._waited(request, key, wait_s, told))

    def _waited(
        self,
        request: requests.AllocateRequest,
        key: str | None,
        wait_s: float,
        told: Callable[[int], None] | None,
    ) -> Recorded:
        from gpuledger.cli.process import tie_of
        from gpuledger.waiting import Wait

        request = msgspec.structs.replace(request, waiter=tie_of(os.getpid()))
        wait = Wait(self, self._allocator, self.actor, gone=_gone, clock_us=self._clock, told=told)
        return wait.served(request, key, wait_s)

    def extend(
        self,
        *tasks: str,
        lease: int,
        user: str | None = None,
        force: bool = False,
        reason: str | None = None,
        key: str | None = None,
    ) -> Recorded:
        """Let the leases of own tasks or `@ids` end `lease` seconds later, all or none.

        Others' are for admins. Raises NoSuchTask, NoLease, Refused, AmbiguousTask,
        ReasonNeeded, BadRequest, LockTimeout.
        """
        asked = requests.extend(AskedExtend(tasks, lease, user, force, reason))
        return self._allocator.extend(asked, self.actor, key=requests.key(key))

    def cancel(
        self,
        *tasks: str,
        mine: bool = False,
        user: str | None = None,
        force: bool = False,
        reason: str | None = None,
        if_waiting: bool = False,
        key: str | None = None,
    ) -> Recorded | None:
        """Take own requests out of the line, all or none; the rest is for admins.

        None where `if_waiting` found none. Raises NotWaiting, Refused, AmbiguousTask,
        ReasonNeeded, BadRequest, LockTimeout.
        """
        asked = requests.cancel(AskedRelease(tasks, mine, (), user, force, reason, if_waiting))
        return self._allocator.cancel(asked, self.actor, key=requests.key(key))

    def release(
        self,
        *tasks: str,
        mine: bool = False,
        servers: tuple[str, ...] = (),
        user: str | None = None,
        force: bool = False,
        reason: str | None = None,
        if_held: bool = False,
        key: str | None = None,
    ) -> Released:
        """End own tasks or `@ids`, all or nothing; the rest is for admins.

        Raises NoSuchTask, Refused, AmbiguousTask, ReasonNeeded, BadRequest, LockTimeout.
        """
        asked = requests.release(AskedRelease(tasks, mine, servers, user, force, reason, if_held))
        ended = self._allocator.release(asked, self.actor, key=requests.key(key))
        if ended is None:
            return Released(self.log.head().seq, self._clock(), ())
        event = ended.release.event
        return Released(event.seq, event.at, ended.grants, ended.ends)

    def state(self, at: int | None = None) -> State:
        """The state now, or at a past instant: every event with a time up to and at `at`.

        Leases that were due by then have ended in it, whether that is recorded yet or not.
        """
        self._mind_the_note()
        if at is None:
            state = load_state(self.log, self.notices)
            state.lapse(self._now(state.head))
        else:
            state = state_at(self.log, at, self.notices)
            state.lapse(min(at, self._now(state.head)))
        self.uncertain = uncertainty(state)
        return state

    def _tell(self, pieces: Iterable[WaitingPiece]) -> None:
        from gpuledger.bell import ring

        ring(pieces, self.actor.host)

    def queue(self, now_us: int | None = None) -> tuple[int, list[Queued]]:
        """The seq of the head, and those who wait in line, the first first."""
        from gpuledger.replay.queue import queue

        state = self.state()
        state.docket.look(_gone)
        now = self._now(state.head) if now_us is None else max(now_us, state.head.at)
        return state.seq, queue(state, now)

    def head(self) -> Head:
        """Where the log ends."""
        return self.log.head()

    def close(self) -> None:
        """Let go of the file."""
        self.log.close()

    def __enter__(self) -> Ledger:
        """The ledger itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()


def _gone(tie: Tie) -> str | None:
    from gpuledger.cli.process import judged

    return judged(tie)


def _with_groups(actor: Actor) -> Actor:
    from gpuledger.cli.actor import with_groups

    return with_groups(actor)


def open(path: str | os.PathLike[str] | None = None, *, lock_timeout_s: float = 60.0) -> Ledger:  # noqa: A001 - the front door's verb
    """Open the ledger at `path`, or the one that the command line would use. Nothing is read
    yet.
    """
    told = os.fspath(path) if path is not None else _usual()
    if told.startswith("ssh://"):
        raise BadRequest("the ledger", told, "the path of a file; ssh:// is for commands alone")
    return Ledger(told, lock_timeout_s=lock_timeout_s)


def _usual() -> str:
    from gpuledger.cli.location import find

    return find().path


def init(
    path: str | os.PathLike[str],
    pool: Pool,
    *,
    at: int | None = None,
    group: str | None = None,
    public: bool = False,
    actor: Actor | None = None,
) -> Event:
    """Make a ledger with its first pool; returns its first event.

    `at` (microseconds UTC) is for a past that will be imported. `group` shares it with a
    group of the machine, `public` lets everybody read. Raises LedgerExists, NotPermitted.
    """
    from gpuledger.replay.founding import found

    with Ledger(os.fspath(path), actor=actor) as ledger:
        event = found(ledger.path, pool, ledger.actor, at=at, group=group, public=public)
        ledger.rebuild()
    return event
