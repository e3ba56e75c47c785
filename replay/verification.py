"""Verification: everything recomputed, nothing believed.

The verifier shares only constants with the writer: it has an encoder of its own on the
standard library, and a bookkeeping of its own for who holds what. Problems are values, so
one bad record never hides the rest. It reads in runs up to a fixed head.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol, TypeVar

import msgspec

from ..ledger.errors import BrokenChain, GpuledgerError, UnknownEvent
from ..ledger.event import Event
from ..ledger.format import EVENTS_KEYS, OURS
from ..ledger.note import Note, Unreadable
from .checked_gaps import NamedGaps
from .checked_rows import ChainCheck, Row
from .checked_stores import StoreCheck
from .checked_tree import Anchor, TreeCheck
from .fold import VOID, fold
from .gap import Hole, lose
from .invariants import broken
from .piece import Piece
from .problem import Problem

if TYPE_CHECKING:
    import sqlite3

Found = TypeVar("Found")
RUN = 2_000


class Verified(msgspec.Struct, frozen=True):
    """The outcome: problems by where they were found, and the head that was checked.

    `anchored` tells that an expected head was given and found, `gaps` which events are lost
    for good, as the log itself names them: no problem, but to be told.
    """

    events: int
    seq: int
    hash: bytes
    problems: tuple[Problem, ...]
    anchored: bool = False
    gaps: tuple[Hole, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing at all was found."""
        return not self.problems


class Checked(Protocol):
    """What a verification reads."""

    def reading(self, ask: Callable[[sqlite3.Connection], Found], /) -> Found:
        """Run `ask` in one read transaction."""
        ...


def verify(
    log: Checked,
    note: Note | Unreadable | None,
    expect: tuple[int, str] | None = None,
    anchors: Iterable[Anchor] = (),
) -> Verified:
    """Check chain, invariants, snapshots, projections and the note of the head.

    `note` was read before anything of the log, so that it cannot lead a log that grows.

    `expect` is a seq and 16 or more hex digits of the hash that it must have, `anchors` are
    checkpoints whose trees the log's must extend.
    Returns every problem found; raises only where the file cannot be read at all.
    """
    named = NamedGaps(log)
    chain = ChainCheck(named)
    replaying = _Replaying(log, chain.problems)
    tree = TreeCheck(log, anchors, chain.problems)
    chain.problems += log.reading(schema_problems)
    head = named.head = log.reading(_last_seq)
    chain.problems += _before_the_first(log)
    after = 0
    while after < head:
        rows, after = _run(log, after, head, chain)
        for row in rows:
            chain.check(row)
            tree.follow(chain.hash, chain.crossed, named.known)
            chain.book(row, void=replaying.follow(row, chain.crossed))
    chain.finish(max(head, 1))
    replaying.finish()
    chain.check_note(note)
    extends = tree.finish(chain.ledger)
    anchored = chain.check_expected(expect) or extends
    chain.problems.sort(key=lambda problem: (problem.seq is None, problem.seq or 0))
    return Verified(
        chain.count, chain.seq, chain.hash, tuple(dict.fromkeys(chain.problems)), anchored,
        tuple(chain.gaps),
    )  # fmt: skip


def _last_seq(conn: sqlite3.Connection) -> int:
    row = conn.execute("SELECT max(seq) FROM events").fetchone()
    return max(row[0] or 0, 0)


def _before_the_first(log: Checked) -> list[Problem]:
    """Rows below seq 1, where no event can be."""
    ask = "SELECT seq FROM events WHERE seq < 1 ORDER BY seq LIMIT ?"
    with suppress(GpuledgerError):  # Where the run from seq 1 on cannot be read either.
        rows = log.reading(lambda conn: conn.execute(ask, (RUN,)).fetchall())
        return [Problem(seq, "foreign") for (seq,) in rows]
    return []


def _run(log: Checked, after: int, head: int, chain: ChainCheck) -> tuple[list[Row], int]:
    """The next rows as they lie in the file, and up to which seq they reach.

    One by one where the stretch is damaged; a damaged page may also tell its rows in any order.
    """
    try:
        rows = log.reading(lambda conn: _rows(conn, after, head, chain.problems))
    except GpuledgerError:
        return _one_by_one(log, after, head, chain)
    seqs = [after, *(row.seq for row in rows)]
    if any(later <= earlier for earlier, later in pairwise(seqs)):
        return _one_by_one(log, after, head, chain)
    return rows, seqs[-1] if rows else head


