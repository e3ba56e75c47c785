"""Replacing: another file comes into a ledger's place, under its lock, and the old one aside.

The order is what counts, so that a process killed anywhere leaves a ledger that works. What the
old -wal holds is written back first, where it can be. Then -wal, -shm and -journal go aside: one
of these beside a file that it does not belong to would be taken for its own. The old file gets a
second name aside; the note of the head is cleared, since it would accuse the new one; one rename
puts the new one in place; the note is set anew with the lock's release. Processes that have the
old file open notice by its inode.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Generator

from . import note
from .connection import ASIDE, open_writer
from .errors import GpuledgerError, LedgerExists, NotALedger
from .event import Head
from .failure import FAULTS, making
from .filesystem import refuse_network
from .folder import sync
from .format import LOCK_SUFFIX, NEW_SUFFIX
from .lock import LedgerLock
from .neighbour import BESIDE, refuse_neighbour
from .reader import Reader
from .row import head_in
from .staging import clear, ownership_of
from .witness import check_note, ledger_id

_STAMP = "%Y%m%dT%H%M%SZ"


class Site:
    """The place of a ledger while its lock is held. `new` is where another one is made for it.

    `noted` is what the lock file remembers, `like` whose the new file is to be, `there` whether
    a file lies in the place. `ledger` is the id of the one that does (16 bytes) and `head` where it
    ends, as far as they can be told: None where it is damaged, or none is there.
    """

    def __init__(self, path: str, fd: int) -> None:
        self.path = path
        self.new = path + NEW_SUFFIX
        self.aside: str | None = None
        self.there = os.path.lexists(path)
        self.noted = note.decode_note(note.read_at(fd, note.NOTE_SIZE, note.NOTE_AT))
        self.like = ownership_of(path, path + LOCK_SUFFIX)
        self.written: bytes | None = None
        self.ledger: bytes | None = None
        self.head: Head | None = None
        self._fd = fd
        self._whole = False
        self._look()

    def put(self, written: note.Note) -> None:
        """Put the file at `new` in place, which ends as `written` says, and the old one aside.

        Raises what `os` raises; unless only the last sync failed, the old ledger is in place then.
        """
        self._write_back()
        moved: list[tuple[str, str]] = []
        before = note.read_at(self._fd, note.NOTE_SIZE, note.NOTE_AT)
        try:
            self._put_aside(moved)
            note.write_at(self._fd, bytes(note.NOTE_SIZE), note.NOTE_AT)
            os.fsync(self._fd)
            os.replace(self.new, self.path)
        except BaseException:
            self._undo(moved, before)
            raise
        self.written = note.encode_note(written)
        sync(os.path.dirname(self.path))

    def _look(self) -> None:
        """Find out which ledger lies there, and whether it is all that its note remembers."""
        if not self.there:
            return
        reader = Reader(self.path)
        with contextlib.suppress(GpuledgerError):
            self.ledger, self.head = reader.read(lambda db: (ledger_id(db, self.path), head_in(db)))
            known, head = self.ledger, self.head
            reader.read(lambda db: check_note(db, self.path, known, self.noted, head))
            self._whole = True
        reader.close()

    def _write_back(self) -> None:
        """Write the -wal back into the file, so that the file alone is the ledger.

        Not where anything is wrong with it: then file and -wal are evidence, and stay as they are.
        """
        if not self._whole or not os.path.exists(self.path + "-wal"):
            return
        with contextlib.suppress(GpuledgerError, *FAULTS):
            connection = open_writer(self.path)
            try:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            finally:
                connection.close()

    def _put_aside(self, moved: list[tuple[str, str]]) -> None:
        """Move what lies beside the file aside, and name the file there; `moved` is filled."""
        beside = [suffix for suffix in BESIDE if os.path.lexists(self.path + suffix)]
        if not (self.there or beside):
            return
        self.aside = _made_aside(self.path, 0o770 if self.like.mode & 0o060 else 0o700)
        name = os.path.join(self.aside, os.path.basename(self.path))
        shutil.copyfile(self.path + LOCK_SUFFIX, name + LOCK_SUFFIX)
        for suffix in beside:
            with contextlib.suppress(FileNotFoundError):  # a reader left, and SQLite removed it
                os.replace(self.path + suffix, name + suffix)
                moved.append((name + suffix, self.path + suffix))
        if self.there:
            try:
                os.link(self.path, name)
            except (OSError, AttributeError, NotImplementedError):
                os.replace(self.path, name)  # No hard links here: for a moment nothing is there.
                moved.append((name, self.path))
        sync(self.aside)

    def _undo(self, moved: list[tuple[str, str]], before: bytes) -> None:
        """The old ledger stays: put back what went aside, and the note."""
        for there, back in reversed(moved):
            with contextlib.suppress(OSError):
                os.replace(there, back)
        with contextlib.suppress(OSError):
            note.write_at(self._fd, before.ljust(note.NOTE_SIZE, b"\0"), note.NOTE_AT)
        if self.aside is not None:
            shutil.rmtree(self.aside, ignore_errors=True)
            self.aside = None


@contextlib.contextmanager
def replacing(path: str, timeout_s: float, *, over: bool) -> Generator[Site, None, None]:
    """Hold the place of the ledger at `path` by its lock; `over` where one may lie there.

    What is at the site's `new` is removed in the end. Raises LedgerExists, NotALedger where no
    plain file lies there, LockTimeout, NetworkFilesystem, NotPermitted, StorageFailed.
    """
    path = os.path.realpath(path)
    with making(path):
        _refuse(path, over=over)
        refuse_network(path)
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        lock = LedgerLock(path + LOCK_SUFFIX, path)
        fd = lock.acquire(timeout_s)
        site = None
        try:
            _refuse(path, over=over)
            site = Site(path, fd)
            yield site
        except BaseException:
            if site is not None and not site.there and site.noted is None:
                with contextlib.suppress(OSError):
                    os.unlink(path + LOCK_SUFFIX)  # made for nothing
            raise
        finally:
            try:
                with contextlib.suppress(OSError):
                    clear(path + NEW_SUFFIX)
            finally:
                lock.release(None if site is None else site.written)
                lock.close()


def _refuse(path: str, *, over: bool) -> None:
    refuse_neighbour(path)
    if not os.path.lexists(path):
        return
    if not over:
        raise LedgerExists(path, "new")
    if not os.path.isfile(path):
        raise NotALedger(path, "not a regular file")


def _made_aside(path: str, mode: int) -> str:
    """Make a folder for what goes aside, named after the ledger and the time (UTC)."""
    stem = f"{path}{ASIDE}{time.strftime(_STAMP, time.gmtime())}"
    number = 1
    while True:
        name = stem if number == 1 else f"{stem}-{number}"
        try:
            os.mkdir(name, 0o700)
        except FileExistsError:
            number += 1
            continue
        os.chmod(name, mode)
        sync(os.path.dirname(path))
        return name
