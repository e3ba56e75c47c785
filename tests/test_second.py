"""A verification by two processes finds what one finds, whatever becomes of the other."""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest

import forging
from gpuledger import second
from gpuledger.handle import Ledger
from gpuledger.ledger.reader import Reader
from gpuledger.replay import checked_reading, verification
from gpuledger.replay.checked_ahead import Ahead, Second, Sound, ahead, nobody, unpacked
from gpuledger.replay.problem import Problem
from gpuledger.replay.verification import Verified
from lively_team import Lively


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, rng_seed: int) -> Path:
    """A closed ledger of some three hundred events: a run that is a full tile, and a tail."""
    path = tmp_path_factory.mktemp("told") / "ledger.db"
    team = Lively(path, rng_seed)
    while team.root.head().seq < 300:
        team.act()
    team.root.rebuild()
    for one in (team.root, team.ada, team.bob):
        one.close()
    return path


@pytest.fixture
def copy(told: Path, tmp_path: Path) -> Path:
    """A copy that may be harmed."""
    return Path(shutil.copyfile(told, tmp_path / "copy.db"))


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second process also for short ledgers and on small machines."""
    monkeypatch.setattr(second, "WORTH", 0)
    monkeypatch.setattr(second, "_processors", lambda: 2)


def verified(path: Path, by: Second | None) -> Verified:
    """What a verification finds with such help, or with that of a process."""
    with Ledger(str(path)) as book:
        return verification.verify(book.log, None, None, (), by or second.helped(book.log))


def taken(
    path: Path, by: Second | None, monkeypatch: pytest.MonkeyPatch
) -> tuple[Verified, list[int]]:
    """The same, and up to which seqs the other process was believed."""
    seqs: list[int] = []

    def counted(self: object, rows: object, seq: int, link: bytes) -> object:
        done = believe(self, rows, seq, link)  # type: ignore[arg-type]
        if done:
            seqs.append(seq)
        return done

    believe = verification.ChainCheck.take_run
    with monkeypatch.context() as patched:
        patched.setattr(verification.ChainCheck, "take_run", counted)
        return verified(path, by), seqs


def test_the_other_process_is_believed(
    told: Path, eager: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a sound ledger it checks all rows, and the outcome is the same as alone."""
    with Ledger(str(told)) as book:
        head = book.head().seq
        assert book.verify().ok
    outcome, seqs = taken(told, None, monkeypatch)
    assert seqs == [*range(checked_reading.AT_ONCE, head, checked_reading.AT_ONCE), head]
    assert outcome == verified(told, nobody)
    assert outcome.ok


