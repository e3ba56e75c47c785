"""Events as rows: the few statements that the log runs, and what comes back from them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from .errors import BrokenChain, Damaged
from .event import START, Event, Head

RUN = 2000
"""Rows of one run: a read transaction of a few milliseconds."""

MISTYPED = "a column has a value of the wrong type"

_COLUMNS = "seq, at, kind, version, actor, key, CAST(data AS BLOB), prev, hash"
_READ = f"SELECT {_COLUMNS} FROM events WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?"  # noqa: S608 (constants)
_KEY = f"SELECT {_COLUMNS} FROM events WHERE actor = ? AND key = ?"  # noqa: S608 (constants)
_HEAD = "SELECT seq, hash, at FROM events ORDER BY seq DESC LIMIT 1"
_INSERT = (
    "INSERT INTO events (seq, at, kind, version, actor, key, data, prev, hash)"
    " VALUES (?, ?, ?, ?, ?, ?, CAST(? AS TEXT), ?, ?)"
)


def head_in(connection: sqlite3.Connection) -> Head:
    """Return the head of the log in `connection`."""
    row = connection.execute(_HEAD).fetchone()
    if row is None:
        return START
    if not isinstance(row[1], bytes) or not isinstance(row[2], int):
        raise BrokenChain(_path(connection), MISTYPED, row[0])
    return Head(row[0], row[1], row[2])


def read_events(connection: sqlite3.Connection, after: int, upto: int, limit: int) -> list[Event]:
    """Return at most `limit` events with `after` < seq ≤ `upto`, in order of seq."""
    try:
        rows = connection.execute(_READ, (after, upto, limit)).fetchall()
    except sqlite3.OperationalError as error:
        if "decode" in str(error):
            raise _undecodable(connection, after) from error
        raise
    return _events(connection, rows)


def in_runs(
    read: Callable[[int], list[Event]], after: int, last: int, path: str = ""
) -> Iterator[Event]:
    """Yield the events with `after` < seq ≤ `last`, where `read(seq)` returns the next run behind
    a seq. Raises BrokenChain where a damaged page tells them in another order.
    """
    while after < last and (run := read(after)):
        if run[-1].seq <= after:
            raise BrokenChain(path, "the seqs do not rise", after + 1)
        yield from run
        after = run[-1].seq


def find_key(connection: sqlite3.Connection, actor: str, key: str) -> Event | None:
    """Return the event that `actor` recorded under the retry key `key`, if any."""
    try:
        row = connection.execute(_KEY, (actor, key)).fetchone()
    except sqlite3.OperationalError as error:
        if "decode" in str(error):
            raise _undecodable(connection, 0) from error
        raise
    return None if row is None else _events(connection, [row])[0]


def insert(connection: sqlite3.Connection, event: Event) -> None:
    """Insert `event` as the last row; the table's triggers refuse it elsewhere.

    Raises Damaged where the file takes it and keeps nothing, as a foreign trigger can make it.
    """
    done = connection.execute(
        _INSERT,
        (
            event.seq,
            event.at,
            event.kind,
            event.version,
            event.actor,
            event.key,
            event.data,
            event.prev,
            event.hash,
        ),
    )
    if done.rowcount != 1:
        raise Damaged(_path(connection), "its table of events does not keep what is written to it")


_ROW = tuple[int, int, str, int, str, str | None, bytes, bytes, bytes]


class _Rows(msgspec.Struct, frozen=True, array_like=True):
    """A run of rows. Of a class msgspec keeps what it found out, of `list[_ROW]` it does not."""

    rows: list[_ROW]


def _events(connection: sqlite3.Connection, rows: list[Any]) -> list[Event]:
    """The rows as events; a damaged file may hold any type anywhere, whatever the table says."""
    try:
        return [Event(*row) for row in msgspec.convert((rows,), _Rows).rows]
    except msgspec.ValidationError as error:
        torn = next(row[0] for row in rows if not _fits(row))
        raise BrokenChain(_path(connection), MISTYPED, torn) from error


def _fits(row: object) -> bool:
    try:
        msgspec.convert(row, _ROW)
    except msgspec.ValidationError:
        return False
    return True


def _path(connection: sqlite3.Connection) -> str:
    path: str = connection.execute("PRAGMA database_list").fetchone()[2]
    return path


def _undecodable(connection: sqlite3.Connection, after: int) -> BrokenChain:
    """Name the first event after `after` whose texts are not UTF-8."""
    texts = connection.execute(
        "SELECT seq, CAST(kind AS BLOB), CAST(actor AS BLOB), CAST(key AS BLOB)"
        " FROM events WHERE seq > ? ORDER BY seq",
        (after,),
    )
    torn = (row[0] for row in texts if not _is_text(row[1:]))
    return BrokenChain(_path(connection), "text that is not UTF-8", next(torn, after + 1))


def _is_text(columns: Iterable[bytes | None]) -> bool:
    try:
        for column in columns:
            bytes(column or b"").decode()
    except UnicodeDecodeError:
        return False
    return True
