"""Invariant 5: everything but the log is disposable; no row of the stores is believed."""

from __future__ import annotations

import re
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

import pytest

import forging
from chosen_times import document
from conftest import RunCli
from gpuledger.handle import Ledger
from gpuledger.ledger.errors import GpuledgerError
from gpuledger.replay.interval import Window
from gpuledger.replay.piece import state_hash
from lively_team import BEGINS, Lively
from prefixes import Booked
from small_pools import ADA, ROOT

Record = Callable[[str, object], None]
TABLES = ("snapshot", "pieces", "holdings", "capacity")
IDENTITY = {"snapshot": "id", "pieces": "key", "holdings": "n", "capacity": "n"}
NAMED = {"snapshot": "snapshot", "pieces": "piece", "holdings": "holdings", "capacity": "capacity"}
ALWAYS = Window(0, 1 << 60)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, rng_seed: int) -> tuple[Path, int]:
    """A ledger of a lively team with a current snapshot, closed, and the time by its clock."""
    path = tmp_path_factory.mktemp("told") / "ledger.db"
    team = Lively(path, rng_seed)
    for _ in range(150):
        team.act()
    team.settle()
    team.root.rebuild()
    for one in (team.root, team.ada, team.bob):
        one.close()
    return path, team.now + 1_000_000_000


@pytest.fixture
def copy(told: tuple[Path, int], tmp_path: Path) -> Path:
    """A copy of that ledger to do harm to."""
    return copied(told[0], tmp_path / "copy.db")


def copied(path: Path, to: Path) -> Path:
    """Copy a closed ledger with its lock file; what lay there before is gone."""
    for suffix in ("-wal", "-shm"):
        to.with_name(to.name + suffix).unlink(missing_ok=True)
    for suffix in ("", ".lock"):
        shutil.copyfile(path.with_name(path.name + suffix), to.with_name(to.name + suffix))
    return to


def opened(path: Path, now: int) -> Ledger:
    return Ledger(str(path), actor=ROOT, clock_us=lambda: now)


def answers(path: Path, now: int) -> dict[str, Any]:
    """All that a ledger can be asked, each by a handle that has read nothing before."""
    middle = BEGINS + (now - BEGINS) // 2
    window = Window(BEGINS, middle)
    asked: dict[str, Callable[[Ledger], Any]] = {
        "state": lambda book: book.state().pieces,
        "then": lambda book: book.state(middle).pieces,
        "history": lambda book: book.history(ALWAYS),
        "some history": lambda book: book.history(window),
        "usage": lambda book: book.usage(ALWAYS, ("user", "server")),
        "some usage": lambda book: book.usage(window, ("task",)),
        "refusals": lambda book: book.refusals(ALWAYS),
        "diff": lambda book: book.diff(BEGINS, middle),
        "export": lambda book: list(book.export()),
        **{f"who {name}": lambda book, name=name: book.who(name) for name in ("s0", "s1", "s2")},
    }
    found = {}
    for name, ask in asked.items():
        with opened(path, now) as book:
            found[name] = ask(book)
    return found


@pytest.fixture
def campaign(full: bool, rng_seed: int) -> tuple[int, Random]:
    """How many single rows are deleted or edited, and what chooses them."""
    return 500 if full else 60, Random(rng_seed)


@pytest.fixture(scope="module")
def before(told: tuple[Path, int]) -> dict[str, Any]:
    """What the unharmed ledger answers."""
    found = answers(*told)
    assert len(found["history"][0]) > 30
    return found


HARMS = {
    **{f"{table} emptied": [f"DELETE FROM {table}"] for table in TABLES},
    **{f"{table} dropped": [f"DROP TABLE {table}"] for table in TABLES},
    "all emptied": [f"DELETE FROM {table}" for table in TABLES],
    "all dropped": [f"DROP TABLE {table}" for table in TABLES],
    "the projections dropped": ["DROP TABLE holdings", "DROP TABLE capacity"],
    "an index dropped": ["DROP INDEX holdings_server"],
    "a column away": ["ALTER TABLE holdings DROP COLUMN ended"],
    "a column more": ["ALTER TABLE pieces ADD COLUMN more TEXT"],
    "another table": ["DROP TABLE capacity", "CREATE TABLE capacity (x)"],
}


