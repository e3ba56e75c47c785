"""The tree's inner hashes, kept so that no root or proof needs the whole log again.

For each full run of 256 leaves, of 65,536, and so on, one row with the root above it: `level`
1, 2 …, `n` from 0. The leaves are the events' own hashes. A cache: what is missing or has
another digest is computed from what lies below, and whoever signs or verifies knows no less.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import suppress
from hashlib import sha256

from .errors import BrokenChain
from .merkle import HEIGHT, WIDTH, Fetch, complete

TABLE = (
    "CREATE TABLE tiles (level INTEGER NOT NULL CHECK (level >= 1), n INTEGER NOT NULL"
    " CHECK (n >= 0), hash BLOB NOT NULL CHECK (length(hash) = 32), digest BLOB NOT NULL,"
    " PRIMARY KEY (level, n)) STRICT, WITHOUT ROWID"
)


def digest(level: int, n: int, root: bytes) -> bytes:
    """Return the 32 bytes that a row carries to know itself by."""
    return sha256(b"%d:%d:" % (level, n) + root).digest()


def catch_up(connection: sqlite3.Connection, size: int) -> None:
    """Write the rows that a log of `size` events should have and that are not there yet.

    Where an event is missing it ends there, and writes no row above it.
    """
    with suppress(BrokenChain):
        _catch_up(connection, size)


def _catch_up(connection: sqlite3.Connection, size: int) -> None:
    level, below = 1, size // WIDTH
    while below:
        ask = "SELECT coalesce(max(n) + 1, 0) FROM tiles WHERE level = ?"
        (there,) = connection.execute(ask, (level,)).fetchone()
        for n in range(there, below):
            above = complete(_fetched(_Leaves(connection), level - 1, n << HEIGHT, WIDTH))
            row = (level, n, above, digest(level, n, above))
            connection.execute("INSERT INTO tiles VALUES (?, ?, ?, ?)", row)
        level, below = level + 1, below // WIDTH


def fetching(
    connection: sqlite3.Connection, first: int = 1, known: Mapping[int, bytes] | None = None
) -> Fetch:
    """Return what hands over subtrees of the log in `connection`; raises BrokenChain there.

    `first` is the seq of the first leaf, `known` tells hashes of events that are lost.
    """
    leaves = _Leaves(connection, first, known or {})
    return lambda level, n, count: _fetched(leaves, level, n, count)


class _Leaves:
    """The events' hashes as leaves; the stored rows are those of the tree from seq 1 on."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        first: int = 1,
        known: Mapping[int, bytes] = {},
    ) -> None:
        self.connection = connection
        self.stored = first == 1
        self._before = first - 1
        self._known = known

    def hashes(self, n: int, count: int) -> Sequence[bytes]:
        """Leaves `n` to `n + count`. Raises BrokenChain where one is missing."""
        after = self._before + n
        ask = "SELECT seq, hash FROM events WHERE seq > ? AND seq <= ? ORDER BY seq"
        found = dict(self.connection.execute(ask, (after, after + count)).fetchall())
        if len(found) == count:
            return list(found.values())
        seqs = range(after + 1, after + count + 1)
        hashes = [found.get(seq) or self._known.get(seq) for seq in seqs]
        whole = [one for one in hashes if one is not None]
        if len(whole) < count:
            raise BrokenChain("", "an event is missing below it", seqs[hashes.index(None)])
        return whole


def _fetched(leaves: _Leaves, level: int, first: int, count: int) -> Sequence[bytes]:
    if level == 0:
        return leaves.hashes(first, count)
    stored = _stored(leaves.connection, level, first, count) if leaves.stored else {}
    return [
        stored.get(n) or complete(_fetched(leaves, level - 1, n << HEIGHT, WIDTH))
        for n in range(first, first + count)
    ]


def _stored(connection: sqlite3.Connection, level: int, first: int, count: int) -> dict[int, bytes]:
    """The rows that are there and whole; a table that is none has none."""
    ask = "SELECT n, hash, digest FROM tiles WHERE level = ? AND n >= ? AND n < ?"
    try:
        rows = connection.execute(ask, (level, first, first + count)).fetchall()
    except sqlite3.Error:
        return {}
    return {n: root for n, root, own in rows if own == digest(level, n, root)}
