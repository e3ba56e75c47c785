"""Waiting in line, by real processes: in order, soon, without holding anything, with or without
a bell, and whoever of them dies.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from gpuledger.bell import ring
from gpuledger.handle import Ledger
from gpuledger.ledger.event import Event
from gpuledger.replay.catalogue import AllocationGranted, AllocationReleased, RequestCancelled
from gpuledger.replay.errors import Refused
from gpuledger.replay.facts import Asked
from gpuledger.replay.fold import decode
from gpuledger.replay.piece import WaitingPiece
from small_pools import pool

HERE = Path(__file__).resolve().parent
Record = Callable[[str, object], None]


@pytest.fixture
def book(ledger_path: Path) -> Iterator[Ledger]:
    """One server of four GPUs, all of them held by `first`."""
    from gpuledger.handle import init

    init(ledger_path, pool(1, 4, 16))
    with Ledger(str(ledger_path)) as opened:
        opened.allocate("first", 4)
        yield opened


class Waiter:
    """A process in line; `number` is its request's id."""

    def __init__(self, process: subprocess.Popen[str], task: str) -> None:
        self.process, self.task = process, task
        self.number = int(self.said("waiting")[0])

    def said(self, word: str) -> list[str]:
        """What stands behind the word that it says next."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline().split()
        assert line[:1] == [word], line
        return line[1:]

    def granted(self) -> tuple[int, float]:
        """Its allocation and the processor seconds that it waited with."""
        number, cpu = self.said("granted")
        return int(number), float(cpu)


@contextmanager
def waiters(path: str, count: int, gpus: int = 4, *options: str) -> Iterator[list[Waiter]]:
    """So many processes in line, one behind the other."""
    with ExitStack() as stack:
        line = []
        for at in range(count):
            args = [sys.executable, str(HERE / "waiter.py"), path, f"task-{at}", str(gpus)]
            process = stack.enter_context(
                subprocess.Popen(
                    [*args, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
                )
            )
            stack.callback(process.kill)
            line.append(Waiter(process, f"task-{at}"))
        yield line


def grants(book: Ledger) -> dict[int, Event]:
    """The granted events of those who waited, by their requests."""
    found = {}
    for event in book.log.read(0):
        payload = decode(event) if event.kind == AllocationGranted.KIND else None
        if payload is not None and payload.request is not None:
            found[payload.request] = event
    return found


def delays_ms(book: Ledger) -> list[float]:
    """From each release to the grant that follows it, in milliseconds, by the events' times."""
    delays, freed = [], 0
    for event in book.log.read(0):
        if event.kind == AllocationReleased.KIND:
            freed = event.at
        elif event.kind == AllocationGranted.KIND and freed:
            delays.append((event.at - freed) / 1000)
    return delays


def serve_all(book: Ledger, line: list[Waiter]) -> float:
    """Release what is held again and again until each was served; their processor seconds."""
    held, cpu = "first", 0.0
    for waiter in line:
        book.release(held)
        number, spent = waiter.granted()
        held, cpu = f"@{number}", cpu + spent
    return cpu


