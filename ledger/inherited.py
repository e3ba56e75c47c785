"""Connections that must never be closed: a parent's after a fork, or one outside the lock."""

from __future__ import annotations

import sqlite3

_kept: list[sqlite3.Connection] = []


def keep_for_ever(connection: sqlite3.Connection) -> None:
    """Keep `connection` from being closed, even where the interpreter ends.

    Closing is not harmless: it may write back the -wal without the lock, or undo a
    transaction that is not this process's.
    """
    _kept.append(connection)
    try:
        import ctypes

        ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))
    except (ImportError, AttributeError):
        pass
