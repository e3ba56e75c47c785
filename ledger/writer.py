"""The writing side of the embedded log: the lock, the connection, the note, the -wal's size."""

from __future__ import annotations

import os
import sqlite3
import threading
from typing import TYPE_CHECKING

from . import note
from .connection import (
    Place,
    check_foreign,
    check_schema,
    distrust,
    open_writer,
    place_of,
)
from .errors import BrokenChain, Damaged, GpuledgerError
from .event import START, Head
from .failure import BUSY_S, FAULTS, translate
from .filesystem import refuse_network
from .forking import keep_for_ever, settle, watch
from .format import LOCK_SUFFIX, MAX_INTEGER
from .lock import LedgerLock
from .row import head_in
from .witness import check_note, ledger_id

if TYPE_CHECKING:
    from .mirror import Mirror

WAL_LIMIT = 8 * 2**20
"""Past this size, in bytes, the -wal is written back and cut to nothing, under the lock."""

WAL_STEP = 2**20
"""Where readers kept it from being cut, it grows by this before the next try."""

_MEASURE_EVERY = 8
"""Events between two looks at the -wal's size: far below what WAL_LIMIT leaves room for."""

_CHECKPOINT_WAIT_S = 0.5
_CLOSE_WAIT_S = 2.0


class Writer:
    """Writes to the ledger at `path`; `connection` and `head` are those of the turn that runs."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.head: Head = START
        self.ledger = b""
        self._lock = LedgerLock(path + LOCK_SUFFIX, path)
        self._broken = False
        self._evidence = False
        self._inside = False
        self.guard = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._place: Place = (0, 0)
        self._schema: int | None = None
        self._noted: tuple[bytes, Head] = (b"", START)
        self._next_note: bytes | None = None
        self._mirrors: dict[str, Mirror] = {}
        self._wal_limit = WAL_LIMIT
        self._unmeasured = 0
        self._wal_path = path + "-wal"
        watch(self)

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection, inside the turn's transaction."""
        assert self._connection is not None
        return self._connection

    @property
    def busy(self) -> bool:
        """True inside a turn of the calling thread."""
        return self._lock.held

    def enter(self, timeout_s: float) -> None:
        """Take the lock, begin the transaction, and know the head; undone where it raises."""
        settle()
        if self._broken:
            raise RuntimeError("a process forked inside a turn cannot write to that ledger")
        if self._connection is None:
            place_of(self.path)
            if not os.path.exists(self._lock.path):
                check_foreign(self.path)  # before a lock file is made beside it
        fd = self._lock.acquire(timeout_s)
        try:
            self._inside = self.guard.acquire()
            self._begin()
            self._check_note(fd)
        except BaseException as error:
            self.leave()
            if isinstance(error, GpuledgerError):
                self._lock.distrust()
            if isinstance(error, FAULTS):
                raise translate(error, self.path, "write") from error
            raise

    def commit(self, head: Head) -> None:
        """Commit what the turn did, with `head` as the log's new end."""
        try:
            self.connection.execute("COMMIT")
        except sqlite3.Error as error:
            raised = translate(error, self.path, "write")
            self._rollback()
            self._drop()
            raise raised from error
        appended = head.seq - self.head.seq
        if appended:
            self._unmeasured += appended
            self._next_note = note.encode_note(note.Note(self.ledger, head.seq, head.hash))
            self.head = head

    def mirror(self, directory: str) -> Mirror:
        """The mirror in `directory`, with what this process knows of it; inside a turn only."""
        found = self._mirrors.get(directory)
        if found is None:
            from .mirror import Mirror

            ledger = self.ledger or ledger_id(self.connection, self.path)
            found = self._mirrors[directory] = Mirror(directory, ledger.hex(), self.path)
        return found

    def leave(self, *, last: bool = False) -> None:
        """Undo what is not committed, note the head, and let the lock go; idempotent."""
        if not self._lock.held:
            return
        noted, self._next_note = self._next_note, None
        try:
            if self._connection is not None:
                if self._connection.in_transaction:
                    self._rollback()
                elif noted is not None:
                    self._noted = noted, self.head
                    if self._unmeasured >= _MEASURE_EVERY:
                        self._bound_wal()
                if last:
                    self._drop()
        finally:
            if self._inside:
                self._inside = False
                self.guard.release()
            self._lock.release(noted)

    def close(self) -> None:
        """Close the connection under the lock, since closing may write the -wal back.

        Where the lock is not to be had, the connection is left open for ever instead.
        """
        settle()
        if self._connection is None:
            self._lock.close()
        elif self._is_gone():
            self._drop()  # SQLite neither writes back nor deletes beside a file that was moved
            self._lock.close()
        else:
            self._close_locked()

    def _is_gone(self) -> bool:
        try:
            return place_of(self.path) != self._place
        except GpuledgerError:
            return True

    def _close_locked(self) -> None:
        try:
            self._lock.acquire(_CLOSE_WAIT_S)
        except GpuledgerError:
            connection, self._connection = self._connection, None
            if connection is not None:
                keep_for_ever(connection)
            return
        try:
            self._drop()
        finally:
            self._lock.release()
            self._lock.close()

    def _begin(self) -> None:
        """Open the file that the path names now, unless it is open, and begin."""
        if self._connection is None or not self._is_in_place():
            self._open()
        connection = self.connection
        connection.execute("BEGIN IMMEDIATE")
        self._look_at_schema(connection)
        self.head = head_in(connection)
        if self.head.seq >= MAX_INTEGER or self.head.at > MAX_INTEGER:
            raise BrokenChain(self.path, "its number or time is beyond 2^53 - 1", self.head.seq)

    def _look_at_schema(self, connection: sqlite3.Connection) -> None:
        """Refuse what would run in this turn: looked for again whenever the schema has changed
        since the last turn, whoever changed it.
        """
        version: int = connection.execute("PRAGMA schema_version").fetchone()[0]
        if version != self._schema:
            distrust(connection)
            check_schema(connection, self.path)
            self._schema = version

    def _is_in_place(self) -> bool:
        return self._lock.undisturbed or place_of(self.path) == self._place

    def _open(self) -> None:
        """Open anew; nothing that was known of the file before counts."""
        self._drop()
        self._place = place_of(self.path)
        refuse_network(self.path)
        self._connection = open_writer(self.path)
        self._schema = None
        self._evidence = False
        self.ledger = b""
        self._noted = b"", START
        self._mirrors = {}
        self._wal_limit = WAL_LIMIT
        self._unmeasured = _MEASURE_EVERY

    def _check_note(self, fd: int) -> None:
        """Refuse a log that is behind what its last writer noted, or was another then."""
        raw = note.read_at(fd, note.NOTE_SIZE, note.NOTE_AT)
        if self._noted == (raw, self.head):
            return
        if not self.ledger:
            self.ledger = ledger_id(self.connection, self.path)
        try:
            check_note(self.connection, self.path, self.ledger, note.decode_note(raw), self.head)
        except Damaged:
            self._evidence = True
            raise

    def _rollback(self) -> None:
        try:
            self.connection.execute("ROLLBACK")
        except sqlite3.Error:
            self._drop()

    def _bound_wal(self) -> None:
        """Write the -wal back and cut it once it has grown, so that readers cannot feed it."""
        self._unmeasured = 0
        try:
            size = os.stat(self._wal_path).st_size
        except OSError:
            return
        if size <= self._wal_limit:
            return
        connection = self.connection
        connection.execute(f"PRAGMA busy_timeout={int(_CHECKPOINT_WAIT_S * 1000)}")
        try:
            busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        except sqlite3.Error:
            busy = 1
        finally:
            connection.execute(f"PRAGMA busy_timeout={int(BUSY_S * 1000)}")
        self._wal_limit = size + WAL_STEP if busy else WAL_LIMIT

    def _drop(self) -> None:
        """Close the connection; left open where closing would delete the -wal of a lost tail."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if self._evidence:
            keep_for_ever(connection)
        else:
            connection.close()

    def after_fork(self, *, idle: bool) -> None:
        """Forget the parent's lock and connection: closed unless it is in the midst of a turn."""
        connection, self._connection = self._connection, None
        self._lock.after_fork()
        self.guard = threading.RLock()
        self._inside = False
        if connection is None:
            return
        if idle and not connection.in_transaction:
            connection.close()
        else:
            self._broken = True
            keep_for_ever(connection)