@pytest.mark.parametrize("harm", HARMS)
def test_every_answer_as_before(
    harm: str, copy: Path, told: tuple[Path, int], before: dict[str, Any]
) -> None:
    """With rows or tables of the stores gone each report answers as before, and writing goes on."""
    now = told[1]
    with forging.opened(copy) as connection:
        for statement in HARMS[harm]:
            connection.execute(statement)
    assert answers(copy, now) == before
    with opened(copy, now) as book:
        everything = [f"@{piece.id}" for piece in book.state().allocations()]
        book.release(*everything, force=True, reason="upkeep")
        book.allocate("after", 1)
        assert [one.task for one in book.state().allocations()] == ["after"]
        rebuilt = book.rebuild()
        assert rebuilt.state_hash == state_hash(book.state().pieces)
        assert book.verify().problems == ()
    Booked().follow(forging.rows(copy))


@pytest.mark.parametrize("harm", HARMS)
def test_a_handle_that_was_open_goes_on(harm: str, copy: Path, told: tuple[Path, int]) -> None:
    """A long-lived handle notices nothing, or replays; either way nothing is held twice."""
    with opened(copy, told[1]) as book:
        number = book.allocate("first", 1).id
        with forging.opened(copy) as connection:
            for statement in HARMS[harm]:
                connection.execute(statement)
        for at in range(70):
            book.allocate(f"t{at}", 1).release()
        book.release(f"@{number}")
        book.rebuild()
        assert book.verify().problems == ()
    Booked().follow(forging.rows(copy))


def test_whole_commands_answer_as_before(
    copy: Path, told: tuple[Path, int], run_cli: RunCli
) -> None:
    """With every row of the stores gone each command prints what it printed before."""
    window = ("-S", "2020-09-13T12:26:40Z", "-E", "2020-09-13T13:00:00Z")
    commands = [
        ("status", "--at", "2020-09-13T12:50:00Z"),
        ("list",),
        ("history", *window),
        ("audit", "usage", *window),
        ("audit", "who", "s0", *window),
        ("audit", "verify"),
    ]
    first = [document(run_cli, copy, *words) for words in commands]
    with forging.opened(copy) as connection:
        for table in TABLES:
            connection.execute(f"DELETE FROM {table}")
    second = [document(run_cli, copy, *words) for words in commands]
    for one in (*first, *second):
        one.pop("at", None)
        for running in one.get("allocations", ()):
            running.pop("held_s", None)
            running.pop("elapsed_s" if running.get("end") is None else "", None)
    for words, one, two in zip(commands, first, second, strict=True):
        assert one == two, words


def other(random: Random, value: Any, column: list[Any]) -> Any:  # noqa: ANN401 - a column's value
    """Another value of the same type: one nearby, one of another row, or nonsense."""
    if isinstance(value, int):
        return random.choice([value + 1, value - 1, 0, -value, 1 << 62, *column])
    if isinstance(value, bytes):
        at = random.randrange(len(value))
        flipped = bytes([value[at] ^ 1 << random.randrange(8)])
        return random.choice([value[:at] + flipped + value[at + 1 :], b"", bytes(32), *column])
    digits = [at for at, letter in enumerate(value) if letter.isdigit()]
    if digits and random.random() < 0.6:
        at = random.choice(digits)
        return value[:at] + str((int(value[at]) + 1) % 10) + value[at + 1 :]
    at = random.randrange(len(value))
    nonsense = ["", "{}", "null", value[:at], value + " ", b"\xff" + value[1:].encode()]
    return random.choice([*nonsense, *column])


def edits(connection: sqlite3.Connection, random: Random) -> Iterator[tuple[str, str, Any, Any]]:
    """Single rows deleted, or edited in each column in turn, at random and without end."""
    shape = [
        (table, name)
        for table in TABLES
        for _, name, *_ in connection.execute(f"PRAGMA table_info({table})").fetchall()
        if (table, name) != ("snapshot", "id")
    ]
    while True:
        for table, column in [*shape, *((table, "") for table in TABLES)]:
            row_of = f"SELECT {IDENTITY[table]}, {column or 1} FROM {table}"
            rows = connection.execute(row_of).fetchall()
            row, value = random.choice(rows)
            yield table, column, row, other(random, value, [one for _, one in rows])


