"""The embedded log: one SQLite file that all processes of a machine share.

Life of a turn: the file lock, `BEGIN IMMEDIATE`, the head, compared with the note of the
head that the last writer left in the lock file; then what the caller appends; the commit,
synced to disk; the new note; the lock goes. Wherever it dies, the events are wholly there
or wholly absent.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from . import clock as wall
from .chain import head_of, seal
from .errors import HeadMoved
from .event import Draft, Event, Head
from .failure import fault
from .reader import Reader, T
from .row import RUN, find_key, head_in, insert, read_events
from .writer import Writer


class SqliteTurn:
    """A turn at the embedded log; usable until its block ends, in its own process only."""

    __slots__ = ("_pid", "connection", "head", "now_us")

    def __init__(self, connection: sqlite3.Connection, head: Head, now_us: int) -> None:
        self.connection = connection
        self.head = head
        self.now_us = now_us
        self._pid = os.getpid()

    def append(self, draft: Draft, expected_head: Head) -> Event:
        """Append `draft` after `expected_head`, which must be the turn's head."""
        head = self.head
        if expected_head.seq != head.seq or expected_head.hash != head.hash:
            raise HeadMoved(expected_head.seq, head.seq)
        if self._pid != os.getpid():
            raise RuntimeError("a turn ends with the process that began it")
        event = seal(draft, head)
        insert(self.connection, event)
        self.head = head_of(event)
        return event

    def find_key(self, actor: str, key: str) -> Event | None:
        """Return the event that `actor` recorded under the retry key `key`, if any."""
        return find_key(self.connection, actor, key)

    def read(self, after: int, upto: int | None = None) -> Iterator[Event]:
        """Return the events with `after` < seq ≤ `upto`, the turn's own included."""
        last = self.head.seq if upto is None else min(upto, self.head.seq)
        while after < last:
            run = read_events(self.connection, after, last, RUN)
            if not run:
                return
            yield from run
            after = run[-1].seq


class SqliteLog:
    """The log in the SQLite file at `path`, for reading at once and for writing turn by turn.

    Threads may share it; a child made by fork may go on with it. `reader` reads without
    the lock.
    """

    def __init__(self, path: str, *, clock: Callable[[], int] = wall.now_us) -> None:
        self.path = os.path.realpath(path)
        self.reader = Reader(self.path)
        self._clock = clock
        self._writer = Writer(self.path)

    def head(self) -> Head:
        """Return where the log ends now."""
        return self.reader.read(head_in)

    def read(self, after: int, upto: int | None = None) -> Iterator[Event]:
        """Return the events with `after` < seq ≤ `upto`, by default up to the head as of now.

        Read in runs, each a transaction of its own of a few milliseconds.
        """
        last = self.head().seq if upto is None else upto
        while after < last:
            start = after
            run = self.reading(lambda db: read_events(db, start, last, RUN))  # noqa: B023
            if not run:
                return
            yield from run
            after = run[-1].seq

    def reading(self, fn: Callable[[sqlite3.Connection], T]) -> T:
        """Return `fn(connection)`, run inside one short read transaction; see Reader.read."""
        return self.reader.read(fn)

    @contextmanager
    def turn(self, timeout_s: float = 60.0, *, last: bool = False) -> Iterator[SqliteTurn]:
        """Hold the log: committed where the block ends, undone where it raises.

        `last` closes the writing connection before the lock goes, which spares a program
        that writes once from waiting for the lock again to close it.
        """
        writer = self._writer
        writer.enter(timeout_s)
        try:
            turn = SqliteTurn(writer.connection, writer.head, self._clock())
            yield turn
            writer.commit(turn.head)
        except sqlite3.Error as error:
            raise fault(error, self.path, "write") from error
        finally:
            try:
                writer.leave(last=last)
            except BaseException:
                writer.leave(last=last)
                raise

    def close(self) -> None:
        """Close; the log may be used again, which opens it anew."""
        self.reader.close()
        self._writer.close()
