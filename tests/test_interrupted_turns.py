"""Struck anywhere, a turn is wholly there or wholly absent, and holds nothing afterwards."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from gpuledger.ledger.lock import LedgerLock
from gpuledger.ledger.sqlite_log import SqliteLog
from plain_log import a_log, child, draft, first_break, go_on, said, tell

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")

STRIKES = """
import random, signal, sys
from plain_log import SqliteLog, tell
path, times, dice = sys.argv[1], int(sys.argv[2]), random.Random(int(sys.argv[3]))
signal.signal(signal.SIGALRM, signal.default_int_handler)
log, other = SqliteLog(path), SqliteLog(path)
hits = 0
for number in range(times):
    if number % 4 == 0:
        log.close()
    before = log.head().seq
    struck = False
    try:
        signal.setitimer(signal.ITIMER_REAL, dice.uniform(2e-6, 2e-3 if number % 4 == 0 else 6e-4))
        tell(log)
        signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt:
        struck = True
    after = log.head().seq
    assert after == before + 1 or struck and after == before, (number, before, after)
    with other.turn(0.0) as turn:
        assert turn.head.seq == after, number
    assert tell(log).seq == after + 1
    hits += struck
print(hits)
"""


def test_struck_at_random_moments(
    ledger_path: Path, full: bool, rng_seed: int, record_property: Callable[[str, object], None]
) -> None:
    """Ctrl-C at any moment of a turn: no lock stays, no event is partial, all goes on at once."""
    a_log(ledger_path).close()
    times = 20_000 if full else 1000
    ended = subprocess.run(
        [sys.executable, "-c", STRIKES, str(ledger_path), str(times), str(rng_seed)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert ended.returncode == 0, ended.stderr
    assert int(ended.stdout) > times // 10
    record_property("turns struck", f"{int(ended.stdout)} of {times}")
    log = SqliteLog(str(ledger_path))
    assert first_break(log.read(0)) is None
    log.close()


def test_ctrl_c_while_waiting(ledger_path: Path) -> None:
    """Ctrl-C ends a wait for the lock at once, and a late win of that wait holds nothing."""
    log = a_log(ledger_path)
    holder = LedgerLock(f"{ledger_path}.lock", str(ledger_path))
    for _ in range(10):
        holder.acquire(1.0)
        timer = threading.Timer(0.02, os.kill, [os.getpid(), signal.SIGINT])
        with pytest.raises(KeyboardInterrupt):  # noqa: PT012 (it may strike at once)
            timer.start()
            tell(log)
        timer.join()
        holder.release()
        holder.acquire(10.0)
        holder.release()
        tell(log)
    assert log.head().seq == 11
    holder.close()
    log.close()


def test_ctrl_c_in_a_turn(ledger_path: Path) -> None:
    """Ctrl-C inside a turn's block undoes the turn and lets the lock go."""
    log = a_log(ledger_path)
    with child("hold", ledger_path) as holder:
        assert said(holder) == "held"
        holder.send_signal(signal.SIGINT)
        holder.wait(30)
    assert log.head().seq == 1
    with pytest.raises(KeyboardInterrupt), log.turn() as turn:  # noqa: PT012 (the point)
        turn.append(draft(1), turn.head)
        signal.raise_signal(signal.SIGINT)
    with log.turn(0.0) as turn:
        assert turn.head.seq == 1
    log.close()


def test_killed_at_random(ledger_path: Path, full: bool, rng_seed: int) -> None:
    """Killed at random moments, every acknowledged event is there, linked, and the lock is free."""
    dice = random.Random(rng_seed)
    a_log(ledger_path).close()
    acknowledged = 1
    for _ in range(100 if full else 12):
        with child("append", ledger_path, 10_000) as writer:
            for _ in range(dice.randrange(1, 60)):
                acknowledged = int(said(writer))
            writer.kill()
            rest, _ = writer.communicate()
        whole = rest[: rest.rfind("\n") + 1].split()
        acknowledged = max([acknowledged, *map(int, whole)])
        log = SqliteLog(str(ledger_path))
        with log.turn(0.0) as turn:
            assert turn.head.seq >= acknowledged
        assert first_break(log.read(0)) is None
        log.close()


def test_a_turn_that_never_ended_is_let_go(ledger_path: Path) -> None:
    """Where a turn's end never ran, its last reference takes the lock with it."""
    log = a_log(ledger_path)
    turn = log.turn()
    turn.__enter__()
    turn.append(draft(1), turn.head)
    del turn
    with log.turn(0.0) as turn:
        assert turn.head.seq == 1
    log.close()


def test_a_full_pipe_holds_nobody(ledger_path: Path) -> None:
    """A holder that is told to go on ends its turn, and its event is there."""
    log = a_log(ledger_path)
    with child("hold", ledger_path) as holder:
        assert said(holder) == "held"
        go_on(holder)
        assert holder.wait(30) == 0
    assert log.head().seq == 2
    log.close()
