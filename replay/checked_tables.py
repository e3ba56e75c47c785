"""The check of the stores' tables as such: that each is one, and the index leads to each row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from ..ledger.errors import GpuledgerError
from .checked_reading import Checked
from .problem import Problem
from .projection_store import INDEXED, index_of
from .snapshot_store import Misfit

if TYPE_CHECKING:
    import sqlite3

Row = TypeVar("Row", bound=tuple[Any, ...])

RUN = 2_000
"""Rows of one run: a read transaction of a few milliseconds."""
TABLES = {
    "snapshot": "snapshot", "pieces": "snapshot", "holdings": "holdings", "capacity": "capacity",
}  # fmt: skip
"""The tables, and under what their problems are told."""


def table_problems(log: Checked) -> list[Problem]:
    """What is wrong with the tables, whatever their rows say."""
    kinds = log.reading(_kinds)
    problems = [
        Problem(None, what, f"{name} is no table")
        for name, what in TABLES.items()
        if kinds.get(name) != "table"
    ]
    if kinds.get("tiles", "table") != "table":  # a ledger of earlier releases has none
        problems.append(Problem(None, "tree", "tiles is no table"))
    if kinds.get("holdings") == "table":
        try:
            problems += _unindexed(log)
        except (Misfit, GpuledgerError) as error:
            why = getattr(error, "why", error.args[0])
            problems.append(Problem(None, "holdings", f"by their index: {why}"))
    return problems


def numbered_runs(
    log: Checked, ask: Callable[[sqlite3.Connection, int], list[Row]]
) -> Iterator[list[Row]]:
    """Yield a table's rows in runs, each row's number its first column; `ask` returns up to `RUN`
    of them behind a number. Raises Misfit where one is no number, or they are out of order.
    """
    last = -(2**63)
    while True:
        rows = log.reading(lambda conn: ask(conn, last))  # noqa: B023 - runs at once
        numbers: list[object] = [row[0] for row in rows]
        if not all(isinstance(number, int) for number in numbers):
            raise Misfit("a row has no number")
        yield rows
        if len(rows) < RUN:
            return
        after, last = last, rows[-1][0]
        if last <= after:
            raise Misfit("its rows are out of order")


def _kinds(conn: sqlite3.Connection) -> dict[str, str]:
    return dict(conn.execute("SELECT lower(name), type FROM sqlite_schema WHERE type <> 'trigger'"))


def _unindexed(log: Checked) -> list[Problem]:
    """The rows to which the index by server does not lead, and entries that lead nowhere.

    Raises Misfit where there is no index, Damaged where it cannot be read.
    """

    def ask(conn: sqlite3.Connection, after: int) -> list[tuple[int, int]]:
        return conn.execute(INDEXED.format(index=index_of(conn)), (after, RUN)).fetchall()

    found = [
        Problem(None, "holdings", f"row {number} is not found by its server")
        for rows in numbered_runs(log, ask)
        for number, led in rows
        if not led
    ]
    by_rows, by_index = log.reading(_counts)
    if by_index > by_rows:
        found.append(Problem(None, "holdings", f"{by_index - by_rows} entries of their index"))
    return found


def _counts(conn: sqlite3.Connection) -> tuple[int, int]:
    """How many rows there are, and how many entries the index has."""
    by_rows = conn.execute("SELECT count(*) FROM holdings NOT INDEXED").fetchone()[0]
    index = index_of(conn)
    by_index = conn.execute(f"SELECT count(*) FROM holdings INDEXED BY {index}").fetchone()[0]  # noqa: S608 - a quoted name
    return by_rows, by_index
