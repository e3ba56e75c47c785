"""Tenure: how an allocation begins and ends, on all its servers at once. Part of fold."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import MutableMapping

import msgspec

from .facts import Share
from .fold_pool import gone
from .holding import Holding
from .piece import GAPS, AllocationPiece, GapsPiece, Piece, ServerPiece, TasksPiece
from .spent import spend
from .taking import Impossible, give_back, take

Pieces = MutableMapping[str, Piece]

GAP = "gap"
"""The cause of an end that lies in a gap, found by what came after it."""


def begin(pieces: Pieces, piece: AllocationPiece) -> tuple[str, ...]:
    """Let an allocation run, and its request wait no longer; returns touched keys.

    Raises Impossible before anything changed where something of it is not there to be had.
    """
    fresh: dict[str, Piece] = {}
    for share in piece.servers:
        key = "server:" + share.server
        server = fresh.get(key) or pieces.get(key)
        if not isinstance(server, ServerPiece) or not server.holders:
            raise Impossible("unknown_server")
        fresh[key] = take(server, share, piece.id)
    fresh[f"allocation:{piece.id}"] = piece
    tasks_key = "tasks:" + piece.owner
    before = pieces.get(tasks_key)
    tasks = before.tasks if isinstance(before, TasksPiece) else ()
    pair = piece.task, piece.id
    at = bisect_left(tasks, pair)
    fresh[tasks_key] = TasksPiece((*tasks[:at], pair, *tasks[at:]))
    pieces.update(fresh)
    served = f"waiting:{piece.request}"
    if piece.request is not None and pieces.pop(served, None) is not None:
        return (*fresh, served)
    return tuple(fresh)


def end(
    pieces: Pieces, at: int, allocations: tuple[int, ...], why: tuple[str, str | None]
) -> tuple[list[str], list[Holding]]:
    """End running allocations at `at`; returns touched keys and closed holdings.

    Where a gap hides when one ended, only its time before that counts as spent. Raises
    Impossible before anything changed where one does not run or is named twice.
    """
    ending: dict[str, AllocationPiece] = {}
    for number in allocations:
        allocation_key = f"allocation:{number}"
        found = pieces.get(allocation_key)
        if not isinstance(found, AllocationPiece) or allocation_key in ending:
            raise Impossible("not_running")
        ending[allocation_key] = found
    touched: dict[str, None] = {}
    closed: list[Holding] = []
    for allocation_key, piece in ending.items():
        hidden = _hidden(pieces, piece, why[0])
        mark = (piece.uncertain, piece.sure) if hidden else (None, None)
        for share in piece.servers:
            key = "server:" + share.server
            server = pieces.get(key)
            if not isinstance(server, ServerPiece):  # a share of nothing, on a server that went
                server = gone(share.server, 0)
            pieces[key] = server = give_back(server, share)
            if why[0] == GAP:
                pieces[key] = server = _doubted(server, share)
            touched[key] = None
            closed.append(
                Holding(
                    piece.id, share.server, share.gpus, share.cpus, piece.task, piece.user,
                    piece.start, at, share.uuids, piece.project, piece.note, *why, server.ended,
                    *mark,
                )
            )  # fmt: skip
        touched[allocation_key] = None
        del pieces[allocation_key]
        touched.update(dict.fromkeys(spend(pieces, piece, at, (hidden and piece.sure) or at)))
        touched[_forget_task(pieces, piece)] = None
    return list(touched), closed


def _forget_task(pieces: Pieces, piece: AllocationPiece) -> str:
    key = "tasks:" + piece.owner
    tasks = pieces[key]
    assert isinstance(tasks, TasksPiece)
    at = bisect_left(tasks.tasks, (piece.task, piece.id))
    left = tasks.tasks[:at] + tasks.tasks[at + 1 :]
    if left:
        pieces[key] = TasksPiece(left)
    else:
        del pieces[key]
    return key


def _hidden(pieces: Pieces, piece: AllocationPiece, cause: str) -> bool:
    """Whether a gap hides when it ended: found so by later evidence, or released by somebody
    else once the gap was known.
    """
    if piece.uncertain is None or cause == GAP:
        return cause == GAP
    gaps = pieces.get(GAPS)
    losses = gaps.losses if isinstance(gaps, GapsPiece) else ()
    recorded = any(one.first == piece.uncertain and one.recorded for one in losses)
    return recorded and cause != "owner"


def _doubted(server: ServerPiece, share: Share) -> ServerPiece:
    """The server with the share's GPUs in doubt: others may have had them since."""
    doubtful = tuple(sorted({*server.doubtful, *share.gpus}))
    return msgspec.structs.replace(server, doubtful=doubtful)
