"""The ledger's own tables, as migrations: made once by `init`, altered by nothing else.

The only module of this floor that imports sqlite-utils; no daily command needs it. What it
makes is plain SQL, kept in `format.py` for the verifier to compare.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from sqlite_utils import Database, Migrations
from sqlite_utils.db import Table

from . import format as text

migrations = Migrations("ledger")


@migrations()
def events(db: Database) -> None:
    """The log: strict, appended to and never changed, with the retry keys as an index."""
    db.execute(text.EVENTS_TABLE)
    db.execute(text.EVENTS_KEYS)
    for trigger in text.TRIGGERS.values():
        db.execute(trigger)


@migrations()
def readable(db: Database) -> None:
    """The log for people with a SQL shell: times and hashes as text."""
    db.create_view("events_readable", text.EVENTS_READABLE)


def migrate(connection: sqlite3.Connection, sets: Sequence[Migrations] = ()) -> None:
    """Apply the ledger's migrations and those of the stores `sets`, within an open transaction."""
    db = Database(connection, execute_plugins=False)
    for each in (migrations, *sets):
        each.apply(db)


def remake(connection: sqlite3.Connection, store: Migrations) -> None:
    """Apply all of `store` again, inside an open turn, after its tables were dropped.

    A migration that is recorded as applied would be passed over, so its record goes first;
    each is expected to make what it makes only where that is not there.
    """
    db = Database(connection, execute_plugins=False)
    record = db.table(store.migrations_table)
    assert isinstance(record, Table)
    if record.exists():
        record.delete_where("migration_set = ?", [store.name])
    store.apply(db)
