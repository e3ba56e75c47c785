"""The JSON documents of the daily commands, each made in one place.

Pure functions from records to documents. From 1.0 on keys may be added and none renamed.
Allocation ids are integers, times ISO 8601 UTC with microseconds, and what an allocation
holds is always a list of `{"server", "gpus", "uuids", "cpus"}`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ..replay.catalogue import AllocationGranted
from ..replay.facts import Place, Server, Share
from ..replay.piece import AllocationPiece
from ..replay.spent import SECOND_US
from . import gapwords
from .occupancy import Occupancy, Totals
from .timetext import utc_text

if TYPE_CHECKING:
    from ..allocation import Released
    from ..replay.uncertainty import Uncertainty

Document = dict[str, Any]


def shares(held: Iterable[Share]) -> list[Document]:
    """What an allocation holds, server by server; `uuids` one a GPU, null where unknown."""
    return [
        {
            "server": share.server,
            "gpus": list(share.gpus),
            "uuids": list(share.uuids or [None] * len(share.gpus)),
            "cpus": share.cpus,
        }
        for share in held
    ]


def server_facts(server: Server) -> Document:
    """A server as the pool knows it."""
    return {
        "server": server.name,
        "host": server.host,
        "cpus": server.cpus,
        "gpus": [
            {
                "index": card.index,
                "uuid": card.uuid,
                "model": card.model,
                "memory_mib": card.memory_mib,
                "pci": card.pci,
            }
            for card in server.gpus
        ],
    }


def granted(seq: int, at_us: int, grant: AllocationGranted) -> Document:
    """`allocate`: the grant, whose id is its event's seq."""
    return {
        "allocation": seq,
        "seq": seq,
        "task": grant.task,
        "user": grant.user,
        "project": grant.project,
        "servers": shares(grant.servers),
        "start": utc_text(at_us),
        "until": until_text(_end(at_us, grant.lease)),
    }


def released(ended: Released) -> Document:
    """`release`: what ended."""
    return {
        "seq": ended.seq,
        "released": [
            {
                "allocation": one.event.seq,
                "task": one.payload.task,
                "servers": shares(one.payload.servers),
                "start": utc_text(one.event.at),
                "end": utc_text(ended.end),
                "user": one.payload.user,
                "project": one.payload.project,
            }
            for one in ended.grants
        ],
    }


def running(seq: int, at_us: int, pieces: Iterable[AllocationPiece]) -> Document:
    """`list`: what runs, by id."""
    return {
        "seq": seq,
        "at": utc_text(at_us),
        "allocations": [
            {
                "allocation": piece.id,
                "task": piece.task,
                "user": piece.user,
                "project": piece.project,
                "servers": shares(piece.servers),
                "start": utc_text(piece.start),
                "held_s": held_s(piece.start, at_us),
                "note": piece.note,
                "until": until_text(piece.until),
                **gapwords.document(piece.uncertain, piece.sure),
            }
            for piece in pieces
        ],
    }


def _end(start_us: int, lease_s: int | None) -> int | None:
    return None if lease_s is None else start_us + lease_s * SECOND_US


def until_text(until_us: int | None) -> str | None:
    """When a lease ends, None without one."""
    return None if until_us is None else utc_text(until_us)


def held_s(start_us: int, at_us: int) -> int:
    """For how many whole seconds what began at `start_us` has run at an instant."""
    return max(0, at_us - start_us) // SECOND_US


def status(
    seq: int,
    at_us: int,
    rows: Iterable[Occupancy],
    totals: Totals,
    waiting: int,
    *,
    lost: Uncertainty | None,
) -> Document:
    """`status`: every server with every GPU, the totals, how many wait in line, and the gaps."""
    return {
        "seq": seq,
        "at": utc_text(at_us),
        "servers": [_occupied(row) for row in rows],
        "totals": {
            "gpus_free": totals.gpus_free,
            "gpus_total": totals.gpus_total,
            "cpus_free": totals.cpus_free,
            "cpus_total": totals.cpus_total,
            "tasks": totals.tasks,
        },
        "waiting": waiting,
        "gaps": gapwords.gaps(lost),
    }


def _occupied(row: Occupancy) -> Document:
    return {
        "server": row.server,
        "state": row.state,
        "gpus_free": row.gpus_free,
        "gpus_total": row.gpus_total,
        "cpus_free": row.cpus_free,
        "cpus_total": row.cpus_total,
        "tasks": row.tasks,
        "uncertain": row.uncertain,
        "gpus": [
            {
                "index": seat.index,
                "uuid": seat.uuid,
                "state": seat.state,
                "allocation": seat.holder.id if seat.holder else None,
                "task": seat.holder.task if seat.holder else None,
                "user": seat.holder.user if seat.holder else None,
                "project": seat.holder.project if seat.holder else None,
                "since": utc_text(seat.holder.start) if seat.holder else None,
                "drained": seat.drained,
                "doubtful": seat.doubtful,
            }
            for seat in row.seats
        ],
    }


def places(seq: int, name: str, moved: Iterable[Place]) -> Document:
    """`drain` and `resume`: the GPUs that moved, under `drained` or `resumed`."""
    listed = [{"server": place.server, "gpus": list(place.gpus)} for place in moved]
    return {"seq": seq, "changes": {name: listed}}


def ended(seq: int, allocations: Iterable[int]) -> Document:
    """`reset`: the allocations that ended."""
    return {"seq": seq, "changes": {"ended": list(allocations)}}
