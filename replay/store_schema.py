"""The tables of the stores, as migrations of their own. Loaded by `init` and `rebuild` alone.

They hold nothing that the log does not: dropping them loses time, never facts.
"""

from __future__ import annotations

import sqlite3
from itertools import chain, count

from sqlite_utils import Database, Migrations

from ..ledger import tiles
from ..ledger.schema import remake

SNAPSHOT = Migrations("gpuledger.snapshot")
PROJECTION = Migrations("gpuledger.projection")
TREE = Migrations("gpuledger.tree")
STORES = (SNAPSHOT, PROJECTION, TREE)
TABLES = {
    "gpuledger.snapshot": ("snapshot", "pieces"),
    "gpuledger.projection": ("holdings", "capacity"),
    "gpuledger.tree": ("tiles",),
}


@SNAPSHOT()
def snapshot_1(db: Database) -> None:
    """The header, one row, and the pieces."""
    db.execute(
        "CREATE TABLE snapshot (id INTEGER PRIMARY KEY CHECK (id = 1), seq INTEGER NOT NULL,"
        " hash BLOB NOT NULL, fold INTEGER NOT NULL, state_hash BLOB NOT NULL,"
        " holdings INTEGER NOT NULL, capacity INTEGER NOT NULL, digest BLOB NOT NULL) STRICT"
    )
    db.execute(
        "CREATE TABLE pieces (key TEXT PRIMARY KEY, value TEXT NOT NULL, digest BLOB NOT NULL)"
        " STRICT, WITHOUT ROWID"
    )


@PROJECTION()
def projection_1(db: Database) -> None:
    """Ended holdings by order of their end, and what each server offered from when on."""
    db.execute(
        "CREATE TABLE holdings (n INTEGER PRIMARY KEY, server TEXT NOT NULL,"
        " ended INTEGER NOT NULL, value TEXT NOT NULL, digest BLOB NOT NULL) STRICT"
    )
    index = _free(db.conn, "holdings_server")
    db.execute(f"CREATE INDEX {index} ON holdings (server, n)")
    db.execute(
        "CREATE TABLE capacity (n INTEGER PRIMARY KEY, value TEXT NOT NULL, digest BLOB NOT NULL)"
        " STRICT"
    )


@TREE()
def tree_1(db: Database) -> None:
    """The tree's inner hashes."""
    db.execute(tiles.TABLE)


def make_anew(conn: sqlite3.Connection, *, damaged: bool = False) -> None:
    """Drop what is left of the stores' tables and make them by their migrations.

    Runs inside the caller's transaction. Where a page is `damaged`, no table can be dropped,
    since whose the pages are is not known: they get other names, and nothing reads them again.
    """
    for migrations in STORES:
        for table in TABLES[migrations.name]:
            _clear_away(conn, table, damaged=damaged)
        remake(conn, migrations)


def _clear_away(conn: sqlite3.Connection, name: str, *, damaged: bool) -> None:
    """Make a name free, whatever has it: a table, a view or an index."""
    asked = "SELECT type FROM sqlite_schema WHERE name = ? COLLATE NOCASE AND type <> 'trigger'"
    for (kind,) in conn.execute(asked, (name,)).fetchall():
        if damaged and kind == "table":
            conn.execute(f"ALTER TABLE {name} RENAME TO {_free(conn, name + '_damaged')}")
        else:
            conn.execute(f"DROP {kind} {name}")


def _free(conn: sqlite3.Connection, name: str) -> str:
    """The name, with a number behind it where something has it already."""
    taken = {found.lower() for (found,) in conn.execute("SELECT name FROM sqlite_schema")}
    numbered = (f"{name}_{number}" for number in count(2))
    return next(one for one in chain([name], numbered) if one not in taken)
