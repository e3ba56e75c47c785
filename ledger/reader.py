"""Reading a ledger without ever locking out a writer, whatever one may do with its folder.

Three ways, tried in this order. Live (`mode=ro`): beside writers. Immutable: where no -wal
lies beside the file and we cannot make one, as on read-only media and on a full disk, with the
file's stat compared before and after. A private copy of file and -wal: where the -wal has no
-shm and we cannot make one.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from .connection import Place, connect, distrust, identify, place_of
from .descriptors import group_of
from .errors import NotPermitted, StorageFailed
from .failure import BUSY_S, FAULTS, from_system, no_index, translate
from .filesystem import refuse_network
from .forking import keep_for_ever, settle, watch
from .private_copy import PrivateCopy

T = TypeVar("T")
Stamp = tuple[int, ...]


class _Moved(Exception):
    """The file changed under a reading that relies on its lying still."""


class Reader:
    """Reads the ledger at `path`; opens at the first reading, and anew where it was replaced.

    Safe to share between threads, and after a fork.
    """

    def __init__(self, path: str) -> None:
        self.path = os.path.realpath(path)
        self.guard = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._place: Place = (0, 0)
        self._still: Stamp | None = None
        self._copy: PrivateCopy | None = None
        self._schema: int | None = None
        watch(self)

    def read(self, fn: Callable[[sqlite3.Connection], T]) -> T:
        """Return `fn(connection)`, run inside one read transaction.

        `fn` may run more than once, where the file moved, and must finish within 50 ms:
        a longer transaction lets the -wal grow. Whatever it returns must not read on.
        """
        settle()
        with self.guard:
            deadline = time.monotonic() + BUSY_S
            while True:
                try:
                    return self._once(fn)
                except _Moved:
                    self._drop()
                    if time.monotonic() > deadline:
                        raise StorageFailed(self.path, "the file never lies still") from None
                except BaseException:
                    self._failed()
                    raise

    @property
    def copied(self) -> bool:
        """Whether what was read last was a private copy."""
        return self._copy is not None

    def _failed(self) -> None:
        """A reading failed: what lies still is opened anew."""
        if self._still is not None:
            self._drop()

    def close(self) -> None:
        """Close; the next reading opens anew."""
        settle()
        with self.guard:
            self._drop()

    def _once(self, fn: Callable[[sqlite3.Connection], T]) -> T:
        connection = self._connection
        if connection is None or self._named() != self._place:
            self._drop()
            connection = self._open()
        if self._still is None:
            result = self._within(connection, fn)
            if self._named() != self._place:
                raise _Moved  # replaced while it was opened: the -wal may have been the new one's
            return result
        if self._still != stamp(self.path):
            raise _Moved
        try:
            result = self._within(connection, fn)
        except Exception:
            if self._still != stamp(self.path):
                raise _Moved from None
            raise
        if self._still != stamp(self.path):
            raise _Moved
        return result

    def _within(self, connection: sqlite3.Connection, fn: Callable[[sqlite3.Connection], T]) -> T:
        try:
            connection.execute("BEGIN")
            try:
                self._look_at_schema(connection)
                return fn(connection)
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
        except FAULTS as error:
            if self._still is None and no_index(error):
                # A header of the -shm caught half written reads as one that needs recovery.
                raise _Moved from error
            raise translate(error, self.path, "read") from error

    def _look_at_schema(self, connection: sqlite3.Connection) -> None:
        """Notice a view that came into the file since it was opened."""
        version: int = connection.execute("PRAGMA schema_version").fetchone()[0]
        if version != self._schema:
            distrust(connection)
            self._schema = version

    def _named(self) -> Place:
        """Which file the path names now."""
        return place_of(self.path)

    def _open(self) -> sqlite3.Connection:
        self._place = self._named()
        self._schema = None
        refuse_network(self.path)
        if not os.access(self.path, os.R_OK):
            raise NotPermitted(self.path, "read", group_of(self.path))
        try:
            connection = self._connected(self.path, "mode=ro")
        except FAULTS as error:
            if not no_index(error):
                raise translate(error, self.path, "read") from error
            connection = self._open_still()
        self._connection = connection
        return connection

    def _open_still(self) -> sqlite3.Connection:
        """Open what lies still: the file alone, or a copy of it with its -wal."""
        still = stamp(self.path)
        try:
            if len(still) == len(_NO_WAL):
                connection = self._connected(self.path, "immutable=1")
            else:
                self._copy = PrivateCopy(self.path)
                connection = self._connected(self._copy.path, "mode=rw")
        except (*FAULTS, OSError) as error:
            self._drop()
            if still != stamp(self.path):
                raise _Moved from None
            if isinstance(error, FAULTS):
                raise translate(error, self.path, "read") from error
            raise from_system(error, self.path) from error
        self._still = still
        return connection

    def _connected(self, path: str, how: str) -> sqlite3.Connection:
        connection = connect(path, how)
        try:
            self._recognise(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _recognise(self, connection: sqlite3.Connection) -> None:
        """Raise where the open file is nothing that is read here."""
        identify(connection, self.path)

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        copy, self._copy = self._copy, None
        self._still = None
        if connection is not None:
            connection.close()
        if copy is not None:
            copy.remove()

    def after_fork(self, *, idle: bool) -> None:
        """Forget the parent's connection: closed where no other thread was using it."""
        connection, self._connection = self._connection, None
        if self._copy is not None:
            self._copy.remove.detach()
        self._copy = self._still = None
        self.guard = threading.RLock()
        if connection is not None:
            if idle:
                connection.close()
            else:
                keep_for_ever(connection)


_NO_WAL = (0,) * 5


def stamp(path: str) -> Stamp:
    """Return what changes when the file at `path` or its -wal does: 5 numbers, 10 with it."""
    mine = _numbers(path)
    try:
        beside = _numbers(path + "-wal")
    except FileNotFoundError:
        return mine
    return mine if beside[2] == 0 else mine + beside


def _numbers(path: str) -> Stamp:
    found = os.stat(path)
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
