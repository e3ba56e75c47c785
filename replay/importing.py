"""Import: the write path for a past that lies elsewhere, through the same decide, in one turn."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from ..ledger.errors import GpuledgerError
from .actor import Actor
from .allocator import Allocator
from .batch import Batch
from .catalogue import AllocationGranted, AllocationReleased, ImportRecorded, RequestRefused
from .decision import decide_allocate
from .errors import BadRequest, NoSuchServer, NotEmpty, Refused, TaskInUse
from .facts import AskedChange
from .refusal import Refusal
from .rights import admin_by, by
from .trace import Ends, TraceRow, Unusable, in_order, request

TOO_EARLY = "it starts before the pool does"
TOO_LATE = "it starts in the future"


class Source(msgspec.Struct, frozen=True):
    """A trace file as read: its name, the SHA-256 of its bytes, its rows, and what was no row."""

    name: str
    sha256: str
    rows: tuple[TraceRow, ...]
    unusable: tuple[Unusable, ...] = ()


class Imported(msgspec.Struct, frozen=True):
    """What an import did. `refused` rows did not fit, `skipped` asked for no GPU, `unusable`
    were none.

    `seq` is that of the import's own event; `still_held` counts what has no end.
    """

    seq: int
    rows: int
    granted: int
    released: int
    skipped: int
    refused: tuple[Unusable, ...]
    unusable: tuple[Unusable, ...]
    still_held: int


def import_trace(
    allocator: Allocator,
    source: Source,
    actor: Actor,
    progress: Callable[[int, int], None] | None = None,
) -> Imported:
    """Import a past in one turn: killed, nothing of it is there. For admins.

    Raises NotEmpty, Refused. `progress` is told how many rows of how many are done.
    """

    def work(batch: Batch) -> Imported | Refused:
        who = allocator.with_groups(batch.state, actor)
        admin = admin_by(batch.state.pool.admins, who)
        if admin is None:
            asked = AskedChange(sha256=source.sha256)
            refusal = Refusal("import", "not_permitted", actor.user, asked_change=asked)
            return batch.refuse(refusal, actor)
        _must_be_empty(batch)
        return _Import(batch, source, who, admin).run(progress)

    outcome = allocator.batch(work)
    if isinstance(outcome, Refused):
        raise outcome
    return outcome


def _must_be_empty(batch: Batch) -> None:
    first = batch.first_of(AllocationGranted.KIND)
    if first is not None:
        raise NotEmpty(first)


class _Import:
    """One import, inside its turn."""

    def __init__(self, batch: Batch, source: Source, actor: Actor, admin: str) -> None:
        self._batch = batch
        self._source = source
        self._actor = actor
        self._by = by(actor, admin)
        self._ends = Ends()
        self._granted = self._released = 0
        self._refused: list[Unusable] = []
        self._unusable = list(source.unusable)
        self._seq = 0

    def run(self, progress: Callable[[int, int], None] | None) -> Imported:
        """Say what comes, then append each row's events in the order of their times."""
        rows, skipped = self._source.rows, sum(1 for row in self._source.rows if not row.gpus)
        begins = self._batch.state.head.at
        record = ImportRecorded(
            self._source.name, self._source.sha256, len(rows) + len(self._unusable), skipped,
            self._by, self._batch.now_us,
        )  # fmt: skip
        self._seq = self._append(record, begins)
        ordered = in_order(rows)
        for done, row in enumerate(ordered):
            self._release_until(row.start)
            self._row(row, begins)
            if progress is not None and done % 256 == 0:
                progress(done, len(ordered))
        self._release_until(None)
        if progress is not None:
            progress(len(ordered), len(ordered))
        return Imported(
            self._seq, record.rows, self._granted, self._released, skipped,
            tuple(self._refused), tuple(self._unusable), self._granted - self._released,
        )  # fmt: skip

    def _append(
        self,
        payload: ImportRecorded | AllocationGranted | AllocationReleased | RequestRefused,
        at: int,
    ) -> int:
        return self._batch.append(payload, self._actor.identity, at=at).event.seq

    def _release_until(self, at: int | None) -> None:
        for end, allocation in self._ends.until(at):
            self._append(
                AllocationReleased(self._by, (allocation,), "owner", imported=self._seq), end
            )
            self._released += 1

    def _row(self, row: TraceRow, begins: int) -> None:
        if row.start < begins or row.start > self._batch.now_us:
            why = TOO_EARLY if row.start < begins else TOO_LATE
            self._unusable.append(Unusable(row.line, row.job, why))
            return
        try:
            asked = request(row, self._seq)
            decision = decide_allocate(self._batch.state, asked, self._actor, row.start)
        except (BadRequest, NoSuchServer, TaskInUse) as error:
            self._unusable.append(Unusable(row.line, row.job, _why(error)))
            return
        if isinstance(decision, Refusal):
            self._append(
                RequestRefused(
                    "allocate", row.user, decision.reason, self._by, asked.asked, imported=self._seq
                ),
                row.start,
            )
            self._refused.append(Unusable(row.line, row.job, decision.reason))
            return
        granted = self._append(msgspec.structs.replace(decision, by=self._by), row.start)
        self._granted += 1
        if row.end is not None and row.end <= self._batch.now_us:
            self._ends.add(row.end, granted)  # what has not ended yet is still held


def _why(error: GpuledgerError) -> str:
    if isinstance(error, BadRequest):
        return f"{error.field}: {error.value!r} is not {error.expected}"
    if isinstance(error, NoSuchServer):
        return (
            f"no server {error.server}"
            if error.gpu is None
            else f"no GPU {error.gpu} on {error.server}"
        )
    return "the user runs a task of that name already"
