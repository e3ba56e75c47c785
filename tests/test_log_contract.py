"""The embedded log keeps the contract of every log, and what only it promises."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest

from gpuledger.ledger.errors import LedgerMissing
from gpuledger.ledger.log import Log
from gpuledger.ledger.sqlite_log import SqliteLog
from log_contract import LogContract
from plain_log import a_log, draft, tell


class TestSqliteLog(LogContract):
    """The log in one SQLite file."""

    def make(self, folder: Path) -> Log:
        """Make it with its first event."""
        return a_log(folder / "ledger.db")

    def open(self, folder: Path) -> Log:
        """Open it once more."""
        return SqliteLog(str(folder / "ledger.db"))


def test_durable_and_distrusting(ledger_path: Path) -> None:
    """Inside a turn the journal is a synced write-ahead log, and the file is not trusted."""
    log = a_log(ledger_path)
    with log.turn() as turn:
        for pragma, answer in {
            "journal_mode": "wal",
            "synchronous": 2,
            "trusted_schema": 0,
            "cell_size_check": 1,
            "mmap_size": 0,
            "busy_timeout": 5000,
        }.items():
            assert turn.connection.execute(f"PRAGMA {pragma}").fetchall() == [(answer,)]
    log.close()


def test_turns_do_not_nest(ledger_path: Path) -> None:
    """A turn inside a turn of the same thread is a mistake and says so; the outer one goes on."""
    log = a_log(ledger_path)
    with log.turn() as turn:
        with pytest.raises(RuntimeError, match="already"), log.turn():
            pass
        turn.append(draft(1), turn.head)
    assert log.head().seq == 2
    log.close()


def test_threads_share_a_log(ledger_path: Path) -> None:
    """Threads that write and read through one handle make one chain without holes."""
    log = a_log(ledger_path)

    def work() -> None:
        for _ in range(50):
            tell(log)
            assert sum(1 for _ in log.read(0)) >= 2

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [event.seq for event in log.read(0)] == list(range(1, 402))
    log.close()


def test_a_mistake_of_the_caller_is_not_a_fault_of_the_disk(ledger_path: Path) -> None:
    """A broken constraint in a turn comes out as it is, and the turn is undone."""
    log = a_log(ledger_path)
    tell(log, key="k")
    with pytest.raises(sqlite3.IntegrityError):
        tell(log, key="k")
    assert log.head().seq == 2
    log.close()


def test_a_ledger_put_in_its_place_is_the_one_that_is_written(
    ledger_path: Path, tmp_path: Path
) -> None:
    """A handle that stays open writes into the file that the path names, not into the old one."""
    log = a_log(ledger_path, 5)
    old = tmp_path / "old"
    old.mkdir()
    other = a_log(tmp_path / "other" / "ledger.db", 2)
    other.close()
    for number in range(3):
        told = tell(log, number)
        assert log.head().seq == told.seq
        aside = old / str(number)
        aside.mkdir()
        for path in ledger_path.parent.iterdir():
            path.rename(aside / path.name)
        with pytest.raises(LedgerMissing):
            tell(log)
        for path in (tmp_path / "other").iterdir():
            (ledger_path.parent / path.name).write_bytes(path.read_bytes())
        assert tell(log).seq == 4
        assert log.head().seq == 4
    log.close()


def test_nothing_is_made_where_no_ledger_is(tmp_path: Path) -> None:
    """Asking a missing ledger for a turn or its head makes no file, not even a lock."""
    log = SqliteLog(str(tmp_path / "ledger.db"))
    with pytest.raises(LedgerMissing):
        log.head()
    with pytest.raises(LedgerMissing), log.turn():
        pass
    assert list(tmp_path.iterdir()) == []


def test_one_ledger_by_two_names(ledger_path: Path, tmp_path: Path) -> None:
    """Through a link the same lock is taken: no two locks guard one file."""
    log = a_log(ledger_path)
    (tmp_path / "link.db").symlink_to(ledger_path)
    other = SqliteLog(str(tmp_path / "link.db"))
    assert tell(other).seq == 2
    assert tell(log).seq == 3
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ledger", "link.db"]
    log.close()
    other.close()


@pytest.mark.parametrize(
    "name", ["a b", "q?mode=memory", "x#y", "100%41", "né", "n\udcff", "file:x"]
)
def test_any_name_will_do(tmp_path: Path, name: str) -> None:
    """A ledger's path may hold whatever the system allows: it is never read as a URI's syntax."""
    path = tmp_path / name / f"{name}.db"
    log = a_log(path, 2)
    assert tell(log).seq == log.head().seq == 4
    log.close()
    assert sorted(p.name for p in path.parent.iterdir()) == [path.name, f"{path.name}.lock"]


def test_a_log_that_nobody_closes_is_closed(ledger_path: Path) -> None:
    """With its last reference a log writes back and takes its -wal away, under the lock."""
    log = a_log(ledger_path, 3)
    assert ledger_path.with_name("ledger.db-wal").exists()
    del log
    assert not ledger_path.with_name("ledger.db-wal").exists()
