"""The catalogue: one frozen record for each kind of event, as it stands in `data`.

An auditor reads here what an event can say. Fields that are at their default
are left out of the JSON. Times are microseconds UTC; `gpus` of a share are
indices as the server numbers them. `docs/FORMAT.md` holds the same in prose.
"""

from __future__ import annotations

from typing import ClassVar, dataclass_transform, get_args

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


class Limits(Record, frozen=True):
    """What a request may ask for at most."""

    gpus_per_task: int | None = None


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
    """All servers in pool order, with the limits and the admins."""

    servers: tuple[Server, ...]
    limits: Limits = Limits()
    admins: Admins = Admins()


class Share(Record, frozen=True):
    """An allocation's part of one server. `uuids` stands where at least one is known."""

    server: str
    gpus: tuple[int, ...]
    cpus: int
    uuids: tuple[str | None, ...] | None = None


class Asked(Record, frozen=True):
    """What an allocate asked for, word for word: totals over `servers` servers.

    `on` holds texts such as `gpu-server-2` or `gpu-server-2:0-1`; `here` the host's
    own name where `--here` was asked; `beneficiary` the user of `--for`.
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


class LedgerCreated(Record, frozen=True):
    """The first event: the ledger's random id (32 hex digits), its format, the first pool."""

    KIND: ClassVar[str] = "ledger.created"
    ledger: str
    format: int
    pool: Pool
    by: By
    clock: int | None = None


class LedgerReset(Record, frozen=True):
    """Every running allocation ends; the pool and its drains stay."""

    KIND: ClassVar[str] = "ledger.reset"
    by: By
    ended: tuple[int, ...] = ()
    reason: str | None = None
    clock: int | None = None


class PoolChanged(Record, frozen=True):
    """Servers with their full facts as they are from now on; `limits` and `admins` where they
    change.

    `ended` are the allocations that a forced change ends.
    """

    KIND: ClassVar[str] = "pool.changed"
    by: By
    added: tuple[Server, ...] = ()
    changed: tuple[Server, ...] = ()
    removed: tuple[str, ...] = ()
    limits: Limits | None = None
    admins: Admins | None = None
    reason: str | None = None
    ended: tuple[int, ...] = ()
    clock: int | None = None


class Place(Record, frozen=True):
    """GPUs of one server, named one by one."""

    server: str
    gpus: tuple[int, ...]


class PoolDrained(Record, frozen=True):
    """No new work on these GPUs; what runs there goes on."""

    KIND: ClassVar[str] = "pool.drained"
    by: By
    places: tuple[Place, ...]
    reason: str | None = None
    clock: int | None = None


class PoolResumed(Record, frozen=True):
    """These GPUs take work again."""

    KIND: ClassVar[str] = "pool.resumed"
    by: By
    places: tuple[Place, ...]
    reason: str | None = None
    clock: int | None = None


class AllocationGranted(Record, frozen=True):
    """A grant: who holds what. Its seq is the allocation's id.

    `user` with `uid` (or `sid`) is the holder, `by` the one who acted; they differ
    under `--for`. `imported` is the seq of the import that it belongs to.
    """

    KIND: ClassVar[str] = "allocation.granted"
    task: str
    user: str
    servers: tuple[Share, ...]
    asked: Asked
    by: By
    uid: int | None = None
    sid: str | None = None
    project: str | None = None
    note: str | None = None
    imported: int | None = None
    clock: int | None = None


class AllocationReleased(Record, frozen=True):
    """These allocations end. `cause` is `owner` or `admin`."""

    KIND: ClassVar[str] = "allocation.released"
    by: By
    allocations: tuple[int, ...]
    cause: str
    asked: AskedRelease | None = None
    reason: str | None = None
    imported: int | None = None
    clock: int | None = None


class RequestRefused(Record, frozen=True):
    """A well-formed request that was turned down; `reason` from `refusal.REASONS`.

    `act` names the command (`allocate`, `release`, `drain` …); `user` is for whom it was asked.
    """

    KIND: ClassVar[str] = "request.refused"
    act: str
    user: str
    reason: str
    by: By
    asked: Asked | None = None
    asked_release: AskedRelease | None = None
    asked_change: AskedChange | None = None
    imported: int | None = None
    clock: int | None = None


class ImportRecorded(Record, frozen=True):
    """The events that point back to this one tell a past that was not witnessed here.

    `rows` of the file, of which `skipped` asked for no GPU; `clock` is the true time.
    """

    KIND: ClassVar[str] = "import.recorded"
    source: str
    sha256: str
    rows: int
    skipped: int
    by: By
    clock: int | None = None


Payload = (
    LedgerCreated
    | LedgerReset
    | PoolChanged
    | PoolDrained
    | PoolResumed
    | AllocationGranted
    | AllocationReleased
    | RequestRefused
    | ImportRecorded
)

KINDS: tuple[type[Payload], ...] = get_args(Payload)
VERSION = 1


def identity(user: str, uid: int | None, sid: str | None) -> str:
    """The stable name of a holder: `uid:1001`, `sid:S-1-5-…`, or `name:u001` where only a name
    is known.
    """
    if uid is not None:
        return f"uid:{uid}"
    return f"sid:{sid}" if sid is not None else f"name:{user}"
