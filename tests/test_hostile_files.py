"""Files that were vandalised or damaged: every command ends, says what is wrong, and mends
what can be mended.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from conftest import RunCli
from forging import opened, put_triggers_back, triggers, unguarded
from gpuledger.handle import Ledger
from gpuledger.ledger.cloudevent import from_line
from gpuledger.ledger.errors import BrokenChain, GpuledgerError
from gpuledger.replay import checked_reading
from gpuledger.replay.interval import Window
from gpuledger.replay.snapshot_store import Header
from small_pools import ADA, ROOT, ledger

PAGE = 4096
FAR = 2**63 - 1


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed ledger with a hundred tasks, all but one ended, and a snapshot at its head."""
    path = tmp_path_factory.mktemp("kept") / "ledger.db"
    with ledger(path, actor=ADA) as ada:
        for number in range(100):
            ada.allocate(f"task-{number}", 1, 1, note="x" * 100, key=f"key-{number}").release()
        ada.allocate("running", 1, 1)
        ada.rebuild()
    return path


@pytest.fixture
def told(kept: Path, ledger_path: Path) -> Path:
    """A copy of it."""
    for suffix in ("", ".lock"):
        shutil.copyfile(f"{kept}{suffix}", f"{ledger_path}{suffix}")
    return ledger_path


def problems(path: Path) -> list[tuple[int | None, str, str]]:
    """What a verification finds."""
    with Ledger(str(path), actor=ROOT) as opened_again:
        return [(one.seq, one.what, one.detail) for one in opened_again.verify().problems]


def spoil(path: Path, page: int, at: int = 0, size: int = PAGE) -> None:
    """Zero bytes of a page, the first of which is page 1."""
    with path.open("r+b") as file:
        file.seek((page - 1) * PAGE + at)
        file.write(bytes(size))


def page_with(path: Path, text: bytes) -> int:
    """The page that holds a text."""
    return path.read_bytes().index(text) // PAGE + 1


def root_of(path: Path, name: str) -> int:
    """The page where a table or an index begins."""
    with opened(path) as connection:
        asked = "SELECT rootpage FROM sqlite_schema WHERE name = ?"
        page: int = connection.execute(asked, (name,)).fetchone()[0]
        return page


def copied_row(connection: sqlite3.Connection, seq: int) -> None:
    """Insert the first event once more under another seq."""
    connection.execute("PRAGMA ignore_check_constraints = 1")
    connection.execute(
        "INSERT INTO events SELECT ?, at, kind, version, actor, NULL, data, prev, hash"
        " FROM events WHERE seq = 1", (seq,),
    )  # fmt: skip


def test_a_verification_leaps_to_the_next_seq(told: Path) -> None:
    """A row 2**63 away and a damaged page end a verification no later than any other."""
    with unguarded(told) as connection:
        copied_row(connection, FAR)
    spoil(told, page_with(told, b'"task-50"'))
    found = problems(told)
    unreadable = [seq for seq, what, _ in found if what == "unreadable"]
    assert 0 < len(unreadable) < PAGE
    assert (203, "missing", f"up to {FAR - 1}") in found
    assert (FAR, "prev", "") in found


