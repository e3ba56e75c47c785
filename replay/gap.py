"""Gaps: what it means for the state that a stretch of events is lost. Pure.

Whatever ran or waited before a gap may have ended in it, what was free may have been taken, and
servers may have been others. All of that is in doubt from there on, until evidence decides it
(`evidence`).
"""

from __future__ import annotations

from collections.abc import Container, Iterable, MutableMapping

import msgspec

from .facts import NO_LIMITS, Admins, Gap, Record
from .piece import (
    GAPS,
    POOL,
    AllocationPiece,
    GapsPiece,
    Loss,
    Piece,
    PoolPiece,
    ServerPiece,
    WaitingPiece,
)

Pieces = MutableMapping[str, Piece]


class Hole(Record, frozen=True):
    """A stretch of seqs that the log lacks, as a `gap.recorded` event names it.

    `before` and `after` are the hashes of the events before `first` and at `last`, 32 bytes.
    `ledger` is the ledger's id where the first event is lost.
    """

    first: int
    last: int
    before: bytes
    after: bytes
    ledger: str | None = None


def losses(pieces: MutableMapping[str, Piece]) -> tuple[Loss, ...]:
    """The gaps before the head, in order."""
    found = pieces.get(GAPS)
    return found.losses if isinstance(found, GapsPiece) else ()


def lose(pieces: Pieces, hole: Hole, at: int, until: int) -> tuple[str, ...]:
    """Step over a hole between events at `at` and `until` (microseconds UTC); returns touched
    keys.
    """
    fresh: dict[str, Piece] = {}
    for key, piece in pieces.items():
        doubted = _doubted(piece, hole.first, at)
        if doubted is not piece:
            fresh[key] = doubted
    fresh[GAPS] = GapsPiece((*losses(pieces), Loss(hole.first, hole.last, at, until)))
    if hole.first == 1:
        fresh[POOL] = PoolPiece(hole.ledger or "", (), NO_LIMITS, Admins())
    pieces.update(fresh)
    return tuple(fresh)


def _doubted(piece: Piece, first: int, at: int) -> Piece:
    """The piece as it stands behind a gap: in doubt since the first gap that it may hide in."""
    if isinstance(piece, ServerPiece):
        every = tuple(sorted(card.index for card in piece.facts.gpus))
        since = first if piece.uncertain is None else piece.uncertain
        return msgspec.structs.replace(piece, doubtful=every, uncertain=since)
    if isinstance(piece, AllocationPiece) and piece.uncertain is None:
        return msgspec.structs.replace(piece, uncertain=first, sure=at)
    if isinstance(piece, WaitingPiece) and piece.uncertain is None:
        return msgspec.structs.replace(piece, uncertain=first)
    return piece


def note_record(pieces: Pieces, seq: int, gaps: Iterable[Gap]) -> tuple[str, ...]:
    """Remember which gaps the event `seq` names; returns touched keys."""
    named = {(gap.first, gap.last) for gap in gaps}
    before = losses(pieces)
    after = tuple(
        msgspec.structs.replace(one, recorded=seq) if (one.first, one.last) in named else one
        for one in before
    )
    if after == before:
        return ()
    pieces[GAPS] = GapsPiece(after)
    return (GAPS,)


def tree_start(gaps: Iterable[tuple[int, int]], known: Container[int]) -> int:
    """The seq of the first leaf of the log's tree: behind the last gap, from one seq to another,
    not all of whose hashes are known.
    """
    starts = (
        last + 1 for first, last in gaps if not all(seq in known for seq in range(first, last + 1))
    )
    return max(starts, default=1)
