"""The tree's inner hashes, kept beside the log, and the leaves that they were made from.

For each full run of 256 leaves, of 65,536, and so on, one row with the root above it: `level`
1, 2 …, `n` from 0. The leaves are the events' own hashes. A row tells of a slip of the disk by
its digest; that has no key, so whoever signs makes all roots from the leaves and reads no row.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import suppress
from hashlib import sha256

from .errors import BrokenChain
from .merkle import HEIGHT, WIDTH, complete
from .row import MISTYPED

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
        for n in range(there, below) if isinstance(there, int) else ():
            above = complete(_fetched(connection, level - 1, n << HEIGHT, WIDTH))
            row = (level, n, above, digest(level, n, above))
            connection.execute("INSERT INTO tiles VALUES (?, ?, ?, ?)", row)
        level, below = level + 1, below // WIDTH


def leaves(
    connection: sqlite3.Connection, after: int, count: int, known: Mapping[int, bytes] = {}
) -> list[bytes]:
    """Return the hashes of the `count` events behind seq `after`; `known` has some of lost ones.

    Raises BrokenChain where one is missing, or is no hash.
    """
    ask = "SELECT seq, hash FROM events WHERE seq > ? AND seq <= ? ORDER BY seq"
    found = dict(connection.execute(ask, (after, after + count)).fetchall())
    hashes, seqs = list(found.values()), range(after + 1, after + count + 1)
    if list(found) != list(seqs):
        every = [found.get(seq) or known.get(seq) for seq in seqs]
        hashes = [one for one in every if one is not None]
        if len(hashes) < count:
            raise BrokenChain("", "an event is missing below it", seqs[every.index(None)])
    if not (set(map(type, hashes)) <= {bytes} and set(map(len, hashes)) <= {32}):
        wrong = next(seq for seq, one in zip(seqs, hashes, strict=True) if not _is_hash(one))
        raise BrokenChain("", MISTYPED, wrong)
    return hashes


def _is_hash(told: object) -> bool:
    return isinstance(told, bytes) and len(told) == 32


def _fetched(connection: sqlite3.Connection, level: int, first: int, count: int) -> Sequence[bytes]:
    if level == 0:
        return leaves(connection, first, count)
    stored = _stored(connection, level, first, count)
    return [
        stored.get(n) or complete(_fetched(connection, level - 1, n << HEIGHT, WIDTH))
        for n in range(first, first + count)
    ]


def _stored(connection: sqlite3.Connection, level: int, first: int, count: int) -> dict[int, bytes]:
    """The rows that are there and whole; a table that is none has none."""
    ask = "SELECT n, hash, digest FROM tiles WHERE level = ? AND n >= ? AND n < ?"
    try:
        rows = connection.execute(ask, (level, first, first + count)).fetchall()
    except sqlite3.Error:
        return {}
    return {n: root for n, root, own in rows if _is_whole(level, n, root, own)}


def _is_whole(level: int, n: object, root: object, own: object) -> bool:
    """Whether a row knows itself; a damaged file may hold any type anywhere."""
    return isinstance(n, int) and isinstance(root, bytes) and own == digest(level, n, root)
