"""The -wal stays small, whoever reads, and is nothing once nobody writes."""

from __future__ import annotations

import contextlib
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gpuledger.ledger import writer
from gpuledger.ledger.sqlite_log import SqliteLog
from plain_log import a_log, child, draft, go_on, said, tell

MIB = 2**20


def wal_of(path: Path) -> int:
    """The size of a ledger's -wal in bytes; 0 where there is none."""
    try:
        return path.with_name(path.name + "-wal").stat().st_size
    except FileNotFoundError:
        return 0


def fat(log: SqliteLog, rows: int = 100) -> None:
    """One turn that writes about as many times 4 KiB."""
    with log.turn() as turn:
        turn.connection.execute("CREATE TABLE IF NOT EXISTS fat (x BLOB)")
        turn.connection.executemany("INSERT INTO fat VALUES (zeroblob(4000))", [()] * rows)
        turn.append(draft(0, at=turn.head.at + 1000), turn.head)


def test_eight_readers_that_never_pause(
    ledger_path: Path, full: bool, record_property: pytest.RecordProperty
) -> None:
    """While eight processes read without a pause, the -wal stays under 16 MiB, and all get on."""
    log = a_log(ledger_path, 2000)
    sizes = [0]
    with contextlib.ExitStack() as stack:
        readers = [stack.enter_context(child("read", ledger_path)) for _ in range(8)]
        assert {said(reader) for reader in readers} == {"reading"}
        for _ in range(3000 if full else 400):
            fat(log, 20)
            sizes.append(wal_of(ledger_path))
        for reader in readers:
            assert reader.stdin is not None
            reader.stdin.close()
        assert all(int(said(reader)) > 0 for reader in readers)
    record_property("largest -wal in MiB", round(max(sizes) / MIB, 1))
    assert max(sizes) < 16 * MIB
    log.close()


def test_a_large_turn_leaves_no_large_wal(ledger_path: Path) -> None:
    """After a turn that wrote far more than the bound, an import, the -wal is cut to nothing."""
    log = a_log(ledger_path)
    tell(log)
    with log.turn() as turn:
        for number in range(100_000):
            turn.append(draft(number), turn.head)
    assert wal_of(ledger_path) == 0
    assert tell(log).seq == 100_003
    log.close()


def test_a_reader_that_stays_is_not_waited_for(
    ledger_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transaction that somebody leaves open costs a try now and then; gone, the -wal is cut."""
    log = a_log(ledger_path)
    tries = []
    monkeypatch.setattr(writer, "_CHECKPOINT_WAIT_S", 0.001)
    with closing(sqlite3.connect(ledger_path, isolation_level=None)) as shell:
        shell.execute("BEGIN")
        shell.execute("SELECT * FROM events").fetchall()
        for _ in range(80):
            fat(log)
            tries.append(log._writer._wal_limit)
        assert wal_of(ledger_path) > writer.WAL_LIMIT
    assert len(set(tries)) < 20
    for _ in range(80):
        fat(log)
    assert wal_of(ledger_path) < 16 * MIB
    log.close()


def test_nothing_is_left_beside_a_closed_ledger(ledger_path: Path) -> None:
    """Closing writes the -wal back and takes it away, and a last turn does so by itself."""
    log = a_log(ledger_path, 10)
    assert wal_of(ledger_path) > 0
    log.close()
    names = ["ledger.db", "ledger.db.lock"]
    assert sorted(p.name for p in ledger_path.parent.iterdir()) == names
    with log.turn(last=True) as turn:
        turn.append(draft(1), turn.head)
    assert sorted(p.name for p in ledger_path.parent.iterdir()) == names


def test_closing_without_the_lock_writes_nothing_back(
    ledger_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where another holds the lock, closing lets go of the file without a checkpoint."""
    log = a_log(ledger_path, 10)
    monkeypatch.setattr(writer, "_CLOSE_WAIT_S", 0.0)
    before = ledger_path.read_bytes()
    with child("hold", ledger_path) as holder:
        assert said(holder) == "held"
        log.close()
        assert ledger_path.read_bytes() == before
        assert wal_of(ledger_path) > 0
        go_on(holder)
        assert holder.wait(30) == 0
    assert tell(log).seq == 13
    log.close()