def apply(path: Path, edit: tuple[str, str, Any, Any]) -> bool:
    """Do one edit; False where it changes nothing, or the table's own rules refuse it."""
    table, column, row, value = edit
    where = f"WHERE {IDENTITY[table]} = ?"
    with forging.opened(path) as connection, suppress(sqlite3.IntegrityError):
        if not column:
            return connection.execute(f"DELETE FROM {table} {where}", (row,)).rowcount == 1
        put = "CAST(? AS TEXT)" if table != "snapshot" and isinstance(value, bytes) else "?"
        put = "?" if column == "digest" else put
        different = f"{where} AND {column} IS NOT {put}"
        change = f"UPDATE {table} SET {column} = {put} {different}"
        return connection.execute(change, (value, row, value)).rowcount == 1
    return False


def test_single_rows(
    told: tuple[Path, int],
    before: dict[str, Any],
    copy: Path,
    campaign: tuple[int, Random],
    record_property: Record,
) -> None:
    """A row deleted or edited: named by verify, no answer differs, and rebuild mends it."""
    (path, now), (count, random) = told, campaign
    expected = state_hash(before["state"])
    done: Counter[str] = Counter()
    with forging.opened(path) as unharmed:
        for edit in edits(unharmed, random):
            harmed = copied(path, copy)
            if not apply(harmed, edit):
                continue
            table, column, row, _ = edit
            with opened(harmed, now) as book:
                problems = book.verify().problems
            assert any(
                one.what == NAMED[table] and (table == "snapshot" or str(row) in one.detail)
                for one in problems
            ), (edit, problems)
            assert answers(harmed, now) == before, edit
            with opened(harmed, now) as book:
                rebuilt = book.rebuild()
                assert rebuilt.state_hash == expected
                assert not rebuilt.matches, edit
                assert book.verify().problems == (), edit
            done[f"{table}.{column or 'row'}"] += 1
            if done.total() == count:
                break
    record_property("rows edited or deleted", dict(done))


FORGERIES = {
    "seq": "the snapshot|it stands at seq",
    "hash": "the hash at seq",
    "fold": "fold 9",
    "state_hash": "the state hash",
    "holdings": "the number of holdings",
    "capacity": "the number of capacity",
}


@pytest.mark.parametrize("column", FORGERIES)
def test_a_header_forged_with_its_digest(
    column: str, told: tuple[Path, int], copy: Path, before: dict[str, Any]
) -> None:
    """A header that is wrong and says so consistently is named, and no answer differs."""
    columns = ("seq", "hash", "fold", "state_hash", "holdings", "capacity")
    with forging.opened(copy) as connection:
        row = connection.execute(f"SELECT {', '.join(columns)} FROM snapshot").fetchone()
        header = dict(zip(columns, row, strict=True))
        blob = column in ("hash", "state_hash")
        header[column] = bytes(32) if blob else 9 if column == "fold" else header[column] + 7
        spelled = [one.hex() if isinstance(one, bytes) else one for one in header.values()]
        digest = sha256(forging.spelled(spelled).encode()).digest()
        values = (header[column], digest)
        connection.execute(f"UPDATE snapshot SET {column} = ?, digest = ?", values)
    with opened(copy, told[1]) as book:
        found = [one.detail for one in book.verify().problems if one.what == "snapshot"]
        assert any(re.search(FORGERIES[column], one) for one in found), found
    assert answers(copy, told[1]) == before


def test_single_rows_under_writers(
    told: tuple[Path, int], copy: Path, campaign: tuple[int, Random], record_property: Record
) -> None:
    """A row edited between the turns of two handles and of commands: nothing is held twice."""
    (path, now), (most, random) = told, campaign
    count = 0
    with forging.opened(path) as uncopy:
        cases = edits(uncopy, random)
        while count < most:
            with (
                opened(copy, now) as root,
                Ledger(str(copy), actor=ADA, clock_us=lambda: now) as ada,
            ):
                for act in range(5):
                    with opened(copy, now) as once:
                        for handle in random.sample([root, ada, once], 2):
                            with suppress(GpuledgerError):
                                handle.allocate(f"w{count}.{act}", random.randint(1, 3))
                            if random.random() < 0.4:
                                handle.release(mine=True, if_held=True)
                    count += apply(copy, next(cases))
    booked = Booked().follow(forging.rows(copy))
    with opened(copy, now) as book:
        assert {piece.id for piece in book.state().allocations()} == set(booked.owned)
        assert {one.what for one in book.verify().problems} <= set(NAMED.values())
        book.rebuild()
        assert book.verify().problems == ()
    record_property("edits, events", (count, len(forging.rows(copy))))
