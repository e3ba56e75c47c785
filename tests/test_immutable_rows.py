"""No row of the log is ever changed, replaced or deleted: the table itself refuses."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from gpuledger.ledger.errors import Damaged
from gpuledger.ledger.format import APPLICATION_ID, EVENTS_TABLE, FORMAT, TRIGGERS
from gpuledger.ledger.sqlite_log import SqliteLog
from plain_log import a_log, tell

ROW = "{}, 2000, 'number.told', 1, '{}', {}, '{{}}', zeroblob(32), zeroblob(32)"
COLUMNS = "(seq, at, kind, version, actor, key, data, prev, hash)"


def insert(seq: object, *, how: str = "INSERT", actor: str = "uid:1", key: str = "NULL") -> str:
    """An insert into the log by SQL."""
    return f"{how} INTO events {COLUMNS} VALUES ({ROW.format(seq, actor, key)})"


@pytest.fixture
def shell(ledger_path: Path) -> Iterator[sqlite3.Connection]:
    """Somebody's SQL shell on a ledger of 12 events; the last, 12, has a retry key."""
    log = a_log(ledger_path, 10)
    tell(log, key="k")
    log.close()
    with closing(sqlite3.connect(ledger_path, isolation_level=None)) as connection:
        yield connection


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET at = at + 1",
        "UPDATE events SET kind = 'x' WHERE seq = 5",
        "UPDATE OR REPLACE events SET seq = 4 WHERE seq = 5",
        "UPDATE OR IGNORE events SET data = '{}' WHERE seq = 12",
        "UPDATE events SET seq = 13 WHERE seq = 12",
        "DELETE FROM events",
        "DELETE FROM events WHERE seq = 12",
        insert(5, how="INSERT OR REPLACE"),
        insert(5, how="REPLACE"),
        insert(12, how="INSERT OR REPLACE"),
        insert(5, how="INSERT OR IGNORE"),
        insert(5) + " ON CONFLICT DO UPDATE SET kind = 'x'",
        insert(5) + " ON CONFLICT (seq) DO NOTHING",
        insert(14),
        insert(0),
        insert(-1),
        insert("NULL"),
        insert(13, actor="uid:1001", key="'k'"),
        insert(13, actor="uid:1001", key="'k'", how="INSERT OR REPLACE"),
        insert(13, actor="uid:1001", key="'k'", how="INSERT OR IGNORE"),
        insert(13, actor="uid:1001", key="'k'") + " ON CONFLICT DO UPDATE SET data = '[]'",
        f"INSERT INTO events {COLUMNS} SELECT * FROM events",
    ],
)
def test_history_is_refused_a_change(shell: sqlite3.Connection, statement: str) -> None:
    """UPDATE, DELETE, REPLACE, an insert with a hole and a used key are refused, all rows kept."""
    before = shell.execute("SELECT * FROM events").fetchall()
    with pytest.raises(sqlite3.IntegrityError):
        shell.execute(statement)
    assert shell.execute("SELECT * FROM events").fetchall() == before


@pytest.mark.parametrize(
    "change",
    [
        ("2000", "'soon'"),
        ("2000", "-1"),
        ("2000", "1.5"),
        ("'number.told'", "''"),
        ("'number.told'", "NULL"),
        ("'number.told'", "x'00'"),
        (", 1,", ", 0,"),
        ("'uid:1'", "''"),
        ("NULL", "''"),
        ("'{}'", "NULL"),
        ("'{}'", "x'7b7d'"),
        ("zeroblob(32)", "zeroblob(31)"),
        ("zeroblob(32)", "'00000000000000000000000000000000'"),
    ],
    ids=str,
)
def test_columns_are_strict(shell: sqlite3.Connection, change: tuple[str, str]) -> None:
    """A value of another type, or of a length that cannot be, is refused."""
    shell.execute("BEGIN")
    shell.execute(insert(13))
    shell.execute("ROLLBACK")
    with pytest.raises(sqlite3.IntegrityError):
        shell.execute(insert(13).replace(*change, 1))


def test_an_append_by_sql_is_possible_and_shows(shell: sqlite3.Connection) -> None:
    """Triggers guard against accidents; who may write may append, and the chain shows it."""
    shell.execute(insert(13))
    assert shell.execute("SELECT max(seq) FROM events").fetchone() == (13,)


def test_people_read_it_in_sql(shell: sqlite3.Connection) -> None:
    """A view shows times and hashes as text."""
    rows = shell.execute("SELECT at, kind, length(prev), hash FROM events_readable").fetchall()
    assert rows[0][:3] == ("1970-01-01T00:00:00.000001Z", "ledger.created", 64)
    assert len(rows) == 12
    digest = shell.execute("SELECT hash FROM events WHERE seq = 1").fetchone()[0]
    assert rows[0][3] == digest.hex()


def test_the_file_says_what_it_is(shell: sqlite3.Connection) -> None:
    """Program, format, table and triggers are those of format 1, word for word."""
    assert shell.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
    assert APPLICATION_ID.to_bytes(4, "big") == b"GPUL"
    assert shell.execute("PRAGMA user_version").fetchone() == (FORMAT,)
    (table,) = shell.execute("SELECT sql FROM sqlite_schema WHERE name = 'events'").fetchone()
    assert table == EVENTS_TABLE
    found = shell.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
    assert dict(found) == TRIGGERS


def test_a_foreign_trigger_never_runs(shell: sqlite3.Connection, ledger_path: Path) -> None:
    """Somebody else's trigger keeps the writer from writing; reading goes on."""
    shell.execute(
        "CREATE TRIGGER mine AFTER INSERT ON events BEGIN DELETE FROM _sqlite_migrations; END"
    )
    log = SqliteLog(str(ledger_path))
    with pytest.raises(Damaged, match="mine"):
        tell(log)
    assert log.head().seq == 12
    shell.execute("DROP TRIGGER mine")
    assert tell(log).seq == 13
    log.close()


def test_a_lost_trigger_does_not_stop_the_writer(
    shell: sqlite3.Connection, ledger_path: Path
) -> None:
    """With the triggers dropped the log is still appended to in order: no code path edits."""
    for name in TRIGGERS:
        shell.execute(f"DROP TRIGGER {name}")
    log = SqliteLog(str(ledger_path))
    assert tell(log).seq == 13
    log.close()
