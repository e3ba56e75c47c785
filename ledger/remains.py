"""Remains: all that is left of a ledger in its file, its -wal and its lock file, as bytes.

Nothing is opened through SQLite, so that nothing in the file runs and nothing is written beside
it. What the disk does not give back any more counts as zeros.
"""

from __future__ import annotations

import errno
import os
import stat

import msgspec

from .carving import carve
from .errors import LedgerMissing, NotALedger, StorageFailed
from .event import Event
from .failure import from_system
from .format import LOCK_SUFFIX, MAX_INTEGER
from .note import Note, Unreadable, read_at, read_note
from .reader import Stamp, stamp

_RUN = 2**20
_SECTOR = 4096
_TRIES = 3
_FLAGS = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


class Remains(msgspec.Struct, frozen=True):
    """What is left of one ledger: `events` and `unfinished` ones by hash (see `carving.Carved`).

    `note` is the head that the lock file names; None where there is none or no legible one.
    `unreadable` counts the bytes that the disk did not give back. `given_up` tells that the files
    were not searched to their ends.
    """

    events: dict[bytes, Event]
    unfinished: dict[bytes, Event]
    note: Note | None
    unreadable: int
    given_up: bool


def remains(path: str) -> Remains:
    """Return what is left of the ledger at `path`.

    Raises LedgerMissing, NotALedger where it is not a regular file, NotPermitted, StorageFailed
    where somebody goes on writing to it.
    """
    noted = read_note(path + LOCK_SUFFIX)
    for _ in range(_TRIES):
        before = _stamped(path)
        file, lost = _read(path)
        wal, lost_too = _read(path + "-wal") if os.path.lexists(path + "-wal") else (b"", 0)
        if before == _stamped(path):
            break
    else:
        raise StorageFailed(path, "somebody writes to it while it is read")
    carved = carve(file, wal)
    if isinstance(noted, Unreadable) or (noted and noted.seq >= MAX_INTEGER):
        noted = None
    return Remains(carved.settled, carved.unfinished, noted, lost + lost_too, carved.given_up)


def _stamped(path: str) -> Stamp:
    try:
        return stamp(path)
    except FileNotFoundError:
        raise LedgerMissing(path) from None
    except OSError as error:
        raise from_system(error, path) from error


def _read(path: str) -> tuple[bytes, int]:
    """The bytes of a file, and how many of them are zeros since the disk does not give them."""
    try:
        found = os.stat(path)
        if not stat.S_ISREG(found.st_mode):
            folder = stat.S_ISDIR(found.st_mode)
            raise NotALedger(path, "a folder" if folder else "not a regular file")
        fd = os.open(path, _FLAGS)
    except OSError as error:
        raise from_system(error, path) from error
    parts: list[bytes] = []
    lost = 0
    try:
        for at in range(0, found.st_size, _RUN):
            part, missing = _run(path, fd, at, min(_RUN, found.st_size - at))
            parts.append(part)
            lost += missing
    finally:
        os.close(fd)
    return b"".join(parts), lost


def _run(path: str, fd: int, at: int, size: int) -> tuple[bytes, int]:
    """Some bytes of a file; by sectors where they cannot be read as one."""
    try:
        return read_at(fd, size, at), 0
    except OSError as error:
        if error.errno != errno.EIO:
            raise from_system(error, path) from error
    if size <= _SECTOR:
        return bytes(size), size
    parts = [_run(path, fd, one, min(_SECTOR, at + size - one))
             for one in range(at, at + size, _SECTOR)]  # fmt: skip
    return b"".join(part for part, _ in parts), sum(missing for _, missing in parts)
