"""What the disk and the file can do wrong, each an error of ours with its facts, never a loss."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from gpuledger.ledger.errors import (
    BrokenChain,
    Damaged,
    GpuledgerError,
    LedgerMissing,
    LockTimeout,
    NewerFormat,
    NotALedger,
    NotPermitted,
    StorageFailed,
)
from gpuledger.ledger.failure import translate
from gpuledger.ledger.sqlite_log import SqliteLog
from plain_log import a_log, draft, first_break, tell

FAILING = Path(__file__).with_name("log_failing.py")


def both_raise(path: Path, expected: type[GpuledgerError], **facts: object) -> None:
    """Reading and writing both raise that error, with those facts, and make nothing."""
    before = sorted(p.name for p in path.parent.iterdir())
    log = SqliteLog(str(path))
    for act in (log.head, lambda: tell(log)):
        with pytest.raises(expected) as caught:
            act()
        assert caught.value.facts | facts == caught.value.facts
        assert caught.value.facts["path"] == str(path)
    log.close()
    assert sorted(p.name for p in path.parent.iterdir()) == before


def test_nothing_there(tmp_path: Path) -> None:
    """A missing file, also in a missing folder, is a missing ledger."""
    both_raise(tmp_path / "ledger.db", LedgerMissing)
    with pytest.raises(LedgerMissing):
        SqliteLog(str(tmp_path / "no" / "ledger.db")).head()


def test_something_else_there(tmp_path: Path) -> None:
    """A folder, an empty file, a text and another program's database are no ledgers."""
    (tmp_path / "folder").mkdir()
    both_raise(tmp_path / "folder", NotALedger, found="a folder")
    (tmp_path / "empty").touch()
    both_raise(tmp_path / "empty", NotALedger, found="an empty file")
    (tmp_path / "text").write_text("a shopping list\n" * 1000)
    both_raise(tmp_path / "text", NotALedger)
    with closing(sqlite3.connect(tmp_path / "other.db")) as shell:
        shell.execute("CREATE TABLE events (seq)")
    before = (tmp_path / "other.db").read_bytes()
    both_raise(tmp_path / "other.db", NotALedger, found="another program's database")
    assert (tmp_path / "other.db").read_bytes() == before


@pytest.mark.parametrize(
    ("version", "expected"), [(2, NewerFormat), (99, NewerFormat), (0, NotALedger)]
)
def test_a_format_we_do_not_know(
    ledger_path: Path, version: int, expected: type[GpuledgerError]
) -> None:
    """A newer format is named with what is known; a format that never was is no ledger."""
    a_log(ledger_path).close()
    with closing(sqlite3.connect(ledger_path)) as shell:
        shell.execute(f"PRAGMA user_version={version}")
    both_raise(ledger_path, expected)


def test_pages_that_are_torn(ledger_path: Path) -> None:
    """A file whose pages are overwritten is damaged, and says what SQLite said."""
    a_log(ledger_path, 500).close()
    size = ledger_path.stat().st_size
    with ledger_path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))
    log = SqliteLog(str(ledger_path))
    for act in (log.head, lambda: list(log.read(0)), lambda: tell(log)):
        with pytest.raises(Damaged) as caught:
            act()
        assert caught.value.why


def test_a_table_that_is_gone(ledger_path: Path) -> None:
    """A ledger without its table of events is damaged."""
    a_log(ledger_path).close()
    with closing(sqlite3.connect(ledger_path)) as shell:
        shell.execute("DROP VIEW events_readable")
        shell.execute("DROP TABLE events")
    both_raise(ledger_path, Damaged)


def test_text_that_is_not_utf8(ledger_path: Path) -> None:
    """A flipped byte in a text column breaks the chain at that seq, not the program."""
    log = a_log(ledger_path, 20)
    log.close()
    with closing(sqlite3.connect(ledger_path)) as shell:
        shell.execute("DROP TRIGGER events_update")
        shell.execute("UPDATE events SET kind = CAST(x'ff41' AS TEXT) WHERE seq = 11")
        shell.commit()
    with pytest.raises(BrokenChain) as caught:
        list(log.read(3))
    assert caught.value.seq == 11
    assert caught.value.path == str(ledger_path)
    assert [event.seq for event in log.read(11)] == list(range(12, 22))
    log.close()


def test_no_room_in_a_turn(ledger_path: Path) -> None:
    """A database that may not grow is a full disk; the turn is undone, the next ones go on."""
    log = a_log(ledger_path)
    with log.turn() as turn:
        pages = turn.connection.execute("PRAGMA page_count").fetchone()[0]
        turn.connection.execute(f"PRAGMA max_page_count={pages}")
    with pytest.raises(StorageFailed) as caught, log.turn() as turn:  # noqa: PT012 (the point)
        for number in range(100):
            turn.append(draft(number), turn.head)
    assert caught.value.full
    assert log.head().seq == 1
    assert tell(log).seq == 2
    log.close()


