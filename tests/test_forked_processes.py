"""A fork: what is the parent's stays the parent's, and the child goes on with its own."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import threading
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from gpuledger.ledger import row
from gpuledger.ledger.errors import LockTimeout
from gpuledger.ledger.private_copy import PrivateCopy
from gpuledger.ledger.sqlite_log import SqliteLog
from plain_log import a_log, draft, first_break, tell

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning"),
]


def in_child(work: Callable[[], object]) -> int:
    """Run `work` in a forked child; return its pid. It exits 0 where nothing was raised."""
    pid = os.fork()
    if pid:
        return pid
    code = 0
    try:
        work()
    except BaseException:  # noqa: BLE001 (the child's outcome)
        traceback.print_exc()
        code = 1
    os._exit(code)


def ended_well(pid: int) -> bool:
    """Wait for a child; say whether nothing was raised in it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def locks_of(path: Path) -> set[int]:
    """The processes that the kernel knows to hold locks on a ledger's file or -shm."""
    files = [path, path.with_name(path.name + "-shm")]
    inodes = {file.stat().st_ino for file in files if file.exists()}
    found = set()
    for line in Path("/proc/locks").read_text().splitlines():
        words = line.replace("->", "").split()
        if words[1] == "POSIX" and int(words[5].rpartition(":")[2]) in inodes:
            found.add(int(words[4]))
    return found


def test_parent_and_children_append_in_turn(ledger_path: Path) -> None:
    """A log used before the fork is used on both sides after it, without holes or doubles."""
    log = a_log(ledger_path, 3)
    log.head()
    children = [in_child(lambda: [tell(log, n) for n in range(20)]) for _ in range(6)]
    for number in range(20):
        tell(log, number)
    codes = [ended_well(pid) for pid in children]
    assert all(codes)
    assert log.head().seq == 4 + 7 * 20
    assert first_break(log.read(0)) is None
    log.close()


@pytest.mark.needs("linux")
def test_a_child_holds_locks_of_its_own(ledger_path: Path) -> None:
    """The kernel inherits no record locks: a child that writes or reads holds its own anew."""
    log = a_log(ledger_path, 3)
    log.head()

    def work() -> None:
        log.head()
        assert os.getpid() in locks_of(ledger_path)
        with log.turn() as turn:
            assert {os.getpid(), os.getppid()} <= locks_of(ledger_path)
            turn.append(draft(1, at=1000), turn.head)

    assert ended_well(in_child(work))
    assert os.getpid() in locks_of(ledger_path)
    log.close()


def test_a_child_does_not_own_its_parents_turn(ledger_path: Path) -> None:
    """Forked inside a turn the child can neither append, commit nor take the lock; nor undo it."""
    log = a_log(ledger_path)

    def work() -> None:
        with pytest.raises(RuntimeError):
            turn.append(draft(9), turn.head)
        with pytest.raises(RuntimeError):
            turn.__exit__(None, None, None)
        turn.__exit__(ValueError, ValueError(), None)
        with pytest.raises(RuntimeError):
            tell(log)
        other = SqliteLog(str(ledger_path))
        with pytest.raises(LockTimeout):
            other.turn(0.0).__enter__()
        other.reader.close()

    with log.turn() as turn:
        turn.append(draft(1), turn.head)
        assert ended_well(in_child(work))
        with pytest.raises(LockTimeout):
            SqliteLog(str(ledger_path)).turn(0.0).__enter__()
        turn.append(draft(2), turn.head)
    assert log.head().seq == 3
    assert tell(log).seq == 4
    log.close()


def test_a_child_that_outlives_its_parent_frees_the_lock(ledger_path: Path) -> None:
    """A parent killed in its turn leaves no lock behind in the children that it made there."""
    a_log(ledger_path).close()
    ready, go = os.pipe(), os.pipe()

    def parent() -> None:
        log = SqliteLog(str(ledger_path))
        with log.turn() as turn:
            turn.append(draft(1), turn.head)
            if os.fork() == 0:
                os.close(go[1])
                os.write(ready[1], b"x")
                os.read(go[0], 1)
                os._exit(0)
            signal.pause()

    pid = in_child(parent)
    os.read(ready[0], 1)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    log = SqliteLog(str(ledger_path))
    with log.turn(0.0) as turn:
        assert turn.head.seq == 1
    log.close()
    for end in (*ready, *go):
        os.close(end)


def test_a_child_that_ends_leaves_the_files_alone(ledger_path: Path) -> None:
    """A child that ends by itself, unused log and all, takes away nothing that its parent needs."""
    log = a_log(ledger_path, 3)
    log.head()
    wal = ledger_path.with_name("ledger.db-wal")
    before = wal.stat()
    with contextlib.suppress(SystemExit):
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        assert ended_well(pid)
    assert ended_well(in_child(log.close))
    assert os.path.samestat(before, wal.stat())
    assert before.st_size == wal.stat().st_size
    assert tell(log).seq == 5
    log.close()


def test_a_fork_waits_for_the_turn_of_another_thread(ledger_path: Path) -> None:
    """While threads write, forks come only between turns, so that every child can go on."""
    log = a_log(ledger_path)
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            tell(log)
            log.head()

    threads = [threading.Thread(target=write) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(15):
            assert ended_well(in_child(lambda: (tell(log), log.head(), tell(log))))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert first_break(log.read(0)) is None
    log.close()


def test_a_child_reads_a_private_copy_of_its_own(ledger_path: Path) -> None:
    """A parent's private copy for reading is not the child's to remove."""
    log = a_log(ledger_path, 2)
    tell(log)
    reader = log.reader
    copy = PrivateCopy(str(ledger_path))
    reader._copy = copy

    def work() -> None:
        assert reader._copy is None
        assert not copy.remove.alive
        assert reader.read(row.head_in).seq == 4

    assert ended_well(in_child(work))
    assert Path(copy.path).exists()
    reader.close()
    assert not Path(copy.path).exists()
    assert reader.read(row.head_in).seq == 4
    log.close()


def test_sqlite_itself_shows_why(ledger_path: Path) -> None:
    """SQLite alone, its connection kept across a fork, gives a child that holds no lock at all."""
    if not Path("/proc/locks").exists():
        pytest.skip("locks are seen in /proc/locks")
    a_log(ledger_path, 2).close()
    inherited = sqlite3.connect(ledger_path, isolation_level=None)
    inherited.execute("SELECT * FROM events").fetchall()

    def work() -> None:
        own = sqlite3.connect(ledger_path, isolation_level=None)
        own.execute("SELECT * FROM events").fetchall()
        assert os.getpid() not in locks_of(ledger_path)

    assert ended_well(in_child(work))
    inherited.close()
