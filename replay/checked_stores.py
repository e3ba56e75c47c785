"""The check of the stores: every piece and every row against what the log amounts to.

The encoder is the verifier's own. Pieces are taken at the start in one read transaction
with their header; projection rows, which never change, in runs while the log is folded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from ..ledger.errors import GpuledgerError
from ..ledger.event import Event
from .checked_json import canonical
from .checked_reading import Checked
from .checked_tables import RUN, numbered_runs, table_problems
from .checked_words import closed, spelled
from .fold import FOLD_VERSION
from .holding import Effects, Holding
from .piece import Piece
from .problem import Problem
from .snapshot_store import Header, Misfit

if TYPE_CHECKING:
    import sqlite3

Stored = tuple[int, bytes, bytes, Any, Any]
"""A row: its number, its value, its digest, and what it is found by."""


def _header(conn: sqlite3.Connection) -> Header | None:
    """The header, its digest computed here. Raises Misfit where that is not the stored one."""
    row = conn.execute(
        "SELECT seq, hash, fold, state_hash, holdings, capacity, digest FROM snapshot"
    ).fetchone()
    if row is None:
        return None
    shape = (int, bytes, int, bytes, int, int)
    if not all(isinstance(one, kind) for one, kind in zip(row, shape, strict=False)):
        raise Misfit("the snapshot's header is none")
    header = Header(*row[:6])
    told = [header.seq, header.hash.hex(), header.fold, header.state_hash.hex()]
    if sha256(canonical([*told, header.holdings, header.capacity])).digest() != row[6]:
        raise Misfit("the snapshot's header was changed")
    return header


class StoreCheck:
    """Follows a fold and compares. A store that is wholly empty is no problem: it is a cache.

    Nor is one that an earlier release left, which the next writer makes anew.
    """

    def __init__(self, log: Checked, problems: list[Problem]) -> None:
        self._problems = problems
        self._log = log
        self._header: Header | None = None
        self._pieces: dict[str, tuple[bytes, bytes]] = {}
        self._rows: dict[str, _Rows] = {}
        self._closed: list[Holding] = []
        self._number = {"holdings": 0, "capacity": 0}
        self._unread: set[str] = set()
        self._compared = False
        self._earlier = False
        try:
            log.reading(self._take)
        except (Misfit, GpuledgerError) as misfit:
            problems.append(Problem(None, "snapshot", getattr(misfit, "why", str(misfit))))
            return
        if not self._earlier:
            for table in self._number:
                self._rows[table] = _Rows(log, table)
                self._row(table)

    def check_tables(self) -> None:
        """Say what is wrong with the tables, whatever their rows say."""
        self._problems += table_problems(self._log)

    def _take(self, conn: sqlite3.Connection) -> None:
        header = _header(conn)
        rows = conn.execute(
            "SELECT CAST(key AS BLOB), CAST(value AS BLOB), digest FROM pieces"
        ).fetchall()
        if header is None and rows:
            raise Misfit("the snapshot's header is missing")
        self._earlier = header is not None and header.fold < FOLD_VERSION
        if self._earlier:  # by the rules of an earlier release: nobody believes it, nothing fits
            return
        self._header = header
        self._pieces = {_text(key): (value, digest) for key, value, digest in rows}

    def _row(self, table: str) -> Stored | None:
        """The next stored row, None where there is none; says once where it cannot be read."""
        rows = self._rows[table]
        found = rows.ahead(1)
        if found:
            return found[0]
        if rows.wrong is not None and table not in self._unread:
            why = rows.wrong.why if isinstance(rows.wrong, Misfit) else rows.wrong.code
            self._problems.append(Problem(None, table, why))
            self._unread.add(table)
        return None

    def follow(self, event: Event, pieces: Mapping[str, Piece], effects: Effects) -> None:
        """Compare the rows that the event left, some later with others at once, and all pieces
        where the header stands here.
        """
        header = self._header
        if header is None or event.seq > header.seq:
            return
        if effects.closed:
            self._closed += effects.closed
            if len(self._closed) >= RUN:
                self.catch_up()
        if effects.capacity:
            self.catch_up()
            for capacity in effects.capacity:
                self._compare("capacity", spelled(capacity), (None, None))
        if event.seq == header.seq:
            self.catch_up()
            self._compare_pieces(header, pieces)
            if header.hash != event.hash:
                self._problems.append(Problem(None, "snapshot", f"the hash at seq {event.seq}"))

    def catch_up(self) -> None:
        """Compare the holdings that wait for it: at once, and one by one where they differ."""
        holdings, self._closed = self._closed, []
        if not holdings:
            return
        first = self._number["holdings"] + 1
        expected = [_row(number, holding) for number, holding in enumerate(holdings, first)]
        rows = self._rows["holdings"].ahead(len(expected))
        if rows == expected and all(type(row[4]) is int for row in rows):
            self._number["holdings"] += len(rows)
            self._rows["holdings"].leave(len(rows))
            return
        for _, value, _, *columns in expected:
            self._compare("holdings", value, tuple(columns))

    def _compare(self, table: str, value: bytes, columns: tuple[object, ...]) -> None:
        """The next stored row must be this one; a hole, a change and a wrong digest are named."""
        self._number[table] += 1
        number = self._number[table]
        if table in self._unread:
            return
        digest = sha256(b"[%d," % number + value + b"]").digest()
        stored = self._row(table)
        while stored is not None and stored[0] < number:
            self._problems.append(Problem(None, table, f"row {stored[0]} is not the ledger's"))
            self._rows[table].leave(1)
            stored = self._row(table)
        if stored is None or stored[0] > number:
            self._problems.append(Problem(None, table, f"row {number} is missing"))
            return
        if stored != (number, value, digest, *columns) or type(stored[4]) is not type(columns[1]):
            self._problems.append(Problem(None, table, f"row {number} was changed"))
        self._rows[table].leave(1)

    def _compare_pieces(self, header: Header, pieces: Mapping[str, Piece]) -> None:
        self._compared = True
        total = 0
        for key, piece in pieces.items():
            value = spelled(piece)
            digest = sha256(b"[" + canonical(key) + b"," + value + b"]").digest()
            total += int.from_bytes(digest, "big")
            stored = self._pieces.pop(key, None)
            if stored is None:
                self._problems.append(Problem(None, "piece", f"{key} is missing"))
            elif stored != (value, digest):
                self._problems.append(Problem(None, "piece", f"{key} was changed"))
        for key in self._pieces:
            self._problems.append(Problem(None, "piece", f"{key} is not the ledger's"))
        if header.state_hash != (total % (1 << 256)).to_bytes(32, "big"):
            self._problems.append(Problem(None, "snapshot", "the state hash"))
        if header.fold != FOLD_VERSION:
            self._problems.append(Problem(None, "snapshot", f"fold {header.fold}"))

    def finish(self) -> None:
        """Rows beyond the header, and a header that stands where the log does not reach."""
        self.catch_up()
        header = self._header
        ahead = {table: self._row(table) for table in self._rows}
        if header is None:
            self._nothing_stored(ahead)
            return
        if not self._compared:
            self._problems.append(Problem(None, "snapshot", f"it stands at seq {header.seq}"))
            return
        counts: dict[str, Any] = {"holdings": header.holdings, "capacity": header.capacity}
        quiet = self._is_quiet(header)
        for table, stored in ahead.items():
            if counts[table] != self._number[table]:
                self._problems.append(Problem(None, "snapshot", f"the number of {table}"))
            if stored is not None and (quiet or stored[0] <= counts[table]):
                self._problems.append(Problem(None, table, f"row {stored[0]} is not the ledger's"))

    def _is_quiet(self, header: Header) -> bool:
        """Whether nobody saved since, so that no row beyond the header's numbers is fresh."""
        try:
            return self._log.reading(_header) == header
        except (Misfit, GpuledgerError):
            return False

    def _nothing_stored(self, ahead: Mapping[str, Stored | None]) -> None:
        for table, stored in ahead.items():
            if stored is not None:
                self._problems.append(Problem(None, table, "it has rows without a snapshot"))


