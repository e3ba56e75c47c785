"""What becomes of open connections when the process forks.

A child that keeps its parent's SQLite connection shares SQLite's book-keeping of locks,
which the kernel does not inherit: connections that it opens afterwards would hold no lock
at all. So the child closes an inherited connection at once, while its parent still holds
the real locks, which keep that closing from touching the file; before the fork, other
threads finish what they do. Only a connection in the midst of a turn is never closed: that
would undo the parent's transaction in the shared index.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import weakref
from typing import Protocol

_WAIT_S = 5.0
_live: weakref.WeakSet[Forkable] = weakref.WeakSet()
_held: list[Forkable] = []
_kept: list[sqlite3.Connection] = []
_process = [os.getpid()]


class Forkable(Protocol):
    """Something with a connection; `guard` is held while any thread is inside SQLite with it."""

    guard: threading.RLock

    def after_fork(self, *, idle: bool) -> None:
        """Forget, in a child, what is the parent's; `idle` where no other thread was using it."""
        ...


def watch(owner: Forkable) -> None:
    """Have `owner` told of every fork from now on."""
    _live.add(owner)


def settle() -> None:
    """In a child, tell every owner, however the fork came about; elsewhere nothing."""
    if _process[0] == os.getpid():
        return
    _process[0] = os.getpid()
    for owner in list(_live):
        owner.after_fork(idle=owner in _held or owner.guard.acquire(blocking=False))
    _held.clear()


def keep_for_ever(connection: sqlite3.Connection) -> None:
    """Keep `connection` from being closed, even where the interpreter ends."""
    _kept.append(connection)
    try:
        import ctypes

        ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))
    except (ImportError, AttributeError):
        return


def _before() -> None:
    _held.clear()
    _held.extend(owner for owner in list(_live) if owner.guard.acquire(timeout=_WAIT_S))


def _after_in_parent() -> None:
    for owner in _held:
        owner.guard.release()
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=settle)
