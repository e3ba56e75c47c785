"""Rebuild: snapshot and projections made anew from the log, and compared with what lay there."""

from __future__ import annotations

import msgspec

from ..ledger.log import Turn
from . import piece, projection_store, snapshot_store
from .hole import holes_of
from .keeping import Keeping
from .snapshot_store import Misfit


class Rebuilt(msgspec.Struct, frozen=True):
    """What a rebuild made: from how many events, and the state hash (32 bytes) at the head.

    `matches` tells whether everything stored before was right; None where no snapshot was
    there to compare. `dropped` counts the snapshots that went.
    """

    events: int
    state_hash: bytes
    matches: bool | None
    dropped: int


class _Stored(msgspec.Struct, frozen=True):
    """What lay there, brought up to the head: its state hash, row counts, and the rows' digest."""

    state_hash: bytes
    holdings: int
    capacity: int
    rows: bytes


def rebuild(turn: Turn, keeping: Keeping) -> Rebuilt:
    """Drop snapshot and projections and save them anew, inside the turn. Raises BrokenChain."""
    before = _stored(turn)
    if isinstance(before, Misfit):
        keeping.recover(turn, before)
    dropped = keeping.replay_anew(turn)
    if not projection_store.has_index(turn.connection):
        snapshot_store.make_anew(turn.connection)
    keeping.fold_rest(turn)
    header = keeping.save(turn)
    matches = None
    if isinstance(before, Misfit):
        matches = False
    elif before is not None:
        rows = projection_store.stored(turn.connection, before.holdings, before.capacity)
        matches = (before.state_hash, before.rows) == (header.state_hash, rows)
    return Rebuilt(turn.head.seq, header.state_hash, matches, dropped)


def _stored(turn: Turn) -> _Stored | Misfit | None:
    conn = turn.connection
    try:
        snapshot = snapshot_store.load(conn)
        if snapshot is None:
            return None
        rows = projection_store.stored(conn, snapshot.header.holdings, snapshot.header.capacity)
    except Misfit as misfit:
        return misfit
    state = snapshot.state.over(holes_of(turn))
    for event in turn.read(snapshot.header.seq):
        state.apply(event)
    state_hash = piece.state_hash(state.pieces)
    return _Stored(state_hash, snapshot.header.holdings, snapshot.header.capacity, rows)