def _text(found: bytes | None) -> str:
    """A text of a damaged file, whatever it is."""
    return (found or b"").decode("utf-8", "replace")


def _row(number: int, holding: Holding) -> Stored:
    """The row that an ended holding should have left."""
    value = closed(holding)
    digest = sha256(b"[%d,%b]" % (number, value)).digest()
    return number, value, digest, holding.server.encode(), holding.end


class _Rows:
    """The stored rows of a table, in order; `wrong` says why no more can be read."""

    def __init__(self, log: Checked, table: str) -> None:
        self._runs = _stored(log, table)
        self._kept: list[Stored] = []
        self._at = 0
        self._over = False
        self.wrong: Misfit | GpuledgerError | None = None

    def ahead(self, count: int) -> list[Stored]:
        """The next rows, as many where there are so many."""
        none: list[Stored] = []
        while len(self._kept) - self._at < count and not self._over:
            try:
                fresh = next(self._runs, none)
            except (Misfit, GpuledgerError) as error:
                self.wrong, fresh = error, none
            self._over = not fresh
            self._kept, self._at = self._kept[self._at :] + fresh, 0
        return self._kept[self._at : self._at + count]

    def leave(self, count: int) -> None:
        """Go on behind so many rows."""
        self._at += count


def _stored(log: Checked, table: str) -> Iterator[list[Stored]]:
    """The stored rows in runs."""
    columns = "CAST(server AS BLOB), ended" if table == "holdings" else "NULL, NULL"

    def ask(conn: sqlite3.Connection, after: int) -> list[Stored]:
        return conn.execute(
            f"SELECT n, CAST(value AS BLOB), digest, {columns} FROM {table}"  # noqa: S608 - two fixed names
            " WHERE n > ? ORDER BY n LIMIT ?", (after, RUN),
        ).fetchall()  # fmt: skip

    return numbered_runs(log, ask)
