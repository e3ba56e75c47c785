"""The file lock that every write to a ledger, and every checkpoint, happens under.

SQLite's own locks would do for the data; this one makes waiting fair, names its holder,
and keeps two connections from writing or checkpointing at one instant, which releases of
SQLite before 3.51.3 can answer with a damaged file.

The lock is the kernel's, taken by filelock on a descriptor that stays open: it goes with
its process, however that dies. A child made by fork shares the descriptor and with it its
parent's lock, so it closes it at once and opens its own.
"""

from __future__ import annotations

import os
import time

from . import note
from .clock import now_us
from .descriptors import drop, forget_inherited, open_lock_file
from .errors import LockTimeout, StorageFailed
from .identity import host_name, user_name
from .mutex import FairMutex
from .standing import Standing
from .waiter import Waiter, blocking, native, poll


class LedgerLock:
    """The lock of one ledger: one turn at a time, whichever process or thread it is in.

    `path` is the lock file's, `model` that of the ledger, whose group and modes a lock
    file made anew follows. While the lock is held, `undisturbed` says that no name in
    the folder has changed since the turn before.
    """

    def __init__(self, path: str, model: str) -> None:
        self.path = path
        self.model = model
        self.fd: int | None = None
        self.undisturbed = False
        self._standing = Standing(os.path.dirname(path) or ".")
        self._locked = False
        self._pid = os.getpid()
        self._mutex = FairMutex()

    @property
    def held(self) -> bool:
        """True where the calling thread of this process holds the lock."""
        return self._pid == os.getpid() and self._mutex.mine

    def acquire(self, timeout_s: float) -> int:
        """Take the lock and return its descriptor; raise LockTimeout after `timeout_s` seconds.

        Waiters are served in the order of their coming. Not reentrant.
        """
        if self._pid != os.getpid():
            self.after_fork()
        if self._mutex.mine:
            raise RuntimeError("this thread already holds the ledger's lock")
        deadline = time.monotonic() + timeout_s
        try:
            if not self._mutex.acquire(timeout_s):
                raise self._timed_out(timeout_s)
            fd = self._take(deadline, timeout_s)
            self._locked = True
            _name_holder(fd)
        except BaseException:
            self.release()
            raise
        return fd

    def release(self, noted: bytes | None = None) -> None:
        """Let go, writing the note `noted` (64 bytes) with the cleared holder; idempotent.

        The note may lag behind the log, so failing to write it is no failure of the turn.
        """
        if self._pid != os.getpid() or not self._mutex.mine:
            return
        fd, locked = self.fd, self._locked
        try:
            if locked and fd is not None:
                _clear_holder(fd, noted)
        finally:
            self._locked = False
            if fd is not None:
                native()[1](fd)
            self._mutex.release()

    def close(self) -> None:
        """Close the descriptor; the lock must not be held."""
        fd, self.fd = self.fd, None
        if fd is not None:
            drop(fd)

    def distrust(self) -> None:
        """Check every name in the folder anew at the next turn."""
        self._standing.forget()

    def after_fork(self) -> None:
        """Forget, in a child, everything that is the parent's."""
        forget_inherited()
        self.fd = None
        self._mutex = FairMutex()
        self._locked = False
        self._pid = os.getpid()

    def _take(self, deadline: float, timeout_s: float) -> int:
        """Lock the file that the path names now, waiting until `deadline`."""
        while True:
            fd = self.fd
            if fd is None:
                fd = self.fd = open_lock_file(self.path, self.model)
                self._standing.forget()
            if not native()[0](fd) and not self._wait(fd, deadline):
                raise self._timed_out(timeout_s)
            if self._in_place(fd):
                return fd
            native()[1](fd)
            self.close()

    def _in_place(self, fd: int) -> bool:
        """Say whether the path still names the file that is locked."""
        self.undisturbed = self._standing.unchanged()
        if self.undisturbed:
            return True
        try:
            return os.path.samestat(os.stat(self.path), os.fstat(fd))
        except FileNotFoundError:
            return False

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


def _name_holder(fd: int) -> None:
    """Write who holds the lock; it is for messages only, so a full disk is no matter."""
    holder = note.Holder(os.getpid(), host_name(), user_name(), now_us())
    try:
        note.write_at(fd, note.encode_holder(holder), note.HOLDER_AT)
    except OSError:
        return


def _clear_holder(fd: int, noted: bytes | None) -> None:
    try:
        if noted is None:
            note.write_at(fd, note.NO_HOLDER, note.HOLDER_AT)
        else:
            note.write_at(fd, noted + note.NO_HOLDER, note.NOTE_AT)
    except OSError:
        return