def test_somebody_elses_transaction(ledger_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A SQL shell that holds SQLite's own write lock is waited for, then it is a time-out."""
    monkeypatch.setattr("gpuledger.ledger.connection.BUSY_S", 0.01)
    log = a_log(ledger_path)
    with closing(sqlite3.connect(ledger_path, isolation_level=None)) as shell:
        shell.execute("BEGIN IMMEDIATE")
        with pytest.raises(LockTimeout):
            tell(log)
        assert log.head().seq == 1
        shell.execute("ROLLBACK")
    assert tell(log).seq == 2
    log.close()


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (sqlite3.SQLITE_NOTADB, NotALedger),
        (sqlite3.SQLITE_CORRUPT, Damaged),
        (sqlite3.SQLITE_FULL, StorageFailed),
        (sqlite3.SQLITE_IOERR_FSYNC, StorageFailed),
        (sqlite3.SQLITE_BUSY_RECOVERY, LockTimeout),
        (sqlite3.SQLITE_LOCKED, LockTimeout),
        (sqlite3.SQLITE_READONLY_DBMOVED, NotPermitted),
        (sqlite3.SQLITE_CANTOPEN, NotPermitted),
        (sqlite3.SQLITE_PERM, NotPermitted),
        (sqlite3.SQLITE_ERROR, Damaged),
    ],
)
def test_every_code_means_something(
    tmp_path: Path, code: int, expected: type[GpuledgerError]
) -> None:
    """Each result code of SQLite has its error, extended codes included."""
    error = sqlite3.OperationalError("words")
    error.sqlite_errorcode = code
    (tmp_path / "ledger.db").touch()
    found = translate(error, str(tmp_path / "ledger.db"), "write")
    assert type(found) is expected


def test_a_file_that_went_in_between(tmp_path: Path) -> None:
    """Where SQLite cannot open a file that is gone, it is missing, not forbidden."""
    error = sqlite3.OperationalError("unable to open database file")
    error.sqlite_errorcode = sqlite3.SQLITE_CANTOPEN
    assert type(translate(error, str(tmp_path / "none"), "read")) is LedgerMissing


@pytest.mark.needs("strace", "linux")
@pytest.mark.parametrize(
    ("inject", "full"),
    [
        ("fdatasync:error=EIO:when=1", False),
        ("fdatasync:error=EIO:when=2", False),
        ("fdatasync:error=EIO:when=2+", False),
        ("pwrite64:error=EIO:when=2", False),
        ("pwrite64:error=ENOSPC:when=2", True),
        ("pwrite64:error=ENOSPC:when=3+", True),
        ("pwrite64:error=ENOSPC:when=6", True),
    ],
)
def test_a_disk_that_fails(ledger_path: Path, inject: str, full: bool) -> None:
    """A failed write or sync of the -wal fails the turn; what was acknowledged stays, in order."""
    a_log(ledger_path, 3).close()
    told = subprocess.run(
        ["strace", "-f", "-o", os.devnull, "-P", f"{ledger_path}-wal", "-e", f"inject={inject}",
         sys.executable, str(FAILING), str(ledger_path), "6"],
        capture_output=True, text=True, check=True, timeout=60,
    ).stdout.split("\n")[:-1]  # fmt: skip
    assert len(told) == 6
    failed = [line for line in told if not line.isdecimal()]
    assert failed
    assert set(failed) == {f"storage_failed {full}"}
    acknowledged = [int(line) for line in told if line.isdecimal()]
    assert acknowledged == sorted(acknowledged)
    log = SqliteLog(str(ledger_path))
    events = list(log.read(0))
    assert first_break(events) is None
    assert set(acknowledged) <= {event.seq for event in events}
    assert len(events) - 4 <= len(told)
    tell(log)
    log.close()


@pytest.mark.needs("strace", "linux")
def test_a_note_that_cannot_be_written(ledger_path: Path) -> None:
    """The event is on disk before the note: a note that fails is no failure, and lags."""
    a_log(ledger_path, 3).close()
    told = subprocess.run(
        ["strace", "-f", "-o", os.devnull, "-P", f"{ledger_path}.lock", "-e",
         "inject=pwrite64:error=ENOSPC:when=1+",
         sys.executable, str(FAILING), str(ledger_path), "2"],
        capture_output=True, text=True, check=True, timeout=60,
    ).stdout.split()  # fmt: skip
    assert told == ["5", "6"]
    log = SqliteLog(str(ledger_path))
    assert tell(log).seq == 7
    log.close()
