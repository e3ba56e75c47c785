"""Rows of `sqlite_schema`: what SQLite makes of each, whatever the row calls itself.

SQLite executes the text of every row that begins with `cr` and looks at no other column. What it
writes itself begins in one of a few ways; whoever writes it otherwise wants to hide something.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from .format import OURS

if TYPE_CHECKING:
    import sqlite3

_BEGINNINGS = {
    "CREATE TABLE ": "table",
    "CREATE VIRTUAL TABLE ": "table",
    "CREATE INDEX ": "index",
    "CREATE UNIQUE INDEX ": "index",
    "CREATE VIEW ": "view",
    "CREATE TRIGGER ": "trigger",
}
_READABLE = tuple(f"CREATE VIEW {name} " for name in ('"events_readable"', "[events_readable]"))


class SchemaRow(NamedTuple):
    """What a row says: its columns `type`, `name`, `tbl_name` and `sql`, the last "" for none."""

    kind: str
    name: str
    table: str
    sql: str

    @property
    def made(self) -> str:
        """What SQLite makes of it: a table, index, view or trigger, or what may be any of them;
        "" where it executes nothing.
        """
        for beginning, made in _BEGINNINGS.items():
            if self.sql.startswith(beginning):
                return made
        return "disguised object" if self.sql[:2].lower() == "cr" else ""

    @property
    def ours(self) -> bool:
        """Whether it hangs on the table of events as we made it."""
        return self.table == "events" and OURS.get((self.kind, self.name)) == self.sql

    @property
    def on_events(self) -> bool:
        """Whether it says that it is the table of events, or hangs on it."""
        return "events" in (self.name.lower(), self.table.lower())

    @property
    def runs(self) -> bool:
        """Whether it may be a trigger that is not ours."""
        plain = self.made in ("", self.kind) and self.kind != "trigger"
        return not (plain or self.ours)

    @property
    def unread(self) -> bool:
        """Whether it is the view for people, which nothing of ours reads."""
        return self.sql.startswith(_READABLE)

    @property
    def kind_told(self) -> str:
        """What to call it: what it is, where it says so itself, else what SQLite makes of it."""
        return self.kind if self.made in ("", self.kind) else self.made


def rows_of(connection: sqlite3.Connection) -> list[SchemaRow]:
    """Return all rows; texts of a damaged file are read as well as they can be."""
    before, connection.text_factory = connection.text_factory, _text
    try:
        rows = connection.execute(
            "SELECT CAST(type AS TEXT), CAST(name AS TEXT), CAST(tbl_name AS TEXT),"
            " CAST(sql AS TEXT) FROM sqlite_schema"
        ).fetchall()
    finally:
        connection.text_factory = before
    return [SchemaRow(*(column or "" for column in row)) for row in rows]


def foreign_in(connection: sqlite3.Connection, rows: Iterable[SchemaRow]) -> list[SchemaRow]:
    """Return those that may run when somebody writes, or that hang on the table of events, and
    are not ours.
    """
    listed = {name for _, name, *_ in connection.execute("PRAGMA index_list(events)")}
    listed -= {row.name for row in rows if row.ours}
    found = [row for row in rows if not row.ours and (row.runs or row.on_events)]
    hidden = listed - {row.name for row in found}
    return found + [SchemaRow("index", name, "events", "") for name in sorted(hidden)]


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")
