"""The catalogue: one frozen record for each kind of event, as it stands in `data`.

An auditor reads here what an event can say; `facts` has the records inside. Fields that are at
their default are left out of the JSON. Times are microseconds UTC. `docs/FORMAT.md` holds the
same in prose.
"""

from __future__ import annotations

from typing import ClassVar, get_args

from .facts import (
    Admins,
    Asked,
    AskedChange,
    AskedExtend,
    AskedRelease,
    By,
    Extension,
    Gap,
    Known,
    Limits,
    Member,
    Place,
    Placed,
    Pool,
    Project,
    Record,
    Server,
    Share,
    Tie,
)


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
    """Servers with their full facts as they are from now on; `limits`, `admins`, `projects` and
    `members`, each whole, where they change.

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
    projects: tuple[Project, ...] | None = None
    members: tuple[Member, ...] | None = None


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
    under `--for`. `imported` is the seq of the import that it belongs to, `request` that of
    the request that waited for it. It ends `lease` seconds after its time, and with `tie`.
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
    lease: int | None = None
    tie: Tie | None = None
    request: int | None = None


class AllocationExtended(Record, frozen=True):
    """These allocations may run longer."""

    KIND: ClassVar[str] = "allocation.extended"
    by: By
    extensions: tuple[Extension, ...]
    asked: AskedExtend
    clock: int | None = None


class RequestQueued(Record, frozen=True):
    """A request waits in line, holding nothing. Its seq is the request's id.

    `places` is `asked.on` with ranges and `here` made out; `until` (microseconds UTC) when the
    waiting is given up; `waiter` the process that waits, told at UDP port `port` of its host.
    """

    KIND: ClassVar[str] = "request.queued"
    user: str
    asked: Asked
    by: By
    uid: int | None = None
    sid: str | None = None
    project: str | None = None
    priority: int = 0
    places: tuple[Placed, ...] = ()
    until: int | None = None
    waiter: Tie | None = None
    port: int | None = None
    clock: int | None = None


class RequestCancelled(Record, frozen=True):
    """These requests wait no longer. `cause` is `owner`, `admin`, `waited` (long enough),
    `process` (the waiter is gone) or `reboot`.
    """

    KIND: ClassVar[str] = "request.cancelled"
    by: By
    requests: tuple[int, ...]
    cause: str
    asked: AskedRelease | None = None
    reason: str | None = None
    clock: int | None = None


class AllocationReleased(Record, frozen=True):
    """These allocations end. `cause` is `owner`, `admin`, `lease`, `process` (those it was tied
    to are gone) or `reboot` (of their host).
    """

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
    asked_extend: AskedExtend | None = None


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


class GapRecorded(Record, frozen=True):
    """Events are lost for good: what is left was put together anew, every event as it was.

    `gaps` are all stretches that the file lacks, ascending, whether told before or not; `known`
    hashes of lost events that are known from elsewhere; `sources` what was read. `forked` events
    were set aside, since others stand at their seqs. `ledger` is the ledger's id where its first
    event is lost.
    """

    KIND: ClassVar[str] = "gap.recorded"
    by: By
    gaps: tuple[Gap, ...]
    known: tuple[Known, ...] = ()
    sources: tuple[str, ...] = ()
    forked: int = 0
    ledger: str | None = None
    reason: str | None = None
    clock: int | None = None


class MirrorAdded(Record, frozen=True):
    """From now on the log is copied into the folder `directory`, an absolute path."""

    KIND: ClassVar[str] = "mirror.added"
    by: By
    directory: str
    reason: str | None = None
    clock: int | None = None


class MirrorRemoved(Record, frozen=True):
    """From now on the log is not copied there; what lies there stays."""

    KIND: ClassVar[str] = "mirror.removed"
    by: By
    directory: str
    reason: str | None = None
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
    | AllocationExtended
    | RequestQueued
    | RequestCancelled
    | GapRecorded
    | MirrorAdded
    | MirrorRemoved
)

KINDS: tuple[type[Payload], ...] = get_args(Payload)

VERSIONS = {
    "ledger.created": 2,
    "pool.changed": 2,
    "allocation.granted": 2,
    "allocation.released": 2,
    "request.refused": 2,
}
"""The version of each kind as it is written now, where it is not 1: release 0.2 gave it fields."""


def version(kind: str) -> int:
    """The version in which a kind is written now; the versions before it are read as well."""
    return VERSIONS.get(kind, 1)
