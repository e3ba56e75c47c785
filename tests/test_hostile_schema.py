"""Point 6 of recovery: what a foreign file brings along is never run, whatever is asked of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import RunCli
from forging import opened
from gpuledger.handle import Ledger
from gpuledger.ledger.errors import Damaged
from gpuledger.ledger.event import Event
from gpuledger.ledger.row import insert
from gpuledger.ledger.schema_row import SchemaRow
from small_pools import ADA, ROOT, ledger

ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n"
"""A view that nobody ever reads to its end."""

ENDLESS_PIECES = f"CREATE VIEW pieces AS SELECT x AS key, x AS value, x AS digest FROM ({ENDLESS})"

TABLES = ["events", "snapshot", "pieces", "holdings", "capacity"]

READING = ["status", "list", "history", "audit usage", "audit who s0", "export", "audit verify"]


@pytest.fixture
def told(ledger_path: Path) -> Path:
    """A ledger with a task that runs and one that has ended."""
    with ledger(ledger_path, actor=ADA) as ada:
        ada.allocate("ended", 1).release()
        ada.allocate("running", 1)
        ada.rebuild()
    return ledger_path


def hostile_view(path: Path, table: str) -> None:
    """Put a view without end in a table's place."""
    with opened(path) as connection:
        for (name,) in connection.execute(
            "SELECT name FROM sqlite_schema WHERE type IN ('trigger', 'view')"
        ).fetchall():
            connection.execute(f"DROP {'VIEW' if name == 'events_readable' else 'TRIGGER'} {name}")
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        connection.execute(f"ALTER TABLE {table} RENAME TO old_{table}")
        every = ", ".join(f"x AS {column}" for column in columns)
        connection.execute(f"CREATE VIEW {table} AS SELECT {every} FROM ({ENDLESS})")


@pytest.mark.parametrize("table", TABLES)
def test_a_view_without_end_is_never_read(told: Path, table: str, run_cli: RunCli) -> None:
    """Every command ends at once; without the log it says that the file is damaged."""
    hostile_view(told, table)
    for words in READING:
        done = run_cli("--ledger", told, *words.split(), timeout_s=20)
        damaged = table == "events" or words == "audit verify"
        assert done.returncode == (1 if damaged else 0), (words, done.stderr)
    done = run_cli("--ledger", told, "allocate", "more", "1", timeout_s=20)
    assert done.returncode == (1 if table == "events" else 0), "a store is made anew"


SPIES = [
    "CREATE TRIGGER spy AFTER INSERT ON events BEGIN INSERT INTO seen VALUES (NEW.actor); END",
    "CREATE TRIGGER spy AFTER INSERT ON pieces BEGIN INSERT INTO seen VALUES (NEW.key); END",
    "CREATE INDEX spy ON events (hex(zeroblob(length(data) * 1000)))",
    "CREATE INDEX spy ON events (at)",
]


@pytest.mark.parametrize("spy", SPIES)
def test_what_would_run_when_somebody_writes(told: Path, spy: str, run_cli: RunCli) -> None:
    """A foreign trigger, or an index on the log, stops writers and is named; readers read on."""
    with opened(told) as connection:
        connection.execute("CREATE TABLE seen (it)")
        connection.execute(spy)
    with Ledger(str(told), actor=ADA) as ada:
        with pytest.raises(Damaged, match="not gpuledger's: spy"):
            ada.allocate("more", 1)
        assert [one.task for one in ada.state().allocations()] == ["running"]
    done = run_cli("--ledger", told, "audit", "verify")
    assert done.returncode == 1
    assert "spy is not the ledger's" in done.stdout
    with opened(told) as connection:
        assert connection.execute("SELECT count(*) FROM seen").fetchone() == (0,)


def test_a_trigger_of_ours_with_other_words(told: Path) -> None:
    """One that has our name and says something else is not ours."""
    with opened(told) as connection:
        connection.execute("DROP TRIGGER events_insert")
        connection.execute(
            "CREATE TRIGGER events_insert BEFORE INSERT ON events BEGIN SELECT 1; END"
        )
    with Ledger(str(told), actor=ROOT) as root, pytest.raises(Damaged, match="events_insert"):
        root.allocate("more", 1)


def test_views_of_ones_own_are_nobody_elses_business(told: Path) -> None:
    """Who reads the log with SQL may have views of his own beside it."""
    with opened(told) as connection:
        connection.execute("CREATE VIEW mine AS SELECT count(*) FROM events")
    with Ledger(str(told), actor=ADA) as ada:
        ada.allocate("more", 1)
        assert ada.verify().ok


def disguised(path: Path, kind: str, name: str, table: str, sql: str) -> None:
    """Put a row into the schema whose other columns do not say what its text does."""
    with opened(path) as connection:
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute("DELETE FROM sqlite_schema WHERE name = ?", (name,))
        row = (kind, name, table, sql)
        connection.execute("INSERT INTO sqlite_schema VALUES (?, ?, ?, 0, ?)", row)
        version = connection.execute("PRAGMA schema_version").fetchone()[0]
        connection.execute(f"PRAGMA schema_version={version + 1}")


