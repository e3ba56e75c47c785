"""Staging: a whole ledger made of known events under another name, before it gets its own.

All of it is one transaction in a file that nobody knows of yet. The events come first, each with
the seq, `prev` and `hash` it had, the triggers behind them: a log with a hole could not be
appended. Then the caller may go on as in any turn, and what he saves is there with the rest.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from . import clock
from .chain import head_of, seal
from .connection import connect
from .descriptors import give, lock_mode
from .errors import HeadMoved, StorageFailed
from .event import START, Draft, Event, Head
from .format import APPLICATION_ID, FORMAT, TRIGGERS
from .row import RUN, find_key, in_runs, insert, read_events
from .waiter import native

if TYPE_CHECKING:
    from sqlite_utils import Migrations

    from .mirrored import Mirrored


class Ownership(msgspec.Struct, frozen=True):
    """Whose a file is to be: its mode, its group (None for the maker's) and its owner (or -1)."""

    mode: int
    gid: int | None = None
    uid: int = -1

    @property
    def lock_mode(self) -> int:
        """The mode of a lock file beside it."""
        return lock_mode(self.mode)


MINE = Ownership(0o600)
_ACCESS = 0o666


def ownership_of(*paths: str) -> Ownership:
    """Return whose the first of these files is that is there; the maker's own where none is."""
    for path in paths:
        with contextlib.suppress(OSError):
            found = os.stat(path)
            return Ownership(
                stat.S_IMODE(found.st_mode) & _ACCESS | 0o600, found.st_gid, found.st_uid
            )
    return MINE


class StagedTurn:
    """A turn at a ledger that nobody knows of yet: what `ledger.log.Turn` offers, without a lock.

    `head` is where it ends, `now_us` the wall clock (microseconds UTC) as read at its beginning.
    """

    def __init__(self, connection: sqlite3.Connection, head: Head) -> None:
        self.connection = connection
        self.head = head
        self.now_us = clock.now_us()
        self.mirrors: tuple[str, ...] = ()
        self.mirrored: tuple[Mirrored, ...] = ()

    def append(self, draft: Draft, expected_head: Head) -> Event:
        """Append `draft` after `expected_head`, which must be the turn's head."""
        if expected_head != self.head:
            raise HeadMoved(expected_head.seq, self.head.seq)
        event = seal(draft, self.head)
        insert(self.connection, event)
        self.head = head_of(event)
        return event

    def prepare_mirror(self, directory: str) -> None:
        """Nothing: what is not in its place yet is not mirrored."""

    def find_key(self, actor: str, key: str) -> Event | None:
        """Return the event that `actor` recorded under the retry key `key`, if any."""
        return find_key(self.connection, actor, key)

    def read(self, after: int, upto: int | None = None) -> Iterator[Event]:
        """Return the events with `after` < seq ≤ `upto`, the turn's own included."""
        last = self.head.seq if upto is None else min(upto, self.head.seq)
        yield from in_runs(
            lambda start: read_events(self.connection, start, last, RUN), after, last
        )


@contextlib.contextmanager
def staged(
    new: str,
    events: Iterable[Event],
    stores: Sequence[Migrations],
    like: Ownership,
    *,
    wal: bool,
) -> Generator[StagedTurn, None, None]:
    """Make the ledger at `new` of `events` and yield a turn at it; committed and synced behind it.

    `wal` leaves it ready for a ledger's place; without, it is a single file that can be read
    anywhere. Removed where anything raises. `new` must be known to nobody else.
    """
    clear(new)
    try:
        fd = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            _hold(fd)
            give(fd, like.mode, like.gid, uid=like.uid)
            # Nobody else has it, so SQLite needs no locks, which a network's disk may not have.
            connection = connect(new, "mode=rw" if wal else "mode=rw&nolock=1")
            try:
                yield _begun(connection, events, stores)
                connection.execute("COMMIT")
                mode = "wal" if wal else "delete"
                if connection.execute(f"PRAGMA journal_mode={mode}").fetchall() != [(mode,)]:
                    raise StorageFailed(new, f"no journal of the kind {mode}")
            finally:
                connection.close()
            os.fsync(fd)
        finally:
            os.close(fd)
    except BaseException:
        with contextlib.suppress(OSError):
            clear(new)
        raise


def _hold(fd: int) -> None:
    """Lock the file, so that others see that somebody is at it; on Windows being open says so."""
    if os.name == "posix":
        with contextlib.suppress(OSError):
            native()[0](fd)


def clear(new: str) -> None:
    """Remove what was staged at `new`, and SQLite's files beside it, as far as they are there."""
    for suffix in ("-journal", "-wal", "-shm", ""):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(new + suffix)


def _begun(
    connection: sqlite3.Connection, events: Iterable[Event], stores: Sequence[Migrations]
) -> StagedTurn:
    """Begin the transaction, make the tables, insert the events, and set the triggers."""
    from .schema import migrate

    connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version={FORMAT}")
    connection.execute("BEGIN IMMEDIATE")
    migrate(connection, stores)
    for name in TRIGGERS:
        connection.execute(f"DROP TRIGGER {name}")
    last: Event | None = None
    for last in events:
        insert(connection, last)
    for sql in TRIGGERS.values():
        connection.execute(sql)
    return StagedTurn(connection, START if last is None else head_of(last))
