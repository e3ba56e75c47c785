"""The file lock that every write to a ledger, and every checkpoint, happens under.

SQLite's own locks would do for the data; this one makes waiting fair, names its holder,
and keeps two connections from writing or checkpointing at one instant, which releases of
SQLite before 3.51.3 can answer with a damaged file.

The lock is the kernel's, taken by filelock on a descriptor that stays open: it goes with
its process, however that dies. A child made by fork shares the descriptor and with it its
parent's lock, so it closes it at once and opens its own.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time

from . import note
from .clock import now_us
from .descriptors import drop, forget_inherited, open_lock_file
from .errors import LockTimeout, StorageFailed
from .identity import host_name, user_name
from .waiter import Waiter, blocking, native, poll


class LedgerLock:
    """The lock of one ledger: one turn at a time, whichever process or thread it is in.

    `path` is the lock file's, `model` that of the ledger, whose group and modes a lock
    file made anew follows.
    """

    def __init__(self, path: str, model: str) -> None:
        self.path = path
        self.model = model
        self.fd: int | None = None
        self._locked = False
        self._owner = 0
        self._pid = os.getpid()
        self._mutex = threading.RLock()

    @property
    def held(self) -> bool:
        """True where the calling thread of this process holds the lock."""
        return self._owner == threading.get_ident() and self._pid == os.getpid()

    def acquire(self, timeout_s: float) -> int:
        """Take the lock and return its descriptor; raise LockTimeout after `timeout_s` seconds.

        Waiters of one machine are served in the order of their coming. Not reentrant.
        """
        if self._pid != os.getpid():
            self.after_fork()
        if self.held:
            raise RuntimeError("this thread already holds the ledger's lock")
        deadline = time.monotonic() + timeout_s
        try:
            if not self._mutex.acquire(timeout=min(max(timeout_s, 0), threading.TIMEOUT_MAX)):
                raise self._timed_out(timeout_s)
            fd = self._take(deadline, timeout_s)
            self._locked = True
            self._owner = threading.get_ident()
            _name_holder(fd)
        except BaseException:
            self.release()
            raise
        return fd

    def release(self, noted: bytes | None = None) -> None:
        """Let go, writing the note `noted` (64 bytes) with the cleared holder; idempotent.

        The note may lag behind the log, so failing to write it is no failure of the turn.
        """
        mutex = self._mutex
        if self._pid != os.getpid() or not mutex.acquire(blocking=False):
            return  # nothing of ours: the parent's turn, or another thread's
        fd, owner = self.fd, self._owner
        try:
            if self._locked and fd is not None:
                _clear_holder(fd, noted)
        finally:
            self._locked = False
            self._owner = 0
            if fd is not None:
                native()[1](fd)
            mutex.release()
            if owner:
                mutex.release()
            else:
                _free(mutex)

    def close(self) -> None:
        """Close the descriptor; the lock must not be held."""
        fd, self.fd = self.fd, None
        if fd is not None:
            drop(fd)

    def after_fork(self) -> None:
        """Forget, in a child, everything that is the parent's."""
        forget_inherited()
        self.fd = None
        self._mutex = threading.RLock()
        self._locked = False
        self._owner = 0
        self._pid = os.getpid()

    def _take(self, deadline: float, timeout_s: float) -> int:
        """Lock the file that the path names now, waiting until `deadline`."""
        while True:
            fd = self.fd
            if fd is None:
                fd = self.fd = open_lock_file(self.path, self.model)
            if not native()[0](fd) and not self._wait(fd, deadline):
                raise self._timed_out(timeout_s)
            if _same_file(fd, self.path):
                return fd
            native()[1](fd)
            self.close()

    def _wait(self, fd: int, deadline: float) -> bool:
        """Wait for the lock until `deadline`; False where it passed."""
        remaining_s = deadline - time.monotonic()
        if remaining_s <= 0:
            return False
        flock = blocking()
        if flock is None:
            return poll(fd, deadline)
        waiter = Waiter(fd, flock)
        won = False
        try:
            won = waiter.wait(remaining_s)
        finally:
            if not won:
                won = waiter.abandon()
                if not won:
                    self.fd = None
        if waiter.error is not None:
            raise StorageFailed(self.path, waiter.error.strerror or "flock")
        return won

    def _timed_out(self, timeout_s: float) -> LockTimeout:
        holder = note.read_holder(self.path)
        if holder is None:
            return LockTimeout(self.model, timeout_s)
        return LockTimeout(
            self.model,
            timeout_s,
            pid=holder.pid,
            host=holder.host or None,
            user=holder.user or None,
            since_us=holder.since_us,
        )


def _same_file(fd: int, path: str) -> bool:
    """Say whether `path` still names the file that `fd` has open."""
    try:
        there = os.stat(path)
    except FileNotFoundError:
        return False
    ours = os.fstat(fd)
    return there.st_ino == ours.st_ino and there.st_dev == ours.st_dev


def _name_holder(fd: int) -> None:
    """Write who holds the lock; it is for messages only, so a full disk is no matter."""
    holder = note.Holder(os.getpid(), host_name(), user_name(), now_us())
    with contextlib.suppress(OSError):
        note.write_at(fd, note.encode_holder(holder), note.HOLDER_AT)


def _clear_holder(fd: int, noted: bytes | None) -> None:
    with contextlib.suppress(OSError):
        if noted is None:
            note.write_at(fd, note.NO_HOLDER, note.HOLDER_AT)
        else:
            note.write_at(fd, noted + note.NO_HOLDER, note.NOTE_AT)


def _free(mutex: threading.RLock) -> None:
    """Release what an interrupted acquire may have left, however often it was taken."""
    with contextlib.suppress(RuntimeError):
        while True:
            mutex.release()
