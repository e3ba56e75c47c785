"""The lock: one turn at a time, in order, with a name for who holds it and an end to waiting."""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
import sys
import threading
from pathlib import Path

import filelock
import pytest

from gpuledger.ledger import note, waiter
from gpuledger.ledger.errors import LockTimeout, NotPermitted, StorageFailed
from gpuledger.ledger.lock import LedgerLock
from gpuledger.ledger.mutex import FairMutex
from gpuledger.ledger.sqlite_log import SqliteLog
from plain_log import a_log, child, go_on, said, tell


def lock_on(path: Path) -> LedgerLock:
    """A lock of its own on the ledger at `path`."""
    return LedgerLock(f"{path}.lock", str(path))


@pytest.fixture
def ledger(ledger_path: Path) -> Path:
    """A ledger that nobody has open."""
    a_log(ledger_path).close()
    return ledger_path


@pytest.fixture(params=["flock", "polled"])
def waits(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to wait: in the kernel's queue, and by polling as on Windows."""
    if request.param == "polled":
        monkeypatch.setattr("gpuledger.ledger.lock.blocking", lambda: None)
    return str(request.param)


def test_who_holds_it_is_named(ledger: Path, waits: str) -> None:
    """A time-out says how long was waited and who holds the ledger since when."""
    log = SqliteLog(str(ledger))
    with child("hold", ledger) as holder:
        assert said(holder) == "held"
        for timeout_s in (0.0, 0.05):
            with pytest.raises(LockTimeout) as caught:
                log.turn(timeout_s).__enter__()
            error = caught.value
            assert (error.pid, error.waited_s) == (holder.pid, timeout_s)
            assert error.host == os.uname().nodename
            assert error.user
            assert error.since_us
        assert log.head().seq == 1
        go_on(holder)
        assert tell(log).seq == 3
    assert note.read_holder(f"{ledger}.lock") is None
    log.close()


def test_a_killed_holder_holds_nothing(ledger: Path) -> None:
    """The kernel frees the lock of a killed process; its name stays only until the next turn."""
    with child("hold", ledger) as holder:
        assert said(holder) == "held"
    found = note.read_holder(f"{ledger}.lock")
    assert found is not None
    assert found.pid == holder.pid
    log = SqliteLog(str(ledger))
    with log.turn(0.0) as turn:
        now = note.read_holder(f"{ledger}.lock")
        assert now is not None
        assert now.pid == os.getpid()
        assert turn.head.seq == 1
    assert note.read_holder(f"{ledger}.lock") is None
    log.close()


def test_a_waiter_gets_it(ledger: Path, waits: str) -> None:
    """Who waits for a process that lets go in time gets the lock."""
    log = SqliteLog(str(ledger))
    with child("hold", ledger) as holder:
        assert said(holder) == "held"
        timer = threading.Timer(0.05, go_on, [holder])
        timer.start()
        assert tell(log).seq == 3
        timer.join()
    log.close()


def test_a_filelock_on_the_same_path_contends(ledger: Path) -> None:
    """The lock is filelock's own: a FileLock on the lock file keeps turns away, and the reverse."""
    other = filelock.FileLock(f"{ledger}.lock", fallback_to_soft=False, preserve_lock_file=True)
    log = SqliteLog(str(ledger))
    with other, pytest.raises(LockTimeout):
        log.turn(0.0).__enter__()
    with log.turn(), pytest.raises(filelock.Timeout):
        other.acquire(timeout=0)
    log.close()


def test_a_late_winner_frees_nothing_of_ours(ledger: Path) -> None:
    """A waiter whose time was up, and that wins later, does not free the lock we took meanwhile."""
    log, other = lock_on(ledger), lock_on(ledger)
    for _ in range(30):
        other.acquire(1.0)
        with pytest.raises(LockTimeout):
            log.acquire(0.001)
        other.release()
        log.acquire(10.0)
        abandoned = [t for t in threading.enumerate() if t.name == "gpuledger-lock"]
        third = lock_on(ledger)
        with pytest.raises(LockTimeout):
            third.acquire(0.0)
        log.release()
        for thread in abandoned:
            thread.join(10.0)
            assert not thread.is_alive()
    for each in (log, other):
        each.acquire(0.0)
        each.release()
        each.close()


def test_no_descriptor_is_left(ledger: Path) -> None:
    """Time-outs and turns in any number leave as many descriptors open as there were."""
    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("descriptors are counted in /proc")
    other = lock_on(ledger)
    before = len(os.listdir("/proc/self/fd"))
    log = SqliteLog(str(ledger))
    other.acquire(1.0)
    for _ in range(20):
        with contextlib.suppress(LockTimeout):
            log.turn(0.002).__enter__()
    other.release()
    other.close()
    tell(log)
    log.close()
    for thread in threading.enumerate():
        if thread.name == "gpuledger-lock":
            thread.join(10.0)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_replaced_lock_file_is_noticed(ledger: Path) -> None:
    """Who holds or waits for a lock file that is no longer in its place asks for the new one."""
    lock, path = lock_on(ledger), Path(f"{ledger}.lock")
    for _ in range(20):
        lock.acquire(1.0)
        lock.release()
        path.rename(f"{path}.old")
        other = lock_on(ledger)
        other.acquire(1.0)
        with pytest.raises(LockTimeout):
            lock.acquire(0.0)
        other.release()
        other.close()
    lock.acquire(1.0)
    assert os.path.samestat(os.fstat(lock.fd or -1), path.stat())
    lock.release()
    lock.close()


def test_a_waiter_notices_too(ledger: Path) -> None:
    """A lock file replaced while somebody waits for it: the waiter ends with the one in place."""
    holder, waiting = lock_on(ledger), lock_on(ledger)
    holder.acquire(1.0)
    got = threading.Event()

    def wait() -> None:
        waiting.acquire(10.0)
        got.set()
        waiting.release()

    thread = threading.Thread(target=wait)
    thread.start()
    path = Path(f"{ledger}.lock")
    path.rename(f"{path}.old")
    holder.release()
    thread.join(10.0)
    assert got.is_set()
    assert os.path.samestat(os.fstat(waiting.fd or -1), path.stat())
    holder.close()
    waiting.close()


def test_a_lock_file_made_anew_follows_the_ledger(ledger: Path) -> None:
    """A missing lock file is made again with the ledger's group, never readable for the world."""
    for mode, expected in ((0o600, 0o600), (0o660, 0o660), (0o664, 0o660), (0o644, 0o600)):
        path = Path(f"{ledger}.lock")
        path.unlink(missing_ok=True)
        ledger.chmod(mode)
        before = os.umask(0o077)
        try:
            lock = lock_on(ledger)
            lock.acquire(1.0)
            lock.release()
            lock.close()
        finally:
            os.umask(before)
        assert path.stat().st_mode & 0o777 == expected


def test_a_lock_file_that_is_a_link_is_refused(ledger: Path, tmp_path: Path) -> None:
    """Nobody can have a writer scribble into another file by a link in the lock's place."""
    path = Path(f"{ledger}.lock")
    path.unlink()
    (tmp_path / "victim").write_text("mine")
    path.symlink_to(tmp_path / "victim")
    with pytest.raises((StorageFailed, NotPermitted)):
        lock_on(ledger).acquire(1.0)
    assert (tmp_path / "victim").read_text() == "mine"


def test_threads_are_served_in_order(ledger: Path) -> None:
    """A thread that lets go and asks again does not win over those that wait."""
    mutex, order = FairMutex(), list[int]()
    assert mutex.acquire(0.0)
    assert mutex.mine

    def work(number: int) -> None:
        assert mutex.acquire(10.0)
        order.append(number)
        mutex.release()

    threads = []
    for number in range(8):
        threads.append(threading.Thread(target=work, args=[number]))
        threads[-1].start()
        while len(mutex._waiting) <= number:
            pass
    mutex.release()
    assert mutex.acquire(10.0)
    order.append(8)
    mutex.release()
    for thread in threads:
        thread.join()
    assert order == list(range(9))


def test_a_thread_that_gave_up_stands_in_nobodys_way(ledger: Path) -> None:
    """A thread whose waiting timed out is passed over, and releases nothing that is not its own."""
    mutex = FairMutex()
    assert mutex.acquire(0.0)
    answers = []

    def work() -> None:
        answers.append(mutex.acquire(0.01))
        mutex.release()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert answers == [False]
    assert mutex.mine
    mutex.release()
    assert not mutex.mine
    assert mutex.acquire(0.0)


def test_a_kernel_that_says_no_is_an_error(ledger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the blocking call fails, that is what is said, not that time was up."""

    def fail(_fd: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("gpuledger.ledger.lock.blocking", lambda: fail)
    holder, lock = lock_on(ledger), lock_on(ledger)
    holder.acquire(1.0)
    with pytest.raises(StorageFailed, match="No locks"):
        lock.acquire(5.0)
    holder.release()
    lock.acquire(1.0)
    lock.release()
    assert waiter.native()


@pytest.mark.parametrize("processes", [4])
def test_processes_share_it_fairly(ledger: Path, full: bool, processes: int) -> None:
    """Many processes that ask over and over make one chain, and each gets its share."""
    each = 500 if full else 60
    with contextlib.ExitStack() as stack:
        writers = [stack.enter_context(child("append", ledger, each)) for _ in range(4 * processes)]
        told = [[int(said(writer)) for _ in range(each)] for writer in writers]
    assert sorted(itertools.chain(*told)) == list(range(2, 2 + each * len(writers)))
    log = SqliteLog(str(ledger))
    assert log.head().seq == 1 + each * len(writers)
    log.close()


def test_readers_do_not_load_the_lock(ledger: Path) -> None:
    """A program that only reads imports neither filelock nor sqlite-utils."""
    program = (
        "import sys; from gpuledger.ledger.sqlite_log import SqliteLog;"
        f"log = SqliteLog({str(ledger)!r}); assert log.head().seq == 1; list(log.read(0));"
        "log.close(); assert not {'filelock', 'sqlite_utils', 'tempfile'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