def test_many_are_served_in_order(book: Ledger, full: bool, record_property: Record) -> None:
    """Each is granted by the release that frees its GPUs, the first in line first."""
    with waiters(book.path, 64 if full else 12) as line:
        cpu = serve_all(book, line)
        served = sorted(grants(book).items(), key=lambda one: one[1].seq)
        assert [number for number, _ in served] == [waiter.number for waiter in line]
    delays = sorted(delays_ms(book))
    record_property(
        "ms from release to grant, median and most", (delays[len(delays) // 2], delays[-1])
    )
    record_property("processor ms of a waiter in all", round(1000 * cpu / len(line), 2))


def test_the_same_without_a_bell(book: Ledger, full: bool, record_property: Record) -> None:
    """With every notice lost, a look at the log now and then serves them all, in order."""
    with waiters(book.path, 64 if full else 4, 4, "deaf") as line:
        serve_all(book, line)
        served = sorted(grants(book).items(), key=lambda one: one[1].seq)
        assert [number for number, _ in served] == [waiter.number for waiter in line]
    record_property("ms from release to grant, at most", max(delays_ms(book)))


def test_half_of_them_killed(
    book: Ledger, full: bool, rng_seed: int, record_property: Record
) -> None:
    """Killed at random moments, the dead leave the line, no GPU is lost, and the order is kept."""
    chosen = random.Random(rng_seed)
    with waiters(book.path, 64 if full else 12) as line:
        doomed = set(chosen.sample(range(len(line)), len(line) // 2))
        held, served = "first", []
        for at, waiter in enumerate(line):
            for victim in [one for one in doomed if chosen.random() < 0.2 or one == at]:
                line[victim].process.kill()
                line[victim].process.wait()
                doomed.discard(victim)
            if waiter.process.poll() is None:
                book.release(held)
                number, _ = waiter.granted()
                held, served = f"@{number}", [*served, waiter.number]
        order = sorted(grants(book).items(), key=lambda one: one[1].seq)
        assert [number for number, _ in order] == served
        book.release(held)
        assert book.queue()[1] == []
        assert book.state().fleet.servers[0].free_count() == 4
    record_property("served, killed", (len(served), len(line) - len(served)))


def test_the_end_of_a_lease_serves_without_anybody(ledger_path: Path) -> None:
    """Nobody writes when a lease ends: who waits knows when it is, and takes what it frees."""
    from gpuledger.handle import init

    init(ledger_path, pool(1, 4, 16))
    with Ledger(str(ledger_path)) as book:
        book.allocate("first", 4, lease=2)
        with waiters(book.path, 1) as (waiter,):
            number, _ = waiter.granted()
            released, granted = list(book.log.read(number - 2, number))
            assert decode(released).cause == "lease"
            assert granted.at >= released.at


def test_interrupted_it_leaves_nothing_behind(book: Ledger) -> None:
    """Ctrl-C takes the request out of the line at once."""
    with waiters(book.path, 1) as (waiter,):
        waiter.process.send_signal(signal.SIGINT)
        waiter.process.wait()
        assert book.queue()[1] == []
        last = next(iter(book.log.read(book.head().seq - 1)))
        assert (last.kind, decode(last).cause) == (RequestCancelled.KIND, "owner")


def test_what_can_never_be_any_more_is_not_waited_for(book: Ledger) -> None:
    """Where the pool shrinks below what is waited for, who waits is told, and leaves the line."""
    with waiters(book.path, 1) as (waiter,):
        book.pool_apply(pool(1, 2, 16), force=True, reason="two cards are broken")
        assert waiter.process.wait() == 1
        assert book.queue()[1] == []
        refused, left = map(decode, book.log.read(book.head().seq - 2))
        assert (refused.reason, left.cause) == ("never", "owner")


def stop(waiter: Waiter) -> None:
    """As Ctrl-Z does."""
    os.kill(waiter.process.pid, signal.SIGSTOP)
    os.waitid(os.P_PID, waiter.process.pid, os.WSTOPPED | os.WNOWAIT)


@pytest.mark.needs("linux")
def test_a_stopped_process_keeps_nobody_waiting(book: Ledger) -> None:
    """Who was stopped in line is passed by newcomers and by those behind, and goes on as first."""
    with waiters(book.path, 3) as (stopped, behind, last):
        stop(stopped)
        book.release("first")
        number, _ = behind.granted()
        assert [(one.piece.id, one.reason) for one in book.queue()[1]] == [
            (stopped.number, "stopped"),
            (last.number, "no_gpus"),
        ]
        stop(last)
        book.release(f"@{number}")
        passing = book.allocate("new", 1)
        os.kill(stopped.process.pid, signal.SIGCONT)
        os.kill(last.process.pid, signal.SIGCONT)
        assert book.state().allocation(passing.id) is not None
        book.release("new")
        number, _ = stopped.granted()
        book.release(f"@{number}")
        last.granted()


@pytest.mark.needs("linux")
def test_nobody_passes_who_came_later(book: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is free for one who waits is not given to a newcomer, though he asks first."""
    monkeypatch.setattr("gpuledger.cli.process.judged", lambda _tie: None)  # as from elsewhere
    with waiters(book.path, 1) as (waiter,):
        stop(waiter)
        book.release("first")
        with pytest.raises(Refused) as caught:
            book.allocate("new", 1)
        assert (caught.value.reason, caught.value.facts["ahead"][0].request) == (
            "waiting",
            waiter.number,
        )
        os.kill(waiter.process.pid, signal.SIGCONT)
        waiter.granted()


def test_a_port_that_is_none_is_nobodys() -> None:
    """What a forged request says of a port harms no writer, whose grant is there already."""
    ports = (0, -1, 65_536, 1 << 40)
    ring([WaitingPiece(2, 0, "uid:0", "root", Asked("t", 1), port=port) for port in ports], None)


@pytest.mark.needs("linux")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_command_that_is_ended_leaves_the_line(
    book: Ledger, cli_command: Sequence[str], cli_env: dict[str, str], number: signal.Signals
) -> None:
    """By Ctrl-C, by a closed terminal or by kill: it leaves the line itself, at once."""
    words = [*cli_command, "--ledger", book.path, "allocate", "waits", "4", "--wait"]
    with subprocess.Popen(
        words, env=cli_env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as waiting:
        assert waiting.stderr is not None
        assert "waiting in line" in waiting.stderr.readline()
        waiting.send_signal(number)
        assert waiting.wait(20) == (130 if number == signal.SIGINT else 128 + number)
    assert book.queue()[1] == []
    last = next(iter(book.log.read(book.head().seq - 1)))
    assert (last.kind, decode(last).cause) == (RequestCancelled.KIND, "owner")
