"""Reading works whatever one may do with the file and its folder, and writes no ledger data."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from gpuledger.ledger import row
from gpuledger.ledger.errors import GpuledgerError, NotPermitted, StorageFailed
from gpuledger.ledger.reader import Reader, stamp
from gpuledger.ledger.sqlite_log import SqliteLog
from nobody import (
    HEAD,
    TWICE,
    WHILE_WRITTEN,
    beside,
    by_nobody,
    head_for_nobody,
    readable,
)
from people import Program, a_program, interpreter
from plain_log import a_log, child, draft, go_on, said, tell


@pytest.fixture(scope="module")
def program(root: Path, needs: Callable[..., None]) -> Iterator[Program]:
    needs("root", "linux")
    python = interpreter()
    if python is None:
        needs("an interpreter of this version that everybody can execute")
        return
    with a_program(root, python) as made:
        yield made


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose parents everybody may enter; its own mode is the test's matter."""
    path = Path(tempfile.mkdtemp(prefix="gpuledger-test-", dir="/var/tmp")).resolve()
    path.chmod(0o755)
    yield path
    path.chmod(0o700)
    shutil.rmtree(path)


def test_a_file_alone_in_a_folder_of_others(program: Program, folder: Path) -> None:
    """Once its last writer closed it, who may not write beside it reads it, and makes nothing."""
    path = folder / "ledger.db"
    a_log(path, 9).close()
    readable(path)
    before = beside(path)
    assert head_for_nobody(program, path) == "10"
    assert beside(path) == before


def test_while_a_writer_has_it_open(program: Program, folder: Path) -> None:
    """With a writer's -wal and -shm beside it, the newest events are read live."""
    path = folder / "ledger.db"
    log = a_log(path, 9)
    readable(path)
    assert head_for_nobody(program, path) == "10"
    tell(log)
    assert head_for_nobody(program, path) == "11"
    log.close()
    assert head_for_nobody(program, path) == "11"


def test_a_copy_with_its_wal_and_no_shm(program: Program, folder: Path) -> None:
    """A -wal that one may not index in place is read in a private copy, which goes afterwards."""
    source = folder / "source"
    log = a_log(source / "ledger.db", 9)
    copy = folder / "copy"
    copy.mkdir()
    for name in ("ledger.db", "ledger.db-wal"):
        shutil.copyfile(source / name, copy / name)
    log.close()
    readable(copy / "ledger.db")
    before, temporary = beside(copy / "ledger.db"), set(os.listdir(tempfile.gettempdir()))
    assert head_for_nobody(program, copy / "ledger.db") == "10"
    assert beside(copy / "ledger.db") == before
    left = set(os.listdir(tempfile.gettempdir())) - temporary
    assert not [name for name in left if name.startswith("gpuledger-")]


def test_a_copy_without_its_wal(program: Program, folder: Path) -> None:
    """A copy of the file alone is what was written back by then: older, whole, no error."""
    log = a_log(folder / "source" / "ledger.db", 9)
    log.close()
    tell(log)
    shutil.copyfile(folder / "source" / "ledger.db", folder / "ledger.db")
    log.close()
    readable(folder / "ledger.db")
    assert head_for_nobody(program, folder / "ledger.db") == "10"


def test_what_a_killed_writer_left(program: Program, folder: Path) -> None:
    """A -wal and -shm that nobody has open any more are read without being changed."""
    path = folder / "ledger.db"
    a_log(path, 3).close()
    with child("append", path, 5) as writer:
        assert [said(writer) for _ in range(5)][-1] == "9"
        writer.kill()
        writer.wait()
    with child("append", path, 10_000) as writer:
        for _ in range(20):
            said(writer)
        writer.kill()
        writer.wait()
    readable(path)
    before = path.with_name("ledger.db-wal").read_bytes()
    assert int(head_for_nobody(program, path)) >= 29
    assert path.with_name("ledger.db-wal").read_bytes() == before


