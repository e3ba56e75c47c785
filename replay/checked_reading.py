"""The rows of the log as they lie in the file, for the verifier: in runs where it is whole.

One by one where a stretch is damaged, so that what can be read there is checked, too.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import msgspec

from ..ledger.errors import GpuledgerError
from ..ledger.format import EVENTS_KEYS
from .problem import Problem

if TYPE_CHECKING:
    import sqlite3

Found = TypeVar("Found")
RUN = 2_048
"""Rows that are read at most at once where they are checked one by one."""

AT_ONCE = 256
"""Rows of a run that is checked at once: a tile of the tree, and what a processor has at hand."""

Raw = tuple[Any, ...]
"""The nine columns of a row in a run that can be read at once: what is no text there is no str."""


class Row(msgspec.Struct, frozen=True, gc=False):
    """A row as it lies in the file, texts as bytes; a damaged file may hold any type anywhere."""

    seq: int
    at: Any
    kind: Any
    version: Any
    actor: Any
    key: Any
    data: Any
    prev: Any
    hash: Any


class Checked(Protocol):
    """What a verification reads."""

    def reading(self, ask: Callable[[sqlite3.Connection], Found], /) -> Found:
        """Run `ask` in one read transaction."""
        ...


def last_seq(conn: sqlite3.Connection) -> int:
    """The seq of the last event, 0 where there is none."""
    row = conn.execute("SELECT max(seq) FROM events").fetchone()
    return max(row[0] or 0, 0)


def before_the_first(log: Checked) -> list[Problem]:
    """Rows below seq 1, where no event can be."""
    ask = "SELECT seq FROM events WHERE seq < 1 ORDER BY seq LIMIT ?"
    with suppress(GpuledgerError):  # Where the run from seq 1 on cannot be read either.
        rows = log.reading(lambda conn: conn.execute(ask, (RUN,)).fetchall())
        return [Problem(seq, "foreign") for (seq,) in rows]
    return []


_COLUMNS = (
    "SELECT seq, at, CAST(kind AS BLOB), version, CAST(actor AS BLOB), CAST(key AS BLOB),"
    " CAST(data AS BLOB), prev, hash,"
)
_BY_SEQ = " EXISTS (SELECT 1 FROM events AS e WHERE e.seq = events.seq)"
_BY_KEY = (
    "(key IS NULL OR EXISTS (SELECT 1 FROM events AS e INDEXED BY events_keys"
    " WHERE e.actor = events.actor AND e.key = events.key AND e.key IS NOT NULL"
    " AND e.seq = events.seq))"
)
_FROM = " FROM events WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?"
_PLAIN = (
    "SELECT seq, at, kind, version, actor, key, data, prev, hash"
    " FROM events WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?"
)
# A row that is not found by its seq is not in the join.
_WHOLE = (
    "SELECT e.seq, e.at, e.kind, e.version, e.actor, e.key, e.data, e.prev, e.hash"
    " FROM events AS e CROSS JOIN events AS own ON own.seq = e.seq"
    " WHERE e.seq > ? AND e.seq <= ? ORDER BY e.seq LIMIT ?"
)
_KEYED = (
    "SELECT count(DISTINCT e.seq) FROM events AS e CROSS JOIN events AS k INDEXED BY events_keys"
    " ON k.actor = e.actor AND k.key = e.key AND k.key IS NOT NULL AND k.seq = e.seq"
    " WHERE e.seq > ? AND e.seq <= ?"
)
_READ = (
    f"{_COLUMNS}{_BY_SEQ}, {_BY_KEY}, typeof(kind) || typeof(actor) || typeof(data) || typeof(key)"
    f"{_FROM}"
)
TYPES = ("texttexttexttext", "texttexttextnull")
"""What the texts of a row are: a damaged byte can make one a blob of the same bytes."""


def whole_run(log: Checked, after: int, head: int) -> list[Raw]:
    """The next rows at once, each of them found by its seq and its retry key; none where they
    cannot be read so, and `run` says why.
    """
    try:
        return log.reading(lambda conn: _whole(conn, after, head))
    except GpuledgerError:
        return []


def plain_run(log: Checked, after: int, upto: int) -> list[Raw]:
    """The rows up to a seq that another process has vouched for; none where they cannot be read."""
    try:
        return log.reading(lambda conn: conn.execute(_PLAIN, (after, upto, AT_ONCE)).fetchall())
    except GpuledgerError:
        return []


def _whole(conn: sqlite3.Connection, after: int, head: int) -> list[Raw]:
    # In another encoding the bytes of the file are not those that were hashed.
    if not _has_index(conn) or conn.execute("PRAGMA encoding").fetchall() != [("UTF-8",)]:
        return []
    rows = conn.execute(_WHOLE, (after, head, AT_ONCE)).fetchall()
    keyed = sum(row[5] is not None for row in rows)
    if keyed and conn.execute(_KEYED, (after, rows[-1][0])).fetchone() != (keyed,):
        return []
    return rows


def run(log: Checked, after: int, head: int, problems: list[Problem]) -> tuple[list[Row], int]:
    """The next rows as they lie in the file, and up to which seq they reach.

    One by one where the stretch is damaged; a damaged page may also tell its rows in any order.
    """
    try:
        rows = log.reading(lambda conn: _rows(conn, after, head, problems))
    except GpuledgerError:
        return _one_by_one(log, after, head, problems)
    seqs = [after, *(row.seq for row in rows)]
    if any(later <= earlier for earlier, later in pairwise(seqs)):
        return _one_by_one(log, after, head, problems)
    return rows, seqs[-1] if rows else head


def _one_by_one(
    log: Checked, after: int, head: int, problems: list[Problem]
) -> tuple[list[Row], int]:
    """A damaged stretch: the rows that can be read, and up to which seq it was tried.

    From each seq to the next that exists, since a forged one may lie 2**63 away.
    """
    found: list[Row] = []
    blind = 0
    for _ in range(RUN):
        seq = _next_seq(log, after, head)
        if seq is None:
            return found, head
        blind += seq == 0
        after = seq or after + 1
        try:
            rows = log.reading(lambda conn: _rows(conn, after - 1, after, problems))  # noqa: B023 - runs at once
        except GpuledgerError:
            problems.append(Problem(after, "unreadable"))
        else:
            found += [row for row in rows if row.seq == after][:1]
    return found, after if blind < RUN else _next_light(log, after, head)


def _next_seq(log: Checked, after: int, head: int) -> int | None:
    """The least seq beyond `after`, None where there is none, 0 where that cannot be read."""
    ask = "SELECT seq FROM events WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT 1"
    try:
        row = log.reading(lambda conn: conn.execute(ask, (after, head)).fetchone())
    except GpuledgerError:
        return 0
    if row is None:
        return None
    return int(row[0]) if after < row[0] <= head else 0


def _next_light(log: Checked, after: int, head: int) -> int:
    """From where on seqs can be looked for again, by steps that double and then halve."""
    step = 1
    while after + step < head and _next_seq(log, after + step, head) == 0:
        step = min(step * 2, head - after)
    steps = range(step)
    return after + bisect_left(steps, True, key=lambda one: _next_seq(log, after + one, head) != 0)


def _rows(conn: sqlite3.Connection, after: int, upto: int, problems: list[Problem]) -> list[Row]:
    """Rows with their texts as bytes: a flipped byte may have made them invalid UTF-8.

    Each row must also be found by its seq, and each retry key by its index, unless the whole
    index is gone, which is told once.
    """
    read = _READ if _has_index(conn) else _READ.replace("INDEXED BY events_keys", "NOT INDEXED")
    rows = conn.execute(read, (after, upto, RUN)).fetchall()
    for seq, *_, by_seq, by_key, types in rows:
        if not (by_seq and by_key):
            problems.append(Problem(seq, "index", "key" if by_seq else "seq"))
        if types not in TYPES:
            problems.append(Problem(seq, "type"))
    return [Row(*row[:9]) for row in rows]


def _has_index(conn: sqlite3.Connection) -> bool:
    """Whether the index by retry keys is there as it was made."""
    ask = "SELECT sql FROM sqlite_schema WHERE type = 'index' AND name = 'events_keys'"
    return conn.execute(ask).fetchall() == [(EVENTS_KEYS,)]
