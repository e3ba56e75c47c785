"""Waiting for a file lock in the kernel's own queue, with a time-out.

The kernel serves those who block in `flock` in the order of their coming; a call that
blocks cannot be given a time-out, so it runs in a daemon thread, and a waiter whose time
is up leaves the descriptor to that thread, which closes it when it wins. (A late unlock of
a shared descriptor would free a lock that we took in the meantime.) Where there is no
`flock`, as on Windows, the lock is polled.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from functools import cache

from .descriptors import drop

_POLL_S = 0.002


@cache
def native() -> tuple[Callable[[int], bool], Callable[[int], None]]:
    """Return how to try for, and how to free, the platform's lock on a descriptor."""
    from filelock import lock_descriptor, unlock_descriptor

    return (lambda fd: lock_descriptor(fd, blocking=False)), unlock_descriptor


@cache
def blocking() -> Callable[[int], None] | None:
    """Return the call that waits in the kernel's queue; None where there is none."""
    try:
        import fcntl
    except ImportError:
        return None
    exclusive, flock = fcntl.LOCK_EX, fcntl.flock
    return lambda fd: flock(fd, exclusive)


def poll(fd: int, deadline: float) -> bool:
    """Try for the lock until the monotonic `deadline`; True where it was got."""
    attempt = native()[0]
    while not attempt(fd):
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_S)
    return True


class Waiter:
    """One wait for the lock on `fd`; the descriptor is the thread's once it is abandoned."""

    def __init__(self, fd: int, flock: Callable[[int], None]) -> None:
        self._fd = fd
        self._flock = flock
        self._guard = threading.Lock()
        self._ended = threading.Event()
        self._won = False
        self._abandoned = False
        self.error: OSError | None = None
        threading.Thread(target=self._run, name="gpuledger-lock", daemon=True).start()

    def _run(self) -> None:
        error: OSError | None = None
        try:
            self._flock(self._fd)
        except OSError as failure:
            error = failure
        with self._guard:
            self.error = error
            self._won = error is None
            late = self._abandoned
            self._ended.set()
        if late:
            _free(self._fd)

    def wait(self, timeout_s: float) -> bool:
        """Wait up to `timeout_s` seconds; True where the lock is ours."""
        return self._ended.wait(min(max(timeout_s, 0), threading.TIMEOUT_MAX)) and self._won

    def abandon(self) -> bool:
        """Give up; True where the lock was won just now, and it and `fd` are ours after all."""
        with self._guard:
            if self._won:
                return True
            self._abandoned = True
            ended = self._ended.is_set()
        if ended:
            _free(self._fd)
        return False


def _free(fd: int) -> None:
    """Close `fd`; unlocked first, since a process forked meanwhile may share it."""
    with contextlib.suppress(OSError):
        native()[1](fd)
    drop(fd)
