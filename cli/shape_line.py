"""The JSON documents of leases and of the line, each made in one place. See `shape`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ..replay.facts import Asked
from .shape import held_s
from .timetext import utc_text
from .words import _, cpu_count, gpu_count

if TYPE_CHECKING:
    from ..replay.batch import Recorded
    from ..replay.queue import Queued

Document = dict[str, Any]


def extended(recorded: Recorded) -> Document:
    """`extend`: when each lease ends from now on."""
    return {
        "seq": recorded.event.seq,
        "extended": [
            {
                "allocation": one.allocation,
                "until": utc_text(one.until),
                "left_s": held_s(recorded.event.at, one.until),
            }
            for one in recorded.payload.extensions
        ],
    }


def cancelled(seq: int, requests: Iterable[int]) -> Document:
    """`cancel`: the requests that left the line."""
    return {"seq": seq, "cancelled": list(requests)}


def waiting(seq: int, at_us: int, line: Iterable[Queued]) -> Document:
    """`queue`: who waits, the first in line first."""
    return {
        "seq": seq,
        "at": utc_text(at_us),
        "requests": [
            {
                "request": one.piece.id,
                "position": one.position,
                "task": one.piece.asked.task,
                "user": one.piece.user,
                "project": one.piece.project,
                "priority": one.piece.priority,
                "gpus": one.piece.asked.gpus,
                "cpus": one.piece.asked.cpus,
                "servers": one.piece.asked.servers,
                "on": list(one.piece.asked.on),
                "reason": one.reason,
                "since": utc_text(one.piece.at),
                "waited_s": held_s(one.piece.at, at_us),
                "until": None if one.piece.until is None else utc_text(one.piece.until),
                "starts": None if one.starts is None else utc_text(one.starts),
                "uncertain": one.piece.uncertain,
            }
            for one in line
        ],
    }


def asked_text(asked: Asked) -> str:
    """What was asked for, in a few words: `8 GPUs, 64 CPUs on 2 servers`."""
    told = gpu_count(asked.gpus)
    if asked.cpus is not None:
        told = f"{told}, {cpu_count(asked.cpus)}"
    if asked.servers > 1:
        told = _("{asked} on {servers} servers").format(asked=told, servers=asked.servers)
    if asked.on:
        told = _("{asked} on {places}").format(asked=told, places=", ".join(asked.on))
    return told
