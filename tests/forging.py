"""Writing into a ledger by other means: raw rows through sqlite3, hashed by the standard library.

What stands here shares no code with the program, so that it can also lie to it well.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple


class Raw(NamedTuple):
    """A row of the table `events`, its data as text."""

    seq: int
    at: int
    kind: str
    version: int
    actor: str
    key: str | None
    data: str
    prev: bytes
    hash: bytes

    def covered(self) -> bytes:
        """The bytes that the hash covers, behind a zero byte."""
        front = [1, self.seq, self.at, self.kind, self.version, self.actor, self.key]
        return f"{spelled(front)[:-1]},{self.data},{spelled(self.prev.hex())}]".encode()

    def hashed(self) -> Raw:
        """The row with the hash that fits its other fields."""
        return self._replace(hash=sha256(b"\0" + self.covered()).digest())


def spelled(value: object) -> str:
    """Canonical JSON, by the standard library."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """The file through plain sqlite3, every statement its own transaction."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


def rows(path: Path) -> list[Raw]:
    """All events as they lie in the file."""
    with opened(path) as connection:
        return [Raw(*row) for row in connection.execute("SELECT * FROM events ORDER BY seq")]


def insert(connection: sqlite3.Connection, row: Raw) -> None:
    """Insert a row as it is."""
    connection.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)


def append(path: Path, kind: str, data: dict[str, Any], *, actor: str = "uid:0") -> int:
    """Append an event that links and hashes as it should, whatever it says; returns its seq."""
    last = rows(path)[-1]
    row = Raw(last.seq + 1, last.at, kind, 1, actor, None, spelled(data), last.hash, b"")
    with opened(path) as connection:
        insert(connection, row.hashed())
    return row.seq


def drop_triggers(path: Path) -> None:
    """Take away what refuses updates, deletions and holes."""
    with opened(path) as connection:
        for name in ("events_insert", "events_update", "events_delete"):
            connection.execute(f"DROP TRIGGER {name}")


def put_triggers_back(path: Path, sql: list[str]) -> None:
    """Make the triggers again, so that only the rows tell."""
    with opened(path) as connection:
        for one in sql:
            connection.execute(one)


def triggers(path: Path) -> list[str]:
    """The text of the triggers."""
    with opened(path) as connection:
        found = connection.execute("SELECT sql FROM sqlite_schema WHERE type = 'trigger'")
        return [sql for (sql,) in found]


@contextmanager
def unguarded(path: Path) -> Iterator[sqlite3.Connection]:
    """The file with its triggers away, which are there again afterwards."""
    kept = triggers(path)
    drop_triggers(path)
    with opened(path) as connection:
        yield connection
    put_triggers_back(path, kept)


def reshape(path: Path, sql: str) -> None:
    """Give the table of events another text in the schema, behind SQLite's back."""
    with opened(path) as connection:
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute(f"UPDATE sqlite_schema SET sql = {sql} WHERE name = 'events'")


def rehash_from(path: Path, first: int) -> None:
    """Hash and link all events from `first` on anew, as a forger would who knows how."""
    every = rows(path)
    link = every[first - 2].hash if first > 1 else bytes(32)
    with unguarded(path) as connection:
        for row in every[first - 1 :]:
            mended = row._replace(prev=link).hashed()
            connection.execute(
                "UPDATE events SET prev = ?, hash = ? WHERE seq = ?",
                (mended.prev, mended.hash, mended.seq),
            )
            link = mended.hash
