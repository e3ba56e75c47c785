"""A log as plain as one can be: events whose data is a number, and programs that use it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gpuledger.ledger.chain import head_of, links
from gpuledger.ledger.creation import create
from gpuledger.ledger.event import START, Draft, Event
from gpuledger.ledger.sqlite_log import SqliteLog

ID = "c0ffee" + "00" * 13
CHILD = Path(__file__).with_name("log_child.py")
ACTOR = "uid:1001"


def first(at: int = 1) -> Draft:
    """The first event of a log: its id and its format."""
    return Draft(at, "ledger.created", 1, ACTOR, None, b'{"format":1,"ledger":"%s"}' % ID.encode())


def draft(number: int, *, at: int = 1000, key: str | None = None) -> Draft:
    """An event that says `number`."""
    return Draft(at, "number.told", 1, ACTOR, key, b'{"number":%d}' % number)


def a_log(path: Path, events: int = 0) -> SqliteLog:
    """Make a log at `path` whose first event is followed by `events` others."""
    create(str(path), first())
    log = SqliteLog(str(path))
    if events:
        with log.turn() as turn:
            for number in range(events):
                turn.append(draft(number), turn.head)
    return log


def first_break(events: Iterable[Event]) -> tuple[int, str] | None:
    """Place and reason of the first event that does not link to the one before, from seq 1 on."""
    head = START
    for place, event in enumerate(events, 1):
        why = links(event, head)
        if why is not None:
            return place, why
        head = head_of(event)
    return None


def tell(log: SqliteLog, number: int = 0, *, key: str | None = None) -> Event:
    """Append one event in a turn of its own."""
    with log.turn(60.0) as turn:
        return turn.append(draft(number, at=max(1000, turn.head.at), key=key), turn.head)


@contextmanager
def child(*args: str | Path) -> Iterator[subprocess.Popen[str]]:
    """A process that uses a log as `log_child.py` says; killed where it still runs at the end."""
    process = subprocess.Popen(
        [sys.executable, str(CHILD), *map(str, args)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()


def said(process: subprocess.Popen[str]) -> str:
    """The next line that a child says."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def go_on(process: subprocess.Popen[str]) -> None:
    """Let a child that waits for a line go on."""
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()
