"""Every error of SQLite, as the error of ours that it means. The one place where they are read."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
from collections.abc import Generator

from .descriptors import group_of
from .errors import (
    Damaged,
    GpuledgerError,
    LedgerMissing,
    LockTimeout,
    NotALedger,
    NotPermitted,
    StorageFailed,
)

PERM, BUSY, LOCKED, READONLY, IOERR = 3, 5, 6, 8, 10
FULL, CANTOPEN, PROTOCOL, NOTADB = 13, 14, 15, 26


_NO_ROOM_FOR_INDEX = (
    sqlite3.SQLITE_IOERR_SHMOPEN,
    sqlite3.SQLITE_IOERR_SHMSIZE,
    sqlite3.SQLITE_IOERR_SHMMAP,
)

FAULTS = (sqlite3.Error, UnicodeDecodeError)
"""What sqlite3 raises: its own errors, and this one where its message quotes a damaged schema."""

BUSY_S = 5.0
"""How long SQLite itself waits for its own locks, in seconds."""


def code_of(error: Exception) -> int:
    """Return SQLite's primary result code of `error`, 0 where Python itself raised it."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def no_index(error: Exception) -> bool:
    """Whether the index beside the -wal could not be made: it is forbidden, or the disk is full."""
    if code_of(error) in (PERM, READONLY, CANTOPEN):
        return True
    return getattr(error, "sqlite_errorcode", 0) in _NO_ROOM_FOR_INDEX


@contextlib.contextmanager
def translated(path: str, wanted: str) -> Generator[None, None, None]:
    """Raise ours for SQLite's errors; `wanted` is `read`, `write` or `create`."""
    try:
        yield
    except FAULTS as error:
        raise translate(error, path, wanted) from error


@contextlib.contextmanager
def making(path: str, group: str | None = None) -> Generator[None, None, None]:
    """Raise ours for what SQLite and the system say to making the file at `path`.

    `group` is whose members might.
    """
    try:
        with translated(path, "create"):
            yield
    except PermissionError as error:
        raise NotPermitted(path, "create", group) from error
    except OSError as error:
        raise from_system(error, path) from error


def from_system(error: OSError, path: str, wanted: str = "read") -> NotPermitted | StorageFailed:
    """Return ours for what the system said to reading `path`, or to what else was `wanted`."""
    if isinstance(error, PermissionError):
        return NotPermitted(path, wanted, group_of(path))
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return StorageFailed(path, error.strerror or str(error), full=full)


def fault(error: sqlite3.Error, path: str, wanted: str) -> Exception:
    """Return ours for what the storage did, `error` itself for what the caller did.

    A broken constraint or a wrong use of the driver is a bug, not a state of the disk.
    """
    mine = isinstance(error, sqlite3.IntegrityError) or not code_of(error)
    return error if mine else translate(error, path, wanted)


def translate(error: Exception, path: str, wanted: str) -> GpuledgerError:
    """Return the error of ours that `error` on the ledger at `path` means."""
    code, why = code_of(error), str(error)
    if code == NOTADB:
        return NotALedger(path, "a file that is no database")
    if code in (PERM, READONLY, CANTOPEN):
        return _closed(path, wanted, why)
    if code in (BUSY, LOCKED, PROTOCOL):
        return LockTimeout(path, BUSY_S)
    if code in (FULL, IOERR):
        return StorageFailed(path, why, full=code == FULL or _is_full(path))
    return Damaged(path, why)


def _closed(path: str, wanted: str, why: str) -> GpuledgerError:
    if not os.path.lexists(path):
        return LedgerMissing(path)
    if _is_full(path):
        return StorageFailed(path, why, full=True)
    return NotPermitted(path, wanted, group_of(path))


def _is_full(path: str) -> bool:
    """Say whether the filesystem has no room: SQLite calls that an I/O error now and then."""
    if not hasattr(os, "statvfs"):
        return False
    try:
        found = os.statvfs(os.path.dirname(path) or ".")
    except OSError:
        return False
    return found.f_bavail * found.f_frsize < _ROOM


_ROOM = 2**16
"""Bytes below which a filesystem is full: the index beside the -wal takes 32 KiB."""
