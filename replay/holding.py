"""Holdings and capacity: what a fold's effects leave for history and audit.

One `Holding` is one allocation's part of one server, from its grant to its end.
One `Capacity` is what a server offers from a moment on.
"""

from __future__ import annotations

import msgspec

from .facts import Record
from .piece import AllocationPiece


class Holding(Record, frozen=True):
    """GPUs `gpus` (indices) and `cpus` of `server`, held `[start, end)` in microseconds UTC.

    `end` is None while it runs. `ordinal` counts the ended holdings of the server from 1
    (0 while it runs); `cause` is that of its release, `reset`, `pool` or `gap`, `reason` its
    text. Where a gap hides when it ended, `uncertain` is the first lost seq, and it certainly
    lasted until `sure`.
    """

    allocation: int
    server: str
    gpus: tuple[int, ...]
    cpus: int
    task: str
    user: str
    start: int
    end: int | None = None
    uuids: tuple[str | None, ...] | None = None
    project: str | None = None
    note: str | None = None
    cause: str | None = None
    reason: str | None = None
    ordinal: int = 0
    uncertain: int | None = None
    sure: int | None = None

    def uuid(self, gpu: int) -> str | None:
        """The UUID that GPU `gpu` had when it was granted, where known."""
        return dict(zip(self.gpus, self.uuids or (), strict=False)).get(gpu)


class Capacity(Record, frozen=True):
    """From `at` on (microseconds UTC) `server` offers these GPU indices, of which `drained`."""

    at: int
    server: str
    gpus: tuple[int, ...]
    cpus: int
    drained: tuple[int, ...] = ()


class Effects(msgspec.Struct, frozen=True, gc=False):
    """What an event did: the keys it touched, the holdings it closed, capacity it changed.

    `void` is a key of `fold.VOID` where the event had no effect.
    """

    touched: tuple[str, ...] = ()
    closed: tuple[Holding, ...] = ()
    capacity: tuple[Capacity, ...] = ()
    void: str | None = None


NOTHING = Effects()


def running(piece: AllocationPiece) -> list[Holding]:
    """The open holdings of a running allocation, one a server."""
    return [
        Holding(
            piece.id, share.server, share.gpus, share.cpus, piece.task, piece.user, piece.start,
            uuids=share.uuids, project=piece.project, note=piece.note,
            uncertain=piece.uncertain, sure=piece.sure,
        )
        for share in piece.servers
    ]  # fmt: skip
