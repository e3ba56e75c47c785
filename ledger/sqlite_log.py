"""The embedded log: one SQLite file that all processes of a machine share.

Life of a turn: the file lock, `BEGIN IMMEDIATE`, the head, compared with the note of the
head that the last writer left in the lock file; then what the caller appends; the commit,
synced to disk; the new note; the lock goes. Wherever it dies, the events are wholly there
or wholly absent.
"""

from __future__ import annotations

import os
import sqlite3
import weakref
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from . import clock as wall
from .chain import head_of, seal
from .errors import Damaged, HeadMoved
from .event import Draft, Event, Head
from .failure import fault
from .format import LOCK_SUFFIX
from .note import Note, read_note
from .reader import Reader, T
from .row import RUN, find_key, head_in, in_runs, insert, read_events
from .witness import check_note, ledger_id
from .writer import Writer

if TYPE_CHECKING:
    from .mirrored import Mirrored


class SqliteTurn:
    """A turn at the embedded log: held while its `with` block runs, in its own process only.

    `head` is the log's end, what the turn appended included; `connection` is inside the
    open transaction; `now_us` is the wall clock as read inside the turn. `mirrors` are the
    directories of the log's mirrors, which the caller sets: they are written after the commit,
    and `mirrored` tells how that went.
    """

    __slots__ = (
        "_clock",
        "_last",
        "_open",
        "_pid",
        "_sealed",
        "_timeout_s",
        "_writer",
        "connection",
        "head",
        "mirrored",
        "mirrors",
        "now_us",
    )

    head: Head
    connection: sqlite3.Connection
    now_us: int

    def __init__(
        self, writer: Writer, clock: Callable[[], int], timeout_s: float, last: bool
    ) -> None:
        self._writer = writer
        self._clock = clock
        self._timeout_s = timeout_s
        self._last = last
        self._open = False
        self._pid = os.getpid()
        self._sealed: Event | None = None
        self.mirrors: tuple[str, ...] = ()
        self.mirrored: tuple[Mirrored, ...] = ()

    def __enter__(self) -> SqliteTurn:
        writer = self._writer
        if writer.busy:
            raise RuntimeError("this thread is in a turn of this log already")
        try:
            writer.enter(self._timeout_s)
            self._open = True
            self.connection = writer.connection
            self.head = writer.head
            self.now_us = self._clock()
        except BaseException:
            writer.leave()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> None:
        if kind is None:
            self._check_process()
        elif self._pid != os.getpid():
            return
        writer = self._writer
        try:
            if kind is None:
                before = writer.head
                writer.commit(self.head)
                if self.mirrors:
                    self.mirrored = self._mirror(before)
        finally:
            try:
                writer.leave(last=self._last)
            except BaseException:
                writer.leave()
                raise
            self._open = False
        if isinstance(error, sqlite3.Error):
            raise fault(error, writer.path, "write") from error

    def _mirror(self, before: Head) -> tuple[Mirrored, ...]:
        """Write what is committed now to the mirrors; nothing of it fails the turn."""
        return tuple(
            self._writer.mirror(one).write(self._fresh, before, self.head) for one in self.mirrors
        )

    def _fresh(self, after: int, upto: int) -> Iterator[Event]:
        """As `read`; the one event that most turns append comes from memory."""
        event = self._sealed
        if event is not None and event.seq == upto == after + 1:
            return iter((event,))
        return self.read(after, upto)

    def __del__(self) -> None:
        # Ctrl-C can strike between a block's end and __exit__, which then never runs.
        if getattr(self, "_open", False) and self._pid == os.getpid():
            self._writer.leave()

    def append(self, draft: Draft, expected_head: Head) -> Event:
        """Append `draft` after `expected_head`, which must be the turn's head."""
        head = self.head
        if expected_head.seq != head.seq or expected_head.hash != head.hash:
            raise HeadMoved(expected_head.seq, head.seq)
        self._check_process()
        event = self._sealed = seal(draft, head)
        insert(self.connection, event)
        self.head = head_of(event)
        return event

    def _check_process(self) -> None:
        """Raise in a child made inside the turn: its connection and lock are the parent's."""
        if self._pid != os.getpid():
            raise RuntimeError("a turn ends with the process that began it")

    def prepare_mirror(self, directory: str) -> None:
        """Make a mirror's folder in `directory`, or see that what is there is this log's.

        Raises MirrorUnusable.
        """
        from .mirror import prepare

        prepare(self._writer.mirror(directory), self.read, self.head)

    def find_key(self, actor: str, key: str) -> Event | None:
        """Return the event that `actor` recorded under the retry key `key`, if any."""
        return find_key(self.connection, actor, key)

    def read(self, after: int, upto: int | None = None) -> Iterator[Event]:
        """Return the events with `after` < seq ≤ `upto`, the turn's own included."""
        last = self.head.seq if upto is None else min(upto, self.head.seq)
        yield from in_runs(
            lambda start: read_events(self.connection, start, last, RUN), after, last
        )


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
        # A log that nobody closed is closed with its last reference, or before Python ends:
        # later SQLite would do it by itself, without the lock.
        weakref.finalize(self, _close, self.reader, self._writer)

    def head(self) -> Head:
        """Return where the log ends now."""
        return self.reader.read(head_in)

    def read(self, after: int, upto: int | None = None) -> Iterator[Event]:
        """Return the events with `after` < seq ≤ `upto`, by default up to the head as of now.

        Read in runs, each a transaction of its own of a few milliseconds.
        """
        last = self.head().seq if upto is None else upto

        def run(start: int) -> list[Event]:
            return self.reading(lambda db: read_events(db, start, last, RUN))

        yield from in_runs(run, after, last, self.path)

    def reading(self, fn: Callable[[sqlite3.Connection], T]) -> T:
        """Return `fn(connection)`, run inside one short read transaction; see Reader.read."""
        return self.reader.read(fn)

    def behind_its_note(self) -> Damaged | None:
        """What the lock file remembers and the log lacks, for readers, who go on all the same.

        The note is read first, so that it cannot lead a log that grows.
        """
        noted = read_note(self.path + LOCK_SUFFIX)
        if not isinstance(noted, Note):
            return None
        try:
            self.reading(
                lambda db: check_note(db, self.path, ledger_id(db, self.path), noted, head_in(db))
            )
        except Damaged as wrong:
            return wrong
        return None

    def turn(self, timeout_s: float = 60.0, *, last: bool = False) -> SqliteTurn:
        """Hold the log in a `with` block: committed where it ends, undone where it raises.

        `last` closes the writing connection before the lock goes, which spares a program
        that writes once from waiting for the lock again to close it.
        """
        return SqliteTurn(self._writer, self._clock, timeout_s, last)

    def close(self) -> None:
        """Close; the log may be used again, which opens it anew."""
        _close(self.reader, self._writer)


def _close(reader: Reader, writer: Writer) -> None:
    reader.close()
    writer.close()