@pytest.mark.parametrize("at", [1, 2, 150, 300])
@pytest.mark.parametrize("harm", ["actor = actor || 'x'", "data = data || ' '", "prev = hash"])
def test_what_is_wrong_is_found_the_same(
    copy: Path, at: int, harm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It vouches for the runs before the harm, and nothing behind."""
    with forging.unguarded(copy) as connection:
        connection.execute(f"UPDATE events SET {harm} WHERE seq = ?", (at,))
    monkeypatch.setattr(checked_reading, "AT_ONCE", 64)
    outcome, seqs = taken(copy, here(copy), monkeypatch)
    assert outcome == verified(copy, nobody)
    assert not outcome.ok
    assert seqs == [seq for seq in range(64, 300, 64) if seq < at]


def here(path: Path) -> Second:
    """The work of the other process, in this one."""

    def begin(head: int) -> AbstractContextManager[Ahead]:
        return nullcontext(sending(ahead(Ledger(str(path)).log, head)))

    return begin


def sending(records: Iterator[Sound]) -> Ahead:
    """Records as they come out of a pipe."""
    pipe = io.BytesIO(b"".join(one.packed() for one in records))
    return second.reading(pipe)


@pytest.mark.parametrize("left", [0, 1, 2, 30, 73, 105])
def test_its_death_leaves_the_work_to_the_first(
    told: Path, left: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever its records break off, the rest is checked alone."""
    with Ledger(str(told)) as book:
        whole = b"".join(one.packed() for one in ahead(book.log, book.head().seq))
    pipe = io.BytesIO(whole[:left])
    outcome, seqs = taken(told, lambda _: nullcontext(second.reading(pipe)), monkeypatch)
    assert outcome == verified(told, nobody)
    assert seqs == []


def test_what_it_says_of_other_rows_does_not_count(
    told: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record with another hash or another seq than the rows have is not believed."""
    for lie in (Sound(300, bytes(32)), Sound(2**40, bytes(32)), Sound(0, bytes(32))):
        outcome, seqs = taken(told, lambda _, lie=lie: nullcontext(lambda: lie), monkeypatch)
        assert (outcome.ok, seqs) == (True, [])


def test_a_record_is_known_by_its_sum() -> None:
    """One that a byte was changed in is none."""
    sound = Sound(4096, bytes(range(32)), (bytes(32), bytes(range(32, 64))))
    told = sound.packed()[2:]
    assert unpacked(told) == sound
    for at in range(len(told)):
        assert unpacked(told[:at] + bytes([told[at] ^ 1]) + told[at + 1 :]) is None
        assert unpacked(told[:at]) is None


def test_none_is_begun_where_none_can_be(
    told: Path, eager: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an interpreter, or with one that is none, a verification goes alone."""
    for executable in (None, "/nowhere/python", shutil.which("false")):
        monkeypatch.setattr(sys, "executable", executable)
        outcome, seqs = taken(told, None, monkeypatch)
        assert (outcome.ok, seqs) == (True, [])


def test_none_is_begun_that_would_copy_the_ledger(
    told: Path, eager: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the file can only be read as a private copy, one copy is enough."""
    monkeypatch.setattr(Reader, "copied", True)
    outcome, seqs = taken(told, None, monkeypatch)
    assert (outcome.ok, seqs) == (True, [])


def test_one_that_says_nothing_is_left(told: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that hangs is waited for once, and the verification goes alone."""
    monkeypatch.setattr(second, "PATIENCE_S", 0.01)
    ours, theirs = os.pipe()
    with open(ours, "rb") as pipe, open(theirs, "wb"):
        ask = second.reading(pipe)
        asked: list[Sound | None] = []

        def asking() -> Sound | None:
            asked.append(ask())
            return asked[-1]

        outcome, seqs = taken(told, lambda _: nullcontext(asking), monkeypatch)
        assert (outcome.ok, seqs, asked) == (True, [], [None])
        os.write(theirs, bytes(2))  # so that the thread that listens goes, too


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="no process can be stopped here")
@pytest.mark.parametrize("sent", ["SIGSTOP", "SIGKILL"])
def test_none_is_left_behind(
    told: Path, eager: None, sent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it is stopped, killed, or the first one is interrupted: it is gone and reaped."""
    started: list[subprocess.Popen[bytes]] = []

    class Kept(subprocess.Popen[bytes]):
        def __init__(self, *args: object, **options: object) -> None:
            super().__init__(*args, **options)
            started.append(self)
            self.send_signal(getattr(signal, sent))

    monkeypatch.setattr(subprocess, "Popen", Kept)
    monkeypatch.setattr(second, "PATIENCE_S", 0.01)
    assert verified(told, None).ok
    with Ledger(str(told)) as book, pytest.raises(KeyboardInterrupt), second.helped(book.log)(300):
        raise KeyboardInterrupt
    assert [one.returncode for one in started] == [-signal.SIGKILL] * 2


def test_void_events_are_counted_here(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A void release ends nothing, though the other process, which does not fold, thinks so."""
    by = {"uid": 0, "user": "root", "host": "h"}
    fresh = {"name": "fresh", "cpus": 8, "gpus": [{"index": 0}]}
    added = forging.append(copy, "pool.changed", {"added": [fresh], "by": by})
    share = {"server": "fresh", "gpus": [0], "cpus": 0}
    asked = {"task": "x", "gpus": 1, "cpus": 0}
    grant = {"task": "x", "user": "u", "servers": [share], "asked": asked, "by": by}
    first = forging.append(copy, "allocation.granted", grant)
    gone = {"allocations": [first, 2**40], "cause": "owner", "by": by}
    forging.append(copy, "allocation.released", gone)
    last = forging.append(copy, "allocation.granted", grant)
    alone = verified(copy, nobody)
    assert Problem(last, "double") in alone.problems
    assert {added, first}.isdisjoint({one.seq for one in alone.problems})
    for run in (256, 64):
        monkeypatch.setattr(checked_reading, "AT_ONCE", run)
        assert verified(copy, here(copy)) == alone
        assert verified(copy, nobody) == alone
