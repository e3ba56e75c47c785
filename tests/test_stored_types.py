"""A flipped bit can give any column of the stores any type: named, passed over, mended."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from forging import opened
from gpuledger.handle import Ledger
from gpuledger.replay.interval import Window
from small_pools import ADA, ROOT, ledger

VALUES = (None, "x", "", b"x", b"", 1.5, float("inf"), 2**62, -1, bytes(32))
ALL_TIME = Window(0, 2**53)


@pytest.fixture
def told(ledger_path: Path) -> Path:
    """A ledger with a row in each of its stores."""
    with ledger(ledger_path, actor=ADA) as ada:
        ada.allocate("ended", 1).release()
        ada.allocate("running", 1)
        ada.rebuild()
    return ledger_path


def mistype(path: Path, table: str, column: int, value: object) -> None:
    """Keep a table's rows in one that takes any type, and give one of them this value there."""
    with opened(path) as connection:
        if table == "tiles":
            connection.execute("INSERT INTO tiles VALUES (1, 0, zeroblob(32), zeroblob(32))")
        names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        rows = [list(row) for row in connection.execute(f"SELECT * FROM {table}")]
        rows[0][column % len(names)] = value
        connection.execute(f"DROP TABLE {table}")
        connection.execute(f"CREATE TABLE {table} ({', '.join(names)})")
        marks = ", ".join("?" * len(names))
        connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
        if table == "holdings":
            connection.execute("CREATE INDEX holdings_server ON holdings (server, n)")


@pytest.mark.parametrize("table", ["snapshot", "pieces", "holdings", "capacity", "tiles"])
@pytest.mark.parametrize("column", range(8))
def test_a_value_of_another_type(told: Path, table: str, column: int) -> None:
    """A verification names what does not fit, readers and writers replay instead."""
    value = random.Random(f"{table} {column}").choice(VALUES)
    mistype(told, table, column, value)
    with Ledger(str(told), actor=ROOT) as root:
        if (table, column) != ("snapshot", 0):
            assert {one.what for one in root.verify().problems} <= NAMED[table], value
            assert not root.verify().ok, value
        assert [one.task for one in root.state().allocations()] == ["running"]
        assert len(root.history(ALL_TIME)[0]) == 2
        assert root.tree().size == 4
        root.allocate("more", 1)
        root.verify()
        root.rebuild()
        assert not [one for one in root.verify().problems if one.what == "tree"]


NAMED = {
    "snapshot": {"snapshot"},
    "pieces": {"snapshot", "piece"},
    "holdings": {"snapshot", "holdings"},
    "capacity": {"snapshot", "capacity"},
    "tiles": {"tree"},
}


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("table", ["holdings", "capacity", "tiles"])
def test_a_row_whose_number_is_none(told: Path, table: str, value: object) -> None:
    """It is named, whatever its number is; a row is not looked for at a place that is none."""
    mistype(told, table, 1 if table == "tiles" else 0, value)
    with Ledger(str(told), actor=ROOT) as root:
        assert {one.what for one in root.verify().problems} <= NAMED[table]
        assert not root.verify().ok
        assert root.tree().size == 4
        root.allocate("more", 1)
