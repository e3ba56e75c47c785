"""What a request can run into, each with its facts as fields.

GpuledgerError
├── BadRequest             malformed: a name, a count, a note          exit 2
├── Refused                well-formed, turned down; recorded     2, 4, 77 by reason
├── NoSuchTask             nothing of that name or id runs                3
├── NoSuchServer           no server, or no GPU of that index, in the pool    3
├── NoSuchMirror           the log is not mirrored there                   3
├── NoSuchProject          the pool lists its projects, and not this one      3
├── TaskInUse              the actor already runs or awaits a task of that name    5
├── HasEnded               a key's grant has ended, and its GPUs are not to be used    5
├── NoLease                what has no lease cannot be extended              5
├── NotWaiting             nothing of that name or id waits in line           3
├── WaitedInVain           not served in the time given                   124
├── AmbiguousTask          several users run a task of that name           5
├── ServerInUse            a pool change would end allocations              5
├── NotEmpty               an import into a ledger that has allocations      5
└── ReasonNeeded           the act wants --reason                       2
"""

from __future__ import annotations

from ..ledger.errors import GpuledgerError


class BadRequest(GpuledgerError):
    """`field` has `value`, which is not what was `expected` (a short English phrase)."""

    code = "bad_request"

    def __init__(self, field: str, value: object, expected: str) -> None:
        super().__init__(field=field, value=value, expected=expected)
        self.field = field
        self.value = value
        self.expected = expected


class Refused(GpuledgerError):
    """A well-formed request that was turned down.

    `reason` is one of `refusal.REASONS`; `seq` is where the refusal stands in the log
    (that of the earlier one where the same was refused within a minute); the other
    facts are those of `refusal.Refusal`: what was asked, what is free where, and
    who holds what was named.
    """

    code = "refused"

    def __init__(self, reason: str, seq: int, **facts: object) -> None:
        super().__init__(reason=reason, seq=seq, **facts)
        self.reason = reason
        self.seq = seq


class DoesNotExtend(GpuledgerError):
    """What would be put at `path` does not extend a checkpoint: `problem` and `seq` say how.

    `problem` is as a verification names it: `truncated`, `rewritten`, `unprovable` …
    """

    code = "does_not_extend"

    def __init__(self, path: str, problem: str, seq: int | None, detail: str = "") -> None:
        super().__init__(path=path, problem=problem, seq=seq, detail=detail)
        self.path = path
        self.problem = problem
        self.seq = seq
        self.detail = detail


class NoSuchTask(GpuledgerError):
    """No running allocation is called `task` (a name, or `@id`) for `user`; `ended` where it
    ran once, `waits` where it waits in line, `never` where the event of that number is another,
    `lost` where it lies in a gap. `task` is `any task` where none was named; `on` are the servers
    on which nothing runs.
    """

    code = "no_such_task"

    def __init__(
        self,
        task: str,
        user: str,
        *,
        ended: bool = False,
        waits: bool = False,
        on: tuple[str, ...] = (),
        never: bool = False,
        lost: bool = False,
    ) -> None:
        more: dict[str, object] = {"on": on, "never": never, "lost": lost}
        told = {name: value for name, value in more.items() if value}
        super().__init__(task=task, user=user, ended=ended, waits=waits, **told)
        self.on = on
        self.task = task
        self.user = user
        self.ended = ended
        self.waits = waits


class NoSuchServer(GpuledgerError):
    """The pool has no `server`, or it has no GPU `gpu`; `known` lists what it has.

    `here` where `server` is the asking host, which is none.
    """

    code = "no_such_server"

    def __init__(
        self, server: str, known: tuple[str, ...], gpu: int | None = None, *, here: bool = False
    ) -> None:
        super().__init__(server=server, known=known, gpu=gpu, here=here)
        self.server = server
        self.known = known
        self.gpu = gpu
        self.here = here


class TaskInUse(GpuledgerError):
    """`user` already runs `task` as allocation `allocation`, or `waits` in line with that id."""

    code = "task_in_use"

    def __init__(self, task: str, user: str, allocation: int, *, waits: bool = False) -> None:
        super().__init__(task=task, user=user, allocation=allocation, waits=waits)
        self.task = task
        self.user = user
        self.allocation = allocation
        self.waits = waits


class HasEnded(GpuledgerError):
    """The grant `allocation` of `task`, asked for once more by its key, runs no more."""

    code = "has_ended"

    def __init__(self, task: str, allocation: int) -> None:
        super().__init__(task=task, allocation=allocation)
        self.task = task
        self.allocation = allocation


class NoSuchProject(GpuledgerError):
    """The pool lists its projects, `known`, and `project` is none of them."""

    code = "no_such_project"

    def __init__(self, project: str, known: tuple[str, ...]) -> None:
        super().__init__(project=project, known=known)
        self.project = project
        self.known = known


class NoSuchMirror(GpuledgerError):
    """The log is not mirrored into `directory`; `known` lists where it is."""

    code = "no_such_mirror"

    def __init__(self, directory: str, known: tuple[str, ...]) -> None:
        super().__init__(directory=directory, known=known)
        self.directory = directory
        self.known = known


class NoLease(GpuledgerError):
    """`task`, allocation `allocation`, has no lease that could end later."""

    code = "no_lease"

    def __init__(self, task: str, allocation: int) -> None:
        super().__init__(task=task, allocation=allocation)
        self.task = task
        self.allocation = allocation


class NotWaiting(GpuledgerError):
    """Request `request` for `task` of `user` waits no longer, or never did (`request` 0).

    `runs` where it runs instead.
    """

    code = "not_waiting"

    def __init__(self, task: str, user: str, request: int = 0, *, runs: bool = False) -> None:
        super().__init__(task=task, user=user, request=request, runs=runs)
        self.task = task
        self.user = user
        self.request = request
        self.runs = runs


class WaitedInVain(GpuledgerError):
    """`task` was not served within `waited_s` seconds."""

    code = "waited_in_vain"

    def __init__(self, task: str, waited_s: int) -> None:
        super().__init__(task=task, waited_s=waited_s)
        self.task = task
        self.waited_s = waited_s


class AmbiguousTask(GpuledgerError):
    """Several users run `task`: `allocations` are their ids, `users` their names."""

    code = "ambiguous_task"

    def __init__(self, task: str, allocations: tuple[int, ...], users: tuple[str, ...]) -> None:
        super().__init__(task=task, allocations=allocations, users=users)
        self.task = task
        self.allocations = allocations
        self.users = users


class ServerInUse(GpuledgerError):
    """A pool change would end `allocations` on `server`; `change` is `removed`, `shrunk` or
    `swapped`.
    """

    code = "server_in_use"

    def __init__(self, server: str, change: str, allocations: tuple[int, ...]) -> None:
        super().__init__(server=server, change=change, allocations=allocations)
        self.server = server
        self.change = change
        self.allocations = allocations


class NotEmpty(GpuledgerError):
    """An import wants a ledger without allocations; this one has its first at `seq`."""

    code = "not_empty"

    def __init__(self, seq: int) -> None:
        super().__init__(seq=seq)
        self.seq = seq


class ReasonNeeded(GpuledgerError):
    """`act` would end others' `allocations` and wants a reason."""

    code = "reason_needed"

    def __init__(self, act: str, allocations: tuple[int, ...]) -> None:
        super().__init__(act=act, allocations=allocations)
        self.act = act
        self.allocations = allocations
