"""The writing side of the embedded log: the lock, the connection, the note, the -wal's size."""

from __future__ import annotations

import os
import sqlite3

from . import note
from .connection import Place, open_writer, place_of
from .event import START, Head
from .failure import BUSY_S, translate
from .filesystem import refuse_network
from .format import LOCK_SUFFIX
from .inherited import keep_for_ever
from .lock import LedgerLock
from .row import head_in
from .witness import check_note, ledger_id

WAL_LIMIT = 8 * 2**20
"""Past this size, in bytes, the -wal is written back and cut to nothing, under the lock."""

WAL_STEP = 2 * 2**20
"""Where readers kept it from being cut, it grows by this before the next try."""

_CHECKPOINT_WAIT_S = 0.2
_CLOSE_WAIT_S = 2.0


class Writer:
    """Writes to the ledger at `path`; `connection` and `head` are those of the turn that runs."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.head: Head = START
        self.ledger = b""
        self._lock = LedgerLock(path + LOCK_SUFFIX, path)
        self._pid = os.getpid()
        self._connection: sqlite3.Connection | None = None
        self._place: Place = (0, 0)
        self._noted: tuple[bytes, Head] = (b"", START)
        self._next_note: bytes | None = None
        self._wal_limit = WAL_LIMIT
        self._wal_path = path + "-wal"

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection, inside the turn's transaction."""
        assert self._connection is not None
        return self._connection

    def enter(self, timeout_s: float) -> None:
        """Take the lock, begin the transaction, and know the head; undone where it raises."""
        if self._pid != os.getpid():
            self._after_fork()
        place_of(self.path)
        fd = self._lock.acquire(timeout_s)
        try:
            self._begin()
            self._check_note(fd)
        except sqlite3.Error as error:
            self.leave()
            raise translate(error, self.path, "write") from error
        except BaseException:
            self.leave()
            raise

    def commit(self, head: Head) -> None:
        """Commit what the turn did, with `head` as the log's new end."""
        if self._pid != os.getpid():
            raise RuntimeError("a turn ends with the process that began it")
        try:
            self.connection.execute("COMMIT")
        except sqlite3.Error as error:
            raised = translate(error, self.path, "write")
            self._rollback()
            self._drop()
            raise raised from error
        if head.seq != self.head.seq:
            self._next_note = note.encode_note(note.Note(self.ledger, head.seq, head.hash))
            self.head = head

    def leave(self, *, last: bool = False) -> None:
        """Undo what is not committed, note the head, and let the lock go; idempotent."""
        if self._pid != os.getpid():
            return
        noted, self._next_note = self._next_note, None
        try:
            if self._connection is not None:
                if self._connection.in_transaction:
                    self._rollback()
                elif noted is not None:
                    self._noted = noted, self.head
                    self._bound_wal()
                if last:
                    self._drop()
        finally:
            self._lock.release(noted)

    def close(self) -> None:
        """Close the connection under the lock, since closing may write the -wal back.

        Where the lock is not to be had, the connection is left open for ever instead.
        """
        if self._pid != os.getpid():
            self._after_fork()
        if self._connection is not None:
            self._close_locked()
        self._lock.close()

    def _close_locked(self) -> None:
        try:
            self._lock.acquire(_CLOSE_WAIT_S)
        except Exception:
            connection, self._connection = self._connection, None
            if connection is not None:
                keep_for_ever(connection)
            return
        try:
            self._drop()
        finally:
            self._lock.release()

    def _begin(self) -> None:
        """Open the file that the path names now, unless it is open, and begin."""
        place = place_of(self.path)
        if self._connection is not None and place != self._place:
            self._drop()
        if self._connection is None:
            refuse_network(self.path)
            self._connection = open_writer(self.path)
            self._place = place
            self.ledger = b""
            self._noted = b"", START
            self._wal_limit = WAL_LIMIT
        self._connection.execute("BEGIN IMMEDIATE")
        self.head = head_in(self._connection)

    def _check_note(self, fd: int) -> None:
        """Refuse a log that is behind what its last writer noted, or was another then."""
        raw = note.read_at(fd, note.NOTE_SIZE, note.NOTE_AT)
        if self._noted == (raw, self.head):
            return
        if not self.ledger:
            self.ledger = ledger_id(self.connection, self.path)
        check_note(self.connection, self.path, self.ledger, note.decode_note(raw), self.head)

    def _rollback(self) -> None:
        try:
            self.connection.execute("ROLLBACK")
        except sqlite3.Error:
            self._drop()

    def _bound_wal(self) -> None:
        """Write the -wal back and cut it once it has grown, so that readers cannot feed it."""
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
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _after_fork(self) -> None:
        """Forget the parent's lock and connection; the connection must never be closed here."""
        if self._connection is not None:
            keep_for_ever(self._connection)
        self._connection = None
        self._lock.after_fork()
        self._pid = os.getpid()