def test_what_one_may_not_read(program: Program, folder: Path) -> None:
    """A file, a folder and a -wal of others' own are not permitted, which is what is said."""
    path = folder / "mine" / "ledger.db"
    log = a_log(path, 3)
    log.close()
    assert head_for_nobody(program, path) == "not_permitted"
    path.parent.chmod(0o755)
    assert head_for_nobody(program, path) == "not_permitted"
    path.chmod(0o644)
    assert head_for_nobody(program, path) == "4"
    tell(log)
    path.with_name("ledger.db-shm").unlink()
    path.with_name("ledger.db-wal").chmod(0o600)
    assert head_for_nobody(program, path) == "not_permitted"


def test_beside_writers_that_come_and_go(program: Program, folder: Path) -> None:
    """While writers open, write and close without a pause, another user's reading never fails."""
    path = folder / "ledger.db"
    a_log(path).close()
    readable(path)
    with by_nobody(program, WHILE_WRITTEN, path, 400) as process:
        for number in range(400):
            with SqliteLog(str(path)).turn(last=number % 3 > 0) as turn:
                turn.append(draft(number, at=turn.head.at + 1000), turn.head)
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    last, times = map(int, said.split())
    assert last >= 400
    assert times > 10


def test_a_header_caught_half_written(program: Program, folder: Path) -> None:
    """The index's header, torn between two readings, makes the second one find another way."""
    path = folder / "ledger.db"
    log = a_log(path, 3)
    tell(log)
    readable(path)
    with by_nobody(program, TWICE, path) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "5\n"
        with path.with_name("ledger.db-shm").open("r+b") as index:
            index.seek(8)
            index.write(b"torn")
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "5\n"
        process.communicate("\n", timeout=60)
    assert process.returncode == 0
    log.close()


def test_writing_is_not_permitted(program: Program, folder: Path) -> None:
    """Who may only read is told so when writing, and leaves no trace."""
    path = folder / "ledger.db"
    a_log(path, 3).close()
    readable(path)
    before = beside(path)
    writing = HEAD.replace("head = log.head()", "log.turn(1.0).__enter__()")
    with by_nobody(program, writing, path) as process:
        assert process.communicate(timeout=60)[0] == "not_permitted"
    assert beside(path) == before


def test_read_only_for_its_owner(ledger_path: Path) -> None:
    """A file and folder set read-only, as on other media, are read; root is bound by nothing."""
    log = a_log(ledger_path, 5)
    log.close()
    ledger_path.chmod(0o400)
    ledger_path.parent.chmod(0o500)
    try:
        assert log.head().seq == 6
        log.close()
    finally:
        ledger_path.parent.chmod(0o700)


def still(path: Path, monkeypatch: pytest.MonkeyPatch) -> Reader:
    """A reader for which `mode=ro` fails as it does where one may not write the folder."""
    reader = Reader(str(path))
    connected = reader._connected

    def refused(where: str, how: str) -> sqlite3.Connection:
        if how == "mode=ro":
            error = sqlite3.OperationalError("attempt to write a readonly database")
            error.sqlite_errorcode = sqlite3.SQLITE_READONLY
            raise error
        return connected(where, how)

    monkeypatch.setattr(reader, "_connected", refused)
    return reader


