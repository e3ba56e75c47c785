"""The projection store: ended holdings and capacities as rows, for history and audit.

Rows are numbered from 1 without a hole, in the order of their ends, and never change, so
a window is one stretch of row numbers, and a missing row is noticed: by its number, and
on each server by the holding's ordinal. What does not fit raises Misfit.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256

import msgspec

from ..ledger.canonical import encode_record
from .holding import Capacity, Holding
from .snapshot_store import FITTING, Misfit

RUN = 2_000
"""Rows read at a time, so that no read transaction lasts."""

_HOLDING = msgspec.json.Decoder(Holding).decode
_CAPACITY = msgspec.json.Decoder(Capacity).decode


def digest(number: int, value: bytes) -> bytes:
    """SHA-256 over the canonical JSON of `[number, value]`."""
    return sha256(b"[%d," % number + value + b"]").digest()


def append(
    conn: sqlite3.Connection, after: tuple[int, int],
    holdings: Iterable[Holding], capacities: Iterable[Capacity],
) -> tuple[int, int]:  # fmt: skip
    """Add rows after the given last row numbers; returns the new last row numbers.

    What lies there already, and nobody vouches for, gives way. Runs inside the caller's
    transaction.
    """
    last_holding, last_capacity = after
    # Capacities come seldom: asked for each time, so that a table that is none is met and mended.
    conn.execute("DELETE FROM capacity WHERE n > ?", (last_capacity,))
    rows = list[tuple[int, str, int | None, str, bytes]]()
    for holding in holdings:
        last_holding += 1
        value = encode_record(holding)
        row_digest = digest(last_holding, value)
        rows.append((last_holding, holding.server, holding.end, value.decode(), row_digest))
    conn.executemany("INSERT OR REPLACE INTO holdings VALUES (?, ?, ?, ?, ?)", rows)
    for capacity in capacities:
        last_capacity += 1
        value = encode_record(capacity)
        conn.execute(
            "INSERT OR REPLACE INTO capacity VALUES (?, ?, ?)",
            (last_capacity, value.decode(), digest(last_capacity, value)),
        )
    return last_holding, last_capacity


def on_server(conn: sqlite3.Connection, server: str, count: int) -> list[Holding]:
    """All ended holdings of a server, which counts `count` of them. Raises Misfit."""
    with FITTING:
        rows = conn.execute(
            "SELECT n, server, ended, CAST(value AS BLOB), digest FROM holdings"
            " WHERE server = ? ORDER BY n", (server,),
        ).fetchall()  # fmt: skip
    found = [_holding(row) for row in rows]
    ordinals = [holding.ordinal for holding in found[:count]]
    if len(ordinals) != count or any(one != at for at, one in enumerate(ordinals, 1)):
        raise Misfit(f"a holding of {server} is missing from the projection")
    return found[:count]


def since(
    reading: Callable[[Callable[[sqlite3.Connection], list[Holding]]], list[Holding]],
    from_us: int,
    last: int,
) -> Iterator[Holding]:
    """Ended holdings up to row `last` that end after `from_us`, in order of their ends.

    `reading` runs a function in a read transaction of its own. Raises Misfit.
    """
    number = _first_after(reading, from_us, last)
    while number <= last:
        upto = min(number + RUN - 1, last)
        first = number
        rows = reading(lambda conn: _stretch(conn, first, upto))  # noqa: B023 - runs at once
        if len(rows) != upto - number + 1:
            raise Misfit("a row of the holdings is missing")
        yield from rows
        number = upto + 1


def _stretch(conn: sqlite3.Connection, first: int, last: int) -> list[Holding]:
    with FITTING:
        rows = conn.execute(
            "SELECT n, server, ended, CAST(value AS BLOB), digest FROM holdings"
            " WHERE n BETWEEN ? AND ? ORDER BY n", (first, last),
        ).fetchall()  # fmt: skip
    return [_holding(row) for row in rows]


def _first_after(
    reading: Callable[[Callable[[sqlite3.Connection], list[Holding]]], list[Holding]],
    from_us: int,
    last: int,
) -> int:
    """The first row number that ends after `from_us`: ends never fall from row to row."""
    low, high = 1, last + 1
    while low < high:
        middle = (low + high) // 2
        found = reading(lambda conn: _stretch(conn, middle, middle))  # noqa: B023 - runs at once
        if not found:
            raise Misfit(f"row {middle} of the holdings is missing")
        if (found[0].end or 0) > from_us:
            high = middle
        else:
            low = middle + 1
    return low


def _holding(row: tuple[int, str, int, bytes, bytes]) -> Holding:
    number, server, ended, value, stored = row
    try:
        if digest(number, value) != stored:
            raise Misfit(f"row {number} of the holdings was changed")
        holding = _HOLDING(value)
    except (msgspec.DecodeError, TypeError, ValueError, OverflowError) as error:
        raise Misfit(f"row {number} of the holdings is none") from error
    if holding.server != server or holding.end != ended:
        raise Misfit(f"row {number} of the holdings was changed")
    return holding


def capacities(conn: sqlite3.Connection, last: int) -> list[Capacity]:
    """What each server offered from when on, up to row `last`. Raises Misfit."""
    with FITTING:
        rows = conn.execute(
            "SELECT n, CAST(value AS BLOB), digest FROM capacity WHERE n <= ? ORDER BY n", (last,)
        ).fetchall()
    if len(rows) != last or any(row[0] != at for at, row in enumerate(rows, 1)):
        raise Misfit("a row of the capacities is missing")
    try:
        if any(digest(number, value) != stored for number, value, stored in rows):
            raise Misfit("a row of the capacities was changed")
        return [_CAPACITY(value) for _, value, _ in rows]
    except (msgspec.DecodeError, TypeError, ValueError, OverflowError) as error:
        raise Misfit("a row of the capacities is none") from error


INDEXED = (
    "SELECT n, EXISTS (SELECT 1 FROM holdings AS led INDEXED BY {index}"
    " WHERE led.server = holdings.server AND led.n = holdings.n)"
    " FROM holdings NOT INDEXED WHERE n > ? ORDER BY n LIMIT ?"
)
"""Row numbers, and whether the index leads to each, after a number and at most so many."""


def index_of(conn: sqlite3.Connection) -> str:
    """The name of the index by server, quoted. Raises Misfit where there is none."""
    row = conn.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'holdings'"
        " AND sql LIKE '% ON holdings (server, n)'"
    ).fetchone()
    if row is None:
        raise Misfit("the index of the holdings is missing")
    return '"' + str(row[0]).replace('"', '""') + '"'


def has_index(conn: sqlite3.Connection) -> bool:
    """Whether the index by server is there."""
    try:
        return bool(index_of(conn))
    except Misfit:
        return False


def stored(conn: sqlite3.Connection, holdings: int, capacity: int) -> bytes:
    """SHA-256 over every column of the rows up to these last row numbers.

    Raises Misfit, also where the index does not lead to each of them.
    """
    summed = sha256()
    with FITTING:
        for number, led in conn.execute(INDEXED.format(index=index_of(conn)), (-1, -1)):
            if not led:
                raise Misfit(f"row {number} of the holdings is not found by its server")
        for row in conn.execute(
            "SELECT n, CAST(server AS BLOB), ended, CAST(value AS BLOB), digest FROM holdings"
            " WHERE n <= ? ORDER BY n", (holdings,),
        ):  # fmt: skip
            summed.update(repr(row).encode())
        for row in conn.execute(
            "SELECT n, CAST(value AS BLOB), digest FROM capacity WHERE n <= ? ORDER BY n",
            (capacity,),
        ):
            summed.update(repr(row).encode())
    return summed.digest()
