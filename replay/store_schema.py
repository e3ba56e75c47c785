"""The tables of the two stores, as migrations of their own. Loaded by `init` and `rebuild` alone.

They hold nothing that the log does not: dropping them loses time, never facts.
"""

from __future__ import annotations

import sqlite3

from sqlite_utils import Database, Migrations

from ..ledger.schema import remake

SNAPSHOT = Migrations("gpuledger.snapshot")
PROJECTION = Migrations("gpuledger.projection")
STORES = (SNAPSHOT, PROJECTION)
TABLES = {
    "gpuledger.snapshot": ("snapshot", "pieces"),
    "gpuledger.projection": ("holdings", "capacity"),
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
    db.execute("CREATE INDEX holdings_server ON holdings (server, n)")
    db.execute(
        "CREATE TABLE capacity (n INTEGER PRIMARY KEY, value TEXT NOT NULL, digest BLOB NOT NULL)"
        " STRICT"
    )


def make_anew(conn: sqlite3.Connection) -> None:
    """Drop what is left of the stores' tables and make them by their migrations.

    Runs inside the caller's transaction.
    """
    for migrations in STORES:
        for table in TABLES[migrations.name]:
            conn.execute(f"DROP TABLE IF EXISTS {table}")
        remake(conn, migrations)
