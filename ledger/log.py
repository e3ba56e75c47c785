"""The seam: what a log of events offers, whichever engine keeps it.

Inside a turn the lock and the transaction are held and `head` is fixed but for what the
turn itself appends; what stores write on `connection` commits with the events or not at
all. The embedded log never conflicts inside a turn; a replicated one may raise HeadMoved,
and its caller would have to fold, decide and try again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from .event import Draft, Event, Head

if TYPE_CHECKING:
    import sqlite3

    from .mirrored import Mirrored


class Turn(Protocol):
    """One turn at the log. `now_us` is the wall clock as read inside it, raw.

    `mirrors` are the directories that the log is copied to after the commit, as its caller says;
    `mirrored` is then how that went.
    """

    head: Head
    connection: sqlite3.Connection
    now_us: int
    mirrors: tuple[str, ...]
    mirrored: tuple[Mirrored, ...]

    def append(self, draft: Draft, expected_head: Head) -> Event:
        """Append `draft` after `expected_head`; raise HeadMoved where the log ends elsewhere."""
        ...

    def prepare_mirror(self, directory: str) -> None:
        """Make ready for mirroring into `directory`; raise MirrorUnusable where that cannot be."""
        ...

    def find_key(self, actor: str, key: str) -> Event | None:
        """Return the event that `actor` recorded under the retry key `key`, if any."""
        ...

    def read(self, after: int, upto: int | None = None) -> Iterator[Event]:
        """Return the events with `after` < seq ≤ `upto`, the turn's own included."""
        ...


class Log(Protocol):
    """An ordered log of events."""

    path: str

    def head(self) -> Head:
        """Return where the log ends now."""
        ...

    def read(self, after: int, upto: int | None = None) -> Iterator[Event]:
        """Return the events with `after` < seq ≤ `upto`, by default the head as of now."""
        ...

    def turn(self, timeout_s: float = 60.0, *, last: bool = False) -> AbstractContextManager[Turn]:
        """Hold the log: committed where the block ends, undone where it raises.

        `last` says that no other turn follows, so that what it needs is closed with it.
        """
        ...

    def close(self) -> None:
        """Let go of everything; the log may be used again, which opens it anew."""
        ...
