"""Point 6 of recovery: what a foreign file brings along is never run, whatever is asked of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import RunCli
from forging import opened
from gpuledger.handle import Ledger
from gpuledger.ledger.errors import Damaged
from small_pools import ADA, ROOT, ledger

ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n"
"""A view that nobody ever reads to its end."""

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
