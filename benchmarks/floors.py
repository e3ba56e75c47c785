"""What the benchmarks compare against: the same disk, the same SQLite, and nothing of ours.

No module of gpuledger is imported here.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

RUN = 2_000
"""Rows of one read transaction, as in the ledger."""

BARE_WRITER = "import click, filelock, sqlite3, json, hashlib"
"""What any command that locks and writes a database must load."""

BARE_READER = "import click, sqlite3, json, hashlib"
"""What any command that reads one must load."""

_TABLE = (
    "CREATE TABLE events (seq INTEGER PRIMARY KEY, at INTEGER, kind TEXT, version INTEGER,"
    " actor TEXT, key TEXT, data TEXT, prev BLOB, hash BLOB)"
)
_INSERT = "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_SCAN = (
    "SELECT seq, at, kind, version, actor, key, CAST(data AS BLOB), prev, hash FROM events"
    " WHERE seq > ? AND seq <= ? ORDER BY seq"
)


def read_only(path: Path) -> sqlite3.Connection:
    """A connection that reads the database at `path`."""
    return sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)


class BareInserts:
    """A table with the columns of events in a database of its own: WAL, FULL, no lock, no trigger.

    The rows are as long as the `like` bytes of data.
    """

    def __init__(self, path: Path, like: bytes) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        mode = self._connection.execute("PRAGMA journal_mode=WAL").fetchall()
        self._connection.execute("PRAGMA synchronous=FULL")
        level = self._connection.execute("PRAGMA synchronous").fetchall()
        assert (mode, level) == ([("wal",)], [(2,)]), (mode, level)
        self._connection.execute(_TABLE)
        self._data = like.decode()
        self._next = 1

    def insert(self, count: int) -> None:
        """Insert so many rows, each committed and synced by itself."""
        execute = self._connection.execute
        for seq in range(self._next, self._next + count):
            execute("BEGIN IMMEDIATE")
            execute(_INSERT, _row(seq, self._data))
            execute("COMMIT")
        self._next += count

    def close(self) -> None:
        """Close it."""
        self._connection.close()


def _row(seq: int, data: str) -> tuple[object, ...]:
    blank = bytes(32)
    return seq, seq, "allocation.granted", 1, "uid:1000", None, data, blank, blank


def bulk_insert(path: Path, values: Sequence[object]) -> None:
    """Encode, chain and insert these values as rows of a new database, in one transaction."""
    path.unlink(missing_ok=True)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(_TABLE)
    connection.execute("BEGIN IMMEDIATE")
    prev = bytes(32)
    for seq, value in enumerate(values, 1):
        data = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        digest = sha256(b"%d" % seq + data.encode() + prev).digest()
        row = (seq, seq, "allocation.granted", 1, "uid:1000", None, data, prev, digest)
        connection.execute(_INSERT, row)
        prev = digest
    connection.execute("COMMIT")
    connection.close()


def scan(connection: sqlite3.Connection, upto: int | None = None) -> int:
    """Fetch every row of events up to a seq, in runs; how many there were."""
    last = last_seq(connection) if upto is None else upto
    return sum(
        len(connection.execute(_SCAN, (after, min(after + RUN, last))).fetchall())
        for after in range(0, last, RUN)
    )


def scan_and_hash(connection: sqlite3.Connection) -> bytes:
    """Fetch every row of events in runs and chain all of its columns by SHA-256; the last hash."""
    last = last_seq(connection)
    link = bytes(32)
    for after in range(0, last, RUN):
        for row in connection.execute(_SCAN, (after, min(after + RUN, last))).fetchall():
            seq, at, kind, version, actor, key, data, prev, _ = row
            told = f'[1,{seq},{at},"{kind}",{version},"{actor}",{key},'.encode()
            link = sha256(told + data + prev.hex().encode() + link).digest()
    return link


def last_seq(connection: sqlite3.Connection) -> int:
    """The seq of the last event."""
    return int(connection.execute("SELECT max(seq) FROM events").fetchone()[0])


def pieces(connection: sqlite3.Connection) -> int:
    """Fetch every row of the snapshot; how many there were."""
    return len(connection.execute("SELECT key, CAST(value AS BLOB), digest FROM pieces").fetchall())


def holdings(connection: sqlite3.Connection, server: str | None = None) -> int:
    """Fetch every row of ended holdings, or those of one server; how many there were."""
    text = "SELECT n, server, ended, CAST(value AS BLOB), digest FROM holdings"
    if server is None:
        return len(connection.execute(text).fetchall())
    return len(connection.execute(text + " WHERE server = ?", (server,)).fetchall())