def test_a_file_that_moves_is_read_again(
    ledger_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the file changes during a reading that relies on its lying still, it is read anew."""
    log = a_log(ledger_path, 3)
    log.close()
    reader = still(ledger_path, monkeypatch)
    seen = []

    def read(connection: sqlite3.Connection) -> int:
        seen.append(row.head_in(connection).seq)
        if len(seen) < 3:
            tell(log)
            log.close()
        return seen[-1]

    assert reader.read(read) == 6
    assert seen == [4, 5, 6]
    assert reader.read(read) == 6
    with closing(sqlite3.connect(ledger_path)) as shell:
        shell.execute("PRAGMA wal_checkpoint")
        tell(log)
        assert reader.read(read) == 7
        log.close()
    reader.close()


def test_nonsense_of_a_file_that_moved_is_not_told(
    ledger_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error while the file changed is no answer; the same error of a still file is."""
    log = a_log(ledger_path, 3)
    log.close()
    reader = still(ledger_path, monkeypatch)
    times = []

    def read(connection: sqlite3.Connection) -> int:
        times.append(1)
        if len(times) == 1:
            tell(log)
            log.close()
            raise GpuledgerError(torn=True)
        return row.head_in(connection).seq

    assert reader.read(read) == 5

    def fail(_connection: sqlite3.Connection) -> None:
        raise GpuledgerError(whole=True)

    with pytest.raises(GpuledgerError, match="whole"):
        reader.read(fail)
    assert reader.read(read) == 5
    reader.close()


def test_a_file_that_never_lies_still(ledger_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the time that SQLite itself would wait, reading what never lies still gives up."""
    log = a_log(ledger_path, 3)
    log.close()
    monkeypatch.setattr("gpuledger.ledger.reader.BUSY_S", 0.0)
    reader = still(ledger_path, monkeypatch)
    with pytest.raises(StorageFailed, match="still"):
        reader.read(lambda _: (tell(log), log.close()))
    reader.close()


def test_what_is_compared(ledger_path: Path) -> None:
    """A -wal that comes, or grows, changes the stamp; an empty one is none."""
    log = a_log(ledger_path)
    log.close()
    alone = stamp(str(ledger_path))
    wal = ledger_path.with_name("ledger.db-wal")
    wal.touch()
    assert stamp(str(ledger_path)) == alone
    wal.write_bytes(b"x")
    one = stamp(str(ledger_path))
    wal.write_bytes(b"xy")
    assert len({alone, one, stamp(str(ledger_path))}) == 3
    wal.unlink()


def test_threads_share_a_reader(ledger_path: Path) -> None:
    """One reader serves many threads, and each gets its own answer."""
    log = a_log(ledger_path, 50)
    wrong = []

    def work(seq: int) -> None:
        for _ in range(50):
            (event,) = log.reading(lambda db: row.read_events(db, seq - 1, seq, 5))
            if event.seq != seq:
                wrong.append(event)

    threads = [threading.Thread(target=work, args=[seq]) for seq in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    log.close()


def test_a_reading_sees_one_instant(ledger_path: Path) -> None:
    """What one reading asks is answered from one state, whatever is written meanwhile."""
    log = a_log(ledger_path, 5)

    def twice(connection: sqlite3.Connection) -> tuple[int, int]:
        first = row.head_in(connection).seq
        tell(log)
        return first, row.head_in(connection).seq

    assert log.reading(twice) == (6, 6)
    assert log.head().seq == 7
    log.close()


def test_reading_holds_no_writer_up(ledger_path: Path) -> None:
    """A writer in its turn and readers do not wait for each other."""
    log = a_log(ledger_path, 5)
    with child("hold", ledger_path) as holder:
        assert said(holder) == "held"
        assert log.head().seq == 6
        assert len(list(log.read(0))) == 6
        go_on(holder)
        assert holder.wait(30) == 0
    assert log.head().seq == 7
    log.close()


def test_a_scan_does_not_keep_a_transaction_open(ledger_path: Path) -> None:
    """Between the runs of a long scan, and while its events are used, nothing is held open."""
    log = a_log(ledger_path, 3 * row.RUN)
    events = log.read(0)
    next(events)
    connection = log.reader._connection
    assert connection is not None
    assert not connection.in_transaction
    last = log.head().seq
    tell(log)
    assert sum(1 for _ in events) == last - 1
    log.close()


def test_not_permitted_tells_the_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the group that shares the file, so that one knows whom to ask."""
    import grp

    path = tmp_path / "ledger.db"
    a_log(path).close()
    monkeypatch.setattr(os, "access", lambda *_: False)
    for mode, group in ((0o600, None), (0o660, grp.getgrgid(path.stat().st_gid).gr_name)):
        path.chmod(mode)
        with pytest.raises(NotPermitted) as caught:
            SqliteLog(str(path)).head()
        assert caught.value.group == group