def _one_by_one(log: Checked, after: int, head: int, chain: ChainCheck) -> tuple[list[Row], int]:
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
            rows = log.reading(lambda conn: _rows(conn, after - 1, after, chain.problems))  # noqa: B023 - runs at once
        except GpuledgerError:
            chain.problems.append(Problem(after, "unreadable"))
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


TYPES = ("texttexttexttext", "texttexttextnull")
"""What the texts of a row are: a damaged byte can make one a blob of the same bytes."""

_READ = (
    "SELECT seq, at, CAST(kind AS BLOB), version, CAST(actor AS BLOB), CAST(key AS BLOB),"
    " CAST(data AS BLOB), prev, hash,"
    " EXISTS (SELECT 1 FROM events AS e WHERE e.seq = events.seq),"
    " key IS NULL OR EXISTS (SELECT 1 FROM events AS e INDEXED BY events_keys"
    "  WHERE e.actor = events.actor AND e.key = events.key AND e.key IS NOT NULL"
    "  AND e.seq = events.seq),"
    " typeof(kind) || typeof(actor) || typeof(data) || typeof(key)"
    " FROM events WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?"
)


def _rows(conn: sqlite3.Connection, after: int, upto: int, problems: list[Problem]) -> list[Row]:
    """Rows with their texts as bytes: a flipped byte may have made them invalid UTF-8.

    Each row must also be found by its seq, and each retry key by its index, unless the whole
    index is gone, which is told once.
    """
    whole = _schema(conn).get(("index", "events_keys"), ("",))[0] == EVENTS_KEYS
    read = _READ if whole else _READ.replace("INDEXED BY events_keys", "NOT INDEXED")
    rows = conn.execute(read, (after, upto, RUN)).fetchall()
    for seq, *_, by_seq, by_key, types in rows:
        if not (by_seq and by_key):
            problems.append(Problem(seq, "index", "key" if by_seq else "seq"))
        if types not in TYPES:
            problems.append(Problem(seq, "type"))
    return [Row(*row[:9]) for row in rows]


def _schema(conn: sqlite3.Connection) -> dict[tuple[str, str], tuple[str, str]]:
    rows = conn.execute("SELECT type, name, sql, tbl_name FROM sqlite_schema")
    return {(kind, name): (sql, table) for kind, name, sql, table in rows}


def schema_problems(conn: sqlite3.Connection) -> list[Problem]:
    """Triggers, the table and its index that are missing or changed, and what is foreign there."""
    found = _schema(conn)
    problems = [
        Problem(None, "schema", f"{kind} {name}")
        for (kind, name), sql in OURS.items()
        if found.get((kind, name), ("",))[0] != sql
    ]
    foreign = [
        f"{kind} {name}"
        for (kind, name), (_, table) in found.items()
        if (kind, name) not in OURS and (kind == "trigger" or table == "events")
    ]
    return problems + [Problem(None, "foreign", one) for one in foreign]


class _Replaying:
    """Folds the rows that can be folded, and holds stores and invariants against the outcome."""

    def __init__(self, log: Checked, problems: list[Problem]) -> None:
        self._problems = problems
        self._stores = StoreCheck(log, problems)
        self._pieces: dict[str, Piece] = {}
        self._at = 0
        self._stopped = False

    def follow(self, row: Row, hole: Hole | None) -> bool:
        """Fold one row, and the hole before it where there is one, and say whether it is void.

        What cannot be decoded stops the folding, never the check of the chain.
        """
        if self._stopped:
            return False
        try:
            if hole is not None:
                lose(self._pieces, hole, self._at, row.at)
            effects = fold(self._pieces, _event(row))
        except (BrokenChain, UnknownEvent) as error:
            self._problems.append(Problem(row.seq, error.code, getattr(error, "why", row.seq_text)))
            self._stopped = True
            return False
        except TypeError:
            self._problems.append(Problem(row.seq, "broken_chain", "a column of the wrong type"))
            self._stopped = True
            return False
        if effects.void is not None:
            self._problems.append(Problem(row.seq, "void", VOID[effects.void]))
        self._at = row.at
        self._stores.follow((row.seq, row.hash), self._pieces, effects)
        return effects.void is not None

    def finish(self) -> None:
        """Check the invariants of the last state, and that nothing is stored beyond it."""
        if self._stopped:
            return
        self._problems += broken(self._pieces)
        self._stores.finish()


def _event(row: Row) -> Event:
    """The row as an event. What is no UTF-8 is folded as well as it can be: its hash tells."""
    kind, actor, key = (
        text.decode("utf-8", "replace") if isinstance(text, bytes) else text
        for text in (row.kind, row.actor, row.key)
    )
    return Event(row.seq, row.at, kind, row.version, actor, key, row.data, row.prev, row.hash)
