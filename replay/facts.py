"""The facts that events and state are made of: frozen records without a life of their own.

Fields that are at their default are left out of the JSON. Times are microseconds UTC; `gpus`
of a share are indices as the server numbers them. `docs/FORMAT.md` holds the same in prose.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import dataclass_transform

import msgspec


@dataclass_transform(frozen_default=True, field_specifiers=(msgspec.field,))
class Record(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, gc=False):
    """A frozen value with named fields; defaults are left out of its JSON."""


class By(Record, frozen=True):
    """Who acted, as the kernel knew them: frozen, never joined later.

    `sudo_user` and `sudo_uid` name the caller behind root; `admin` says what made
    the actor an admin where that was needed (`uid:0`, `group:lab-admins`).
    """

    user: str
    uid: int | None = None
    sid: str | None = None
    host: str | None = None
    sudo_user: str | None = None
    sudo_uid: int | None = None
    admin: str | None = None


class Card(Record, frozen=True):
    """One GPU: its index on the server and, where known, what it is."""

    index: int
    uuid: str | None = None
    model: str | None = None
    memory_mib: int | None = None
    pci: str | None = None


class Server(Record, frozen=True):
    """One server: its CPUs and its GPUs in index order; `host` where it calls itself otherwise."""

    name: str
    cpus: int
    gpus: tuple[Card, ...]
    host: str | None = None


class Cap(Record, frozen=True):
    """What one task, user or project may have at most; what is None is not limited.

    `gpus` and `cpus` at once, `gpu_hours` in the last `window` seconds, `lease` the longest
    lease in seconds. `default_lease` is given where none was asked for.
    """

    gpus: int | None = None
    cpus: int | None = None
    gpu_hours: int | None = None
    window: int | None = None
    lease: int | None = None
    default_lease: int | None = None


NO_CAP = Cap()
"""Nothing is limited. It is this very record that JSON leaves out, not one like it."""


class Limits(Record, frozen=True):
    """What may be asked for at most: by each task, each user, each project.

    `gpus_per_task` bounds one allocation; so do `cpus` and `gpus` of `task`.
    """

    gpus_per_task: int | None = None
    task: Cap = NO_CAP
    user: Cap = NO_CAP
    project: Cap = NO_CAP


NO_LIMITS = Limits()
"""The same of a whole pool."""


class Project(Record, frozen=True):
    """A project: its place in the line (higher first), and limits other than everybody's."""

    name: str
    priority: int = 0
    cap: Cap = NO_CAP


class Member(Record, frozen=True):
    """A user with a default project or limits other than everybody's; `id` is his identity."""

    user: str
    id: str
    project: str | None = None
    cap: Cap = NO_CAP


class AdminUser(Record, frozen=True):
    """A user named as admin, resolved to a stable identity when the pool was applied."""

    user: str
    id: str


class AdminGroup(Record, frozen=True):
    """A group named as admins, resolved to its gid when the pool was applied."""

    group: str
    gid: int


class Admins(Record, frozen=True):
    """Who may change the pool, drain, import, reset and act for others. Root always may."""

    users: tuple[AdminUser, ...] = ()
    groups: tuple[AdminGroup, ...] = ()


class Pool(Record, frozen=True):
    """All servers in pool order, with limits, admins, and the projects and users that have
    their own.

    Where projects are listed, there are no others.
    """

    servers: tuple[Server, ...]
    limits: Limits = NO_LIMITS
    admins: Admins = Admins()
    projects: tuple[Project, ...] = ()
    members: tuple[Member, ...] = ()


class Share(Record, frozen=True):
    """An allocation's part of one server. `uuids` stands where at least one is known."""

    server: str
    gpus: tuple[int, ...]
    cpus: int
    uuids: tuple[str | None, ...] | None = None


class Process(Record, frozen=True):
    """A process, by number and start (clock ticks since the host's boot, as proc(5) has them)."""

    pid: int
    start: int


STOPPED = "stopped"
"""What is said of a tie whose processes do nothing for the time being, as after Ctrl-Z."""


class Tie(Record, frozen=True):
    """What a hold or a wait depends on: any of these processes of one host, in one boot.

    `boot` is the kernel's boot id, `space` its number for the processes' pid namespace.
    """

    host: str
    boot: str
    space: int
    processes: tuple[Process, ...]


class Placed(Record, frozen=True):
    """One `--on`: a server and, where named, its GPU indices in ascending order."""

    server: str
    gpus: tuple[int, ...] | None = None


class Asked(Record, frozen=True):
    """What an allocate asked for, word for word: totals over `servers` servers.

    `on` holds texts such as `gpu-server-2` or `gpu-server-2:0-1`; `here` the host's
    own name where `--here` was asked; `beneficiary` the user of `--for`; `lease` seconds.
    """

    task: str
    gpus: int
    cpus: int | None = None
    servers: int = 1
    on: tuple[str, ...] = ()
    here: str | None = None
    project: str | None = None
    note: str | None = None
    beneficiary: str | None = None
    lease: int | None = None

    @property
    def each(self) -> tuple[int, int | None]:
        """GPUs and CPUs on each server; None where those CPUs are meant that go with the GPUs."""
        servers = self.servers
        return self.gpus // servers, self.cpus and self.cpus // servers


class AskedExtend(Record, frozen=True):
    """What an extend asked for, word for word: `lease` seconds more; `user` is that of `--for`."""

    tasks: tuple[str, ...]
    lease: int
    user: str | None = None
    force: bool = False
    reason: str | None = None


class AskedRelease(Record, frozen=True):
    """What a release asked for, word for word."""

    tasks: tuple[str, ...] = ()
    mine: bool = False
    servers: tuple[str, ...] = ()
    user: str | None = None
    force: bool = False
    reason: str | None = None
    if_held: bool = False


class AskedChange(Record, frozen=True):
    """What an act of an admin asked for.

    `on` holds places as `gpu-server-2` or `gpu-server-2:0,1` (drain, resume); `sha256` the
    canonical JSON of the pool (pool apply) or the file (import), 64 hex digits.
    """

    on: tuple[str, ...] = ()
    sha256: str | None = None
    reason: str | None = None


class Place(Record, frozen=True):
    """GPUs of one server, named one by one."""

    server: str
    gpus: tuple[int, ...]


class Extension(Record, frozen=True):
    """An allocation's lease ends at `until` (microseconds UTC) from now on."""

    allocation: int
    until: int


class Gap(Record, frozen=True):
    """The events `first` to `last` are lost, all of them.

    `before` is the hash of the event before them (zeros where there is none), `after` that of
    `last`, which the event behind them names: 64 hex digits each.
    """

    first: int
    last: int
    before: str
    after: str


class Known(Record, frozen=True):
    """Of the event `seq`, which is lost, the hash is known: 64 hex digits."""

    seq: int
    hash: str


def identity(user: str, uid: int | None, sid: str | None) -> str:
    """The stable name of a holder: `uid:1001`, `sid:S-1-5-…`, or `name:u001` where only a name
    is known.
    """
    if uid is not None:
        return f"uid:{uid}"
    return f"sid:{sid}" if sid is not None else f"name:{user}"


def gpus_in(shares: Iterable[Share]) -> int:
    """How many GPUs these shares are, on all servers."""
    count = 0
    for share in shares:
        count += len(share.gpus)
    return count


def cpus_in(shares: Iterable[Share]) -> int:
    """How many CPUs these shares are, on all servers."""
    count = 0
    for share in shares:
        count += share.cpus
    return count