SWALLOW = "TRIGGER evil BEFORE INSERT ON events BEGIN SELECT RAISE(IGNORE); END"


@pytest.mark.parametrize("sql", [f"CREATE {SWALLOW}", f"CREATE/**/{SWALLOW}", f"create\n{SWALLOW}"])
def test_a_trigger_that_is_spelled_otherwise(told: Path, sql: str) -> None:
    """SQLite minds no case: writers refuse it, a verification names it, and readers read on."""
    disguised(told, "TRIGGER", "EVIL", "EVENTS", sql)
    with Ledger(str(told), actor=ADA) as ada:
        with pytest.raises(Damaged, match="not gpuledger's: EVIL"):
            ada.allocate("more", 1)
        found = [(one.what, one.detail.split()[-1]) for one in ada.verify().problems]
        assert found == [("foreign", "EVIL")]
        assert [one.task for one in ada.state().allocations()] == ["running"]


@pytest.mark.parametrize(
    ("kind", "sql"),
    [
        ("table", f"CREATE {SWALLOW}"),
        ("index", f"CREATE/**/{SWALLOW}"),
        ("", f"cReAtE {SWALLOW}"),
        ("view", "CREATE TEMP TRIGGER evil"),
        ("TABLE", "CREATE TABLE evil (it)"),
    ],
)
def test_only_the_text_of_a_row_counts(kind: str, sql: str) -> None:
    """A row that calls itself something else may run, where SQLite lets it pass."""
    assert SchemaRow(kind, "evil", "evil", sql).runs


def test_an_index_on_the_log_that_says_it_is_elsewhere(told: Path) -> None:
    """The indexes that SQLite knows count, whatever their rows say."""
    with opened(told) as connection:
        connection.execute("CREATE INDEX spy ON events (at)")
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute("UPDATE sqlite_schema SET tbl_name = 'EVENTS' WHERE name = 'spy'")
    with Ledger(str(told), actor=ADA) as ada:
        with pytest.raises(Damaged, match="index that is not gpuledger's: spy"):
            ada.allocate("more", 1)
        assert [one.detail for one in ada.verify().problems] == ["index spy"]


def test_a_view_that_is_spelled_otherwise(told: Path, run_cli: RunCli) -> None:
    """It is not read either, and writers refuse the file."""
    with opened(told) as connection:
        connection.execute("DROP TABLE pieces")
    disguised(told, "VIEW", "pieces", "pieces", ENDLESS_PIECES)
    for words in READING:
        done = run_cli("--ledger", told, *words.split(), timeout_s=20)
        assert done.returncode == (1 if words == "audit verify" else 0), (words, done.stderr)
    done = run_cli("--ledger", told, "allocate", "more", "1", timeout_s=20)
    assert done.returncode == 1
    assert "view that is not gpuledger's: pieces" in done.stderr


def test_what_comes_while_the_ledger_is_open(told: Path) -> None:
    """A trigger or a view that another process brings is met at the next turn and reading."""
    with Ledger(str(told), actor=ADA) as ada:
        ada.allocate("more", 1)
        with opened(told) as connection:
            connection.execute(f"CREATE {SWALLOW}")
        for _ in range(2):
            with pytest.raises(Damaged, match="not gpuledger's: evil"):
                ada.allocate("lost", 1)
        with opened(told) as connection:
            connection.execute("DROP TRIGGER evil")
        ada.allocate("kept", 1)
        with opened(told) as connection:
            connection.execute("DROP TABLE pieces")
            connection.execute(ENDLESS_PIECES)
        assert len(ada.state().allocations()) == 3


def test_a_row_that_is_not_kept(told: Path) -> None:
    """Whatever makes SQLite pass over an event, nobody is told that it stands."""
    with opened(told) as connection:
        connection.execute(f"CREATE {SWALLOW}")
        event = Event(9, 9, "a", 1, "uid:0", None, b"{}", bytes(32), bytes(32))
        with pytest.raises(Damaged, match="does not keep what is written"):
            insert(connection, event)


def test_tables_of_ones_own_are_nobody_elses_business(told: Path) -> None:
    """A table, an index on it and a virtual table beside ours keep nobody from writing."""
    with opened(told) as connection:
        connection.execute("create  table if not exists mine (it unique)")
        connection.execute("create unique index mine_it on mine (it)")
        connection.execute("ALTER TABLE mine RENAME TO yours")
        connection.execute("CREATE VIRTUAL TABLE words USING fts5(word)")
    with Ledger(str(told), actor=ADA) as ada:
        ada.allocate("more", 1)
        assert ada.verify().ok
