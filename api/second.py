"""The second process of a verification: checks rows and hashes while the first one folds.

`python -P -c "from gpuledger.second import main; main()" PATH HEAD`, started by `helped`. It reads
the ledger by itself, writes nothing but records to its stdout, and ends with the pipe: killed where
the first one is done or interrupted, by the broken pipe where that one was killed.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from threading import Thread
from typing import IO, TYPE_CHECKING

from gpuledger.ledger.errors import GpuledgerError
from gpuledger.ledger.sqlite_log import SqliteLog
from gpuledger.replay.checked_ahead import Ahead, Second, Sound, ahead, nobody, unpacked

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

WORTH = 20_000
"""Events from which on a second process saves more than its start costs."""

PATIENCE_S = 10.0
"""How long the first one waits for a record; a run of rows is checked in some milliseconds."""

_BEGIN = "from gpuledger.second import main; main()"


def helped(log: SqliteLog) -> Second:
    """Begin a second process for this ledger, where it is long and there is a processor for it;
    where none can be started, or each would read a copy of its own, the verification goes alone.
    """

    def begin(head: int) -> AbstractContextManager[Ahead]:
        worth = head >= WORTH and _processors() > 1 and not log.reader.copied
        if not worth or not sys.executable or hasattr(sys, "frozen"):
            return nobody(head)
        # -P: what lies in the working directory is nobody's code here.
        command = [sys.executable, "-P", "-c", _BEGIN, log.path, str(head)]
        nothing = subprocess.DEVNULL
        try:
            child = subprocess.Popen(  # noqa: S603 - this program, by this interpreter
                command, stdin=nothing, stdout=subprocess.PIPE, stderr=nothing
            )
        except OSError:
            return nobody(head)
        return _records(child)

    return begin


@contextmanager
def _records(child: subprocess.Popen[bytes]) -> Generator[Ahead, None, None]:
    assert child.stdout is not None
    try:
        with child.stdout as pipe:
            try:
                yield reading(pipe)
            finally:
                child.kill()  # before its pipe is closed, on which a thread may wait
    finally:
        child.wait()


def reading(pipe: IO[bytes]) -> Ahead:
    """Reads records from a pipe, until it ends, brings what is none, or brings nothing for long."""
    told: SimpleQueue[Sound | None] = SimpleQueue()

    def listen() -> None:
        sound: Sound | None = Sound(0, b"")
        while sound is not None:
            try:
                sound = unpacked(pipe.read(int.from_bytes(pipe.read(2), "big")))
            except (OSError, ValueError):  # closed meanwhile
                sound = None
            told.put(sound)

    def next_one() -> Sound | None:
        try:
            return told.get(timeout=PATIENCE_S)
        except Empty:
            return None

    Thread(target=listen, daemon=True).start()
    return next_one


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def main() -> None:
    """Check the ledger that the arguments name, up to their head, and tell each run that holds."""
    path, head = sys.argv[1], int(sys.argv[2])
    gc.disable()  # nothing here refers to itself
    log = SqliteLog(path)
    with suppress(GpuledgerError, BrokenPipeError, KeyboardInterrupt):
        for sound in ahead(log, head):
            sys.stdout.buffer.write(sound.packed())
            sys.stdout.buffer.flush()
    log.close()
