"""What an allocator keeps between turns: the state, and effects that are not saved yet.

Part of the allocator's I/O: it reads the log and the stores inside a turn. Pieces are
saved every `EVERY` events, and at once where the event before was another process's, so
that many writers do not fold each other's events again and again.
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import suppress

import msgspec

from ..ledger import tiles
from ..ledger.errors import BrokenChain
from ..ledger.event import Event
from ..ledger.log import Turn
from ..ledger.row import insert
from . import projection_store, snapshot_store
from .catalogue import AllocationGranted
from .holding import Effects
from .hole import holes_of, no_holes
from .snapshot_store import Header, Misfit, Snapshot
from .state import State

EVERY = 128
GRANTS = 256
"""So many grants of its own a process remembers."""
FOLD_COST = 6
"""Folding one event costs about as much as loading this many pieces."""


class Unsaved(msgspec.Struct, frozen=True):
    """An event's effects, until a snapshot stands at or behind its seq."""

    seq: int
    effects: Effects


class Keeping(threading.local):
    """The state kept by one thread of one process. `notices` gathers sentences for the user."""

    def __init__(self, notices: list[str]) -> None:
        self._state: State | None = None
        self._granted: dict[int, tuple[Event, AllocationGranted]] = {}
        self._stored: dict[str, bytes] = {}
        self._whole = False
        """Whether all rows are in `_stored`: as long as each save finds the header of the last."""
        self._stored_at: Header | None = None
        self._header: Header | None = None
        self._unsaved: list[Unsaved] = []
        self._others = True
        self._rewrite = False
        self._began = 0
        self.notices = notices

    def forget(self) -> None:
        """Drop everything kept: the next turn loads anew."""
        self._state = None
        self._granted = {}
        self._stored = {}
        self._stored_at = None
        self._header = None
        self._unsaved = []
        self._rewrite = False

    def catch_up(self, turn: Turn) -> State:
        """The state at the turn's head, of which nothing is appended yet: kept or loaded."""
        self._began = turn.head.seq
        self._header = None
        kept = self._state
        self._others = kept is None or kept.head != turn.head
        if kept is not None and not self._others:
            return kept
        if kept is not None and self._worth_folding(turn, kept):
            with suppress(BrokenChain):  # the file may be another one since: load, and see again
                return self.fold_rest(turn)
        self._load(turn)
        return self.fold_rest(turn)

    def _worth_folding(self, turn: Turn, kept: State) -> bool:
        """Whether folding what came since is cheaper than loading what was saved since."""
        if turn.head.seq <= kept.seq:
            return False
        try:
            header = self._header = snapshot_store.read_header(turn.connection)
        except Misfit as misfit:
            self.recover(turn, misfit)
            return True
        if header is None or header.seq <= kept.seq:
            return True
        return (turn.head.seq - kept.seq) * FOLD_COST < len(kept.pieces)

    def _load(self, turn: Turn) -> None:
        """Take the saved state, or start from nothing where it does not fit, and say so."""
        pieces = {} if self._state is None else self._state.pieces
        moved = {key for one in self._unsaved for key in one.effects.touched}
        known = {key: digest for key, digest in self._stored.items() if key not in moved}
        header = self._header
        self.forget()
        try:
            snapshot = snapshot_store.load(turn.connection, turn.head, header, (pieces, known))
        except Misfit as misfit:
            snapshot = None
            self.recover(turn, misfit)
            self.notices.append(f"{misfit.why}; replayed {turn.head.seq} events")
        else:
            if snapshot is None and turn.head.seq > 1:
                self.notices.append(f"the snapshot is missing; replayed {turn.head.seq} events")
        self._take(snapshot)

    def _take(self, snapshot: Snapshot | None) -> None:
        self._state = State() if snapshot is None else snapshot.state
        self._stored = {} if snapshot is None else snapshot.digests
        self._whole = snapshot is not None
        self._stored_at = self._header = None if snapshot is None else snapshot.header
        self._rewrite = snapshot is None

    def fold_rest(self, turn: Turn) -> State:
        """The kept state, brought to the turn's head."""
        assert self._state is not None
        state = self._state.over(holes_of(turn))
        try:
            for event in turn.read(state.seq, turn.head.seq):
                self.note(event.seq, state.apply(event))
        finally:
            state.over(no_holes)  # a turn ends with its last reference
        return state

    def note(self, seq: int, effects: Effects) -> None:
        """Remember what is to be saved."""
        self._unsaved.append(Unsaved(seq, effects))

    def keep_grant(self, event: Event, grant: AllocationGranted) -> None:
        """Remember a grant of this turn for its release, which tells of it.

        What keeps it honest: events never change, and the kept state, which goes with it, stands
        on this one.
        """
        if len(self._granted) >= GRANTS:
            self._granted.pop(next(iter(self._granted)))
        self._granted[event.seq] = event, grant

    def grant(self, seq: int) -> tuple[Event, AllocationGranted] | None:
        """The grant with this id, which ends now, where this process recorded it lately."""
        return self._granted.pop(seq, None)

    def save_if_due(self, turn: Turn) -> None:
        """Save where others write too, nothing is saved, or enough has gathered."""
        if not self._unsaved or self._unsaved[-1].seq != turn.head.seq:
            return
        if self._others or self._rewrite or len(self._unsaved) >= EVERY:
            self.save(turn)

    def save(self, turn: Turn) -> Header:
        """Write touched pieces, new projection rows and the header into the turn's transaction.

        Where a table is gone or has another shape, all of them are made and filled anew.
        """
        try:
            return self._save(turn)
        except sqlite3.Error as error:
            if not snapshot_store.is_shape(error):
                raise
            if snapshot_store.is_corrupt(error):
                self._begin_anew(turn)
            else:
                snapshot_store.make_anew(turn.connection)
        self._replay_everything(turn)
        return self._save(turn)

    def recover(self, turn: Turn, misfit: Misfit) -> None:
        """Where a damaged page was met, go on in a transaction that can write."""
        if misfit.corrupt:
            self._begin_anew(turn)

    def _begin_anew(self, turn: Turn) -> None:
        """The same events in another transaction, with the damaged tables set aside.

        SQLite writes no more in one that met a damaged page. The turn's lock is held all along.
        """
        appended = list(turn.read(self._began, turn.head.seq))
        turn.connection.execute("ROLLBACK")
        turn.connection.execute("BEGIN IMMEDIATE")
        for event in appended:
            insert(turn.connection, event)
        snapshot_store.make_anew(turn.connection, damaged=True)

    def _save(self, turn: Turn) -> Header:
        assert self._state is not None
        conn = turn.connection
        before = None if self._rewrite else self._current_header(turn)
        fresh = self._unsaved
        if before is None:
            snapshot_store.drop(conn)
        else:
            fresh = [one for one in self._unsaved if one.seq > before.seq]
        last = (0, 0) if before is None else (before.holdings, before.capacity)
        holdings, capacity = projection_store.append(
            conn,
            last,
            (holding for one in fresh for holding in one.effects.closed),
            (capacity for one in fresh for capacity in one.effects.capacity),
        )
        tiles.catch_up(conn, turn.head.seq)
        touched = dict.fromkeys(key for one in fresh for key in one.effects.touched)
        self._unsaved = []
        self._rewrite = False
        if before is None or before != self._stored_at:
            self._stored = {}  # what is not known by its digest is asked for
            self._whole = before is None  # then every row is written now
        self._stored_at = snapshot_store.save(
            conn, self._state, touched, before,
            holdings=holdings, capacity=capacity, stored=self._stored, whole=self._whole,
        )  # fmt: skip
        return self._stored_at

    def _current_header(self, turn: Turn) -> Header | None:
        """The header as it stands in the file now: others may have saved, or rows may be gone."""
        header = self._header  # read in this turn already, where others had written
        try:
            header = header or snapshot_store.read_header(turn.connection)
        except Misfit as misfit:
            self.recover(turn, misfit)
        first_unsaved = self._unsaved[0].seq if self._unsaved else turn.head.seq + 1
        if header is None or header.seq < first_unsaved - 1:
            self._replay_everything(turn)
            return None
        return header

    def _replay_everything(self, turn: Turn) -> None:
        """The stored rows are of no use: gather the effects of all events once more."""
        self.replay_anew(turn)
        self.fold_rest(turn)

    def replay_anew(self, turn: Turn) -> int:
        """Forget what is kept and stored; how many snapshots went."""
        try:
            dropped = snapshot_store.drop(turn.connection)
        except sqlite3.Error as error:
            if not snapshot_store.is_corrupt(error):
                raise
            self._begin_anew(turn)
            dropped = 0
        self.forget()
        self._take(None)
        return dropped
