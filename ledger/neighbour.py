"""Neighbours: the files of a ledger that lie beside it, each named after it."""

from __future__ import annotations

import os

from .errors import LedgerExists
from .format import LOCK_SUFFIX

BESIDE = ("-wal", "-shm", "-journal")
"""What SQLite calls the files beside a database."""

_ALL = (*BESIDE, LOCK_SUFFIX)


def refuse_neighbour(path: str) -> None:
    """Raise LedgerExists where `path` names a neighbour of a file that is there.

    Whatever lay there would be taken for the neighbour, and the file be damaged by it.
    """
    for suffix in _ALL:
        stem = path.removesuffix(suffix)
        named = stem != path and os.path.basename(stem)
        if named and os.path.lexists(stem) and not os.path.isdir(stem):
            raise LedgerExists(path, "neighbour")


def is_of(path: str, ledger: str) -> bool:
    """Say whether `path` is the file at `ledger` or one of its neighbours, by whatever name."""
    return any(_same(path, ledger + suffix) for suffix in ("", *_ALL))


def _same(one: str, other: str) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False