def test_a_row_that_tells_an_earlier_seq(told: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A damaged row that comes under another seq than it tells turns no check in a circle."""
    monkeypatch.setattr(checked_reading, "RUN", 1)
    start = (page_with(told, b'"allocations":[160]') - 1) * PAGE
    raw = bytearray(told.read_bytes())
    cell = start + int.from_bytes(raw[start + 12 : start + 14], "big")
    rowid = raw.index(0x81, cell + 2)  # of two bytes, the first of which tells 128
    raw[rowid] = 0x80
    told.write_bytes(raw)
    assert "missing" in [what for _, what, _ in problems(told)]


@pytest.mark.parametrize("seq", [0, -5])
def test_a_row_below_the_first_seq_is_foreign(told: Path, seq: int) -> None:
    """No event can have a seq below 1: a verification names the row."""
    with unguarded(told) as connection:
        copied_row(connection, seq)
    assert problems(told) == [(seq, "foreign", "")]


def loosened(path: Path, table: str, column: str, value: object) -> None:
    """Make a table of the stores anew without any constraint, with a value in every row."""
    with opened(path) as connection:
        connection.execute(f"CREATE TABLE loose AS SELECT * FROM {table}")
        connection.execute(f"DROP TABLE {table}")
        connection.execute(f"ALTER TABLE loose RENAME TO {table}")
        connection.execute(f"UPDATE {table} SET {column} = ?", (value,))


@pytest.mark.parametrize("value", [None, b"\xff", "text"])
@pytest.mark.parametrize(
    "column",
    [
        *(f"snapshot.{name}" for name in ("seq", "hash", "fold", "holdings", "digest")),
        *(f"pieces.{name}" for name in ("key", "value", "digest")),
        *(f"holdings.{name}" for name in ("server", "ended", "value", "digest")),
        *(f"capacity.{name}" for name in ("value", "digest")),
    ],
)
def test_any_value_in_a_store_is_a_problem(told: Path, column: str, value: object) -> None:
    """NULL, bytes or text where something else belongs is told, never a failure of the check."""
    table, name = column.split(".")
    loosened(told, table, name, value)
    assert problems(told)
    with Ledger(str(told), actor=ADA) as ada:
        assert len(ada.who("s0")[0]) == 101
        ada.release("running")
        ada.rebuild()
    assert problems(told) == []


STORES = ("snapshot", "pieces", "holdings", "holdings_server", "capacity")


@pytest.mark.parametrize(("at", "size"), [(0, PAGE), (8, 40)])
@pytest.mark.parametrize("name", STORES)
def test_a_damaged_page_of_a_store(told: Path, name: str, at: int, size: int) -> None:
    """Reports fall back to a replay, a verification names it, and a rebuild mends it."""
    spoil(told, root_of(told, name), at, size)
    found = problems(told)
    assert found
    assert {what for _, what, _ in found} <= {"snapshot", "piece", "holdings", "capacity"}
    with Ledger(str(told), actor=ADA) as ada:
        assert len(ada.who("s0")[0]) == 101
        assert len(list(ada.state().allocations())) == 1
        assert ada.rebuild().matches is not True
        assert len(ada.who("s0")[0]) == 101
    assert problems(told) == []


@pytest.mark.parametrize("name", STORES)
def test_a_writer_gets_over_a_damaged_page(told: Path, name: str) -> None:
    """What he records is there, once, and the stores with it."""
    spoil(told, root_of(told, name))
    for act in range(2):
        with Ledger(str(told), actor=ADA) as ada:
            ada.allocate(f"more-{act}", 1, 1, key=f"more-{act}")
            ada.release(f"more-{act}")
    with Ledger(str(told), actor=ADA) as ada:
        assert ada.head().seq == 206
        assert len(ada.who("s0")[0]) == 103
    assert problems(told) == []


def test_a_lost_index_of_the_stores_comes_back(told: Path) -> None:
    """A verification names it, a rebuild makes it."""
    with opened(told) as connection:
        connection.execute("DROP INDEX holdings_server")
    assert [what for _, what, _ in problems(told)] == ["holdings"]
    with Ledger(str(told), actor=ADA) as ada:
        assert ada.rebuild().matches is False
    assert root_of(told, "holdings_server")
    assert problems(told) == []


@pytest.mark.parametrize("table", ["snapshot", "pieces", "holdings", "capacity"])
def test_a_view_in_place_of_a_table(told: Path, table: str) -> None:
    """A verification names it, a rebuild or a writer puts a table there."""
    for mend in (Ledger.rebuild, lambda ada: ada.release("running")):
        with opened(told) as connection:
            connection.execute(f"ALTER TABLE {table} RENAME TO old_{table}")
            connection.execute(f"CREATE VIEW {table} AS SELECT * FROM old_{table}")
        assert any(f"{table} is no table" in detail for _, _, detail in problems(told))
        with Ledger(str(told), actor=ADA) as ada:
            mend(ada)
        assert problems(told) == []
        with opened(told) as connection:
            connection.execute(f"DROP TABLE old_{table}")


@pytest.mark.parametrize(
    "row",
    [
        "holdings SELECT n + 1000, server, ended, value, digest",
        "capacity SELECT n + 1000, value, digest",
    ],
)
def test_rows_beyond_the_header(told: Path, row: str) -> None:
    """While nobody writes they are nobody's: a verification names them."""
    table = row.split(maxsplit=1)[0]
    with opened(told) as connection:
        connection.execute(f"INSERT INTO {row} FROM {table} WHERE n = 1")
    assert problems(told) == [(None, table, "row 1001 is not the ledger's")]


def test_a_header_that_counts_to_the_skies(told: Path) -> None:
    """However many rows a header claims, nothing is counted up to there."""
    with opened(told) as connection:
        row = connection.execute("SELECT seq, hash, fold, state_hash FROM snapshot").fetchone()
        forged = Header(*row, 2**52, 2**52)
        connection.execute(
            "UPDATE snapshot SET holdings = ?, capacity = ?, digest = ?",
            (forged.holdings, forged.capacity, forged.digest()),
        )
    assert problems(told)
    with Ledger(str(told), actor=ADA) as ada:
        assert len(ada.history(Window(0, 1 << 60))[0]) == 101


def test_a_lost_index_of_the_log_is_named_once(told: Path) -> None:
    """Without the index of retry keys every row can still be read."""
    with opened(told) as connection:
        connection.execute("DROP INDEX events_keys")
    assert problems(told) == [(None, "schema", "index events_keys")]


def mistyped(path: Path, seq: int, column: str, value: object) -> None:
    """Put a value of any type into a row, as a flipped byte of its header does."""
    kept_triggers = triggers(path)
    with opened(path) as connection:
        connection.execute("DROP VIEW events_readable")
        connection.execute("CREATE TABLE loose (seq INTEGER PRIMARY KEY,"
                           " at, kind, version, actor, key, data, prev, hash)")  # fmt: skip
        connection.execute("INSERT INTO loose SELECT * FROM events")
        connection.execute("DROP TABLE events")
        connection.execute("ALTER TABLE loose RENAME TO events")
        connection.execute(f"UPDATE events SET {column} = ? WHERE seq = ?", (value, seq))
    put_triggers_back(path, kept_triggers)


ASKED = {
    "state": Ledger.state,
    "the past": lambda book: book.state(1 << 60),
    "history": lambda book: book.history(Window(0, 1 << 60)),
    "usage": lambda book: book.usage(Window(0, 1 << 60)),
    "who": lambda book: book.who("s0"),
    "refusals": lambda book: book.refusals(Window(0, 1 << 60)),
    "diff": lambda book: book.diff(0, 1 << 60),
    "export": lambda book: list(book.export()),
    "writing": lambda book: book.allocate("more", 1),
    "rebuild": Ledger.rebuild,
}


@pytest.mark.parametrize("seq", [1, 50, 202])
@pytest.mark.parametrize("column", ["at", "kind", "version", "actor", "data", "prev", "hash"])
def test_a_column_of_another_type(told: Path, seq: int, column: str) -> None:
    """NULL in a column is a damaged event, in so many words, whoever comes upon it."""
    mistyped(told, seq, column, None)
    assert (seq, "type", "") in problems(told)
    for ask in ASKED.values():
        with Ledger(str(told), actor=ADA) as ada, suppress(GpuledgerError):
            ask(ada)
    with Ledger(str(told), actor=ADA) as ada, pytest.raises(BrokenChain) as caught:
        list(ada.export())
    assert caught.value.seq == seq


def test_data_that_is_no_text_is_exported(told: Path) -> None:
    """Bytes that are not UTF-8 go out as base64 and come back as they were."""
    data = b'{"a":"\xff"}'
    with unguarded(told) as connection:
        connection.execute("UPDATE events SET data = CAST(? AS TEXT) WHERE seq = 50", (data,))
    with Ledger(str(told), actor=ADA) as ada:
        line = list(ada.export())[49]
    assert b"data_base64" in line
    assert from_line(line).data == data


@pytest.mark.parametrize(
    "harm",
    [
        "DELETE FROM events WHERE seq = 1",
        "UPDATE events SET data = '[]' WHERE seq = 1",
        "UPDATE events SET data = replace(hex(zeroblob(50000)), '00', '[') WHERE seq = 1",
    ],
)
def test_an_export_without_the_first_event(told: Path, harm: str) -> None:
    """The lock file knows whose log it is as well; without both there is none to name."""
    with Ledger(str(told), actor=ADA) as ada:
        name = ada.ledger_id().encode()
    with unguarded(told) as connection:
        connection.execute(harm)
    with Ledger(str(told), actor=ADA) as ada:
        lines = list(ada.export())
        assert len(lines) == 202 - harm.startswith("DELETE")
        assert all(b'"source":"gpuledger:' + name in line for line in lines)
    told.with_name("ledger.db.lock").unlink()
    with Ledger(str(told), actor=ADA) as ada, pytest.raises(BrokenChain):
        ada.export()


@pytest.mark.parametrize("at", [FAR, 300_000_000_000_000_000])
def test_a_time_beyond_all_calendars(told: Path, run_cli: RunCli, at: int) -> None:
    """A damaged time is printed with all its digits, wherever it turns up."""
    with unguarded(told) as connection:
        connection.execute("UPDATE events SET at = ? WHERE seq = 202", (at,))
    year = time.gmtime(at // 1_000_000).tm_year
    for words in ("history", "list", "status", "export", "audit usage", "audit who s0"):
        done = run_cli("--ledger", told, *words.split(), env={"TZ": "Europe/Berlin"})
        assert done.returncode == 0, done.stderr
        if words in ("history", "export"):
            assert str(year) in done.stdout + done.stderr


def as_folder(path: Path) -> None:
    path.mkdir()


def as_fifo(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.needs("linux")
@pytest.mark.parametrize("make", [as_folder, as_fifo])
def test_a_lock_file_that_is_none(
    told: Path, run_cli: RunCli, make: Callable[[Path], None]
) -> None:
    """Reading goes on, a verification names it, a writer says it: nobody waits or fails."""
    lock = told.with_name("ledger.db.lock")
    lock.unlink()
    make(lock)
    assert [(seq, what) for seq, what, _ in problems(told)] == [(None, "note")]
    for words, code in (("status", 0), ("allocate more 1", 74), ("audit verify", 1)):
        done = run_cli("--ledger", told, *words.split())
        assert done.returncode == code, done.stderr
        assert "should not have" not in done.stderr
    told.unlink()
    done = run_cli("--ledger", told, "init")
    assert (done.returncode, done.stderr.count("\n")) == (74, 1)


def test_a_name_that_is_too_long(tmp_path: Path, run_cli: RunCli) -> None:
    """Making a ledger there fails in a sentence, as reading one does."""
    for words in ("init", "status"):
        done = run_cli("--ledger", tmp_path / ("a" * 300), words)
        assert (done.returncode, done.stderr.count("\n")) == (74, 1)
        assert "too long" in done.stderr


@pytest.mark.parametrize("zone", ["UTC-25", "UTC+30"])
def test_a_zone_a_day_from_utc(told: Path, run_cli: RunCli, zone: str) -> None:
    """It is none, so times are told in UTC."""
    done = run_cli("--ledger", told, "list", env={"TZ": zone})
    assert done.returncode == 0, done.stderr
    assert "+00:00" in done.stdout


@pytest.mark.needs("sh")
@pytest.mark.parametrize("words", ["status", "export", "list --json", "--help"])
def test_a_closed_stdout(
    told: Path, cli_command: Sequence[str], cli_env: dict[str, str], words: str
) -> None:
    """An answer that nobody can get is a failure, as on a full disk."""
    command = shlex.join([*cli_command, "--ledger", str(told), *words.split()])
    done = subprocess.run(
        ["sh", "-c", f"{command} >&-"],
        env=cli_env, stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 74
    assert done.stderr.startswith("gpuledger: the answer could not be written: ")
    assert done.stderr.count("\n") == 1
