"""Two at one verification: another process checks rows and hashes ahead of the one that folds.

What it vouches for is one record for each run of rows: where it ends, the hash there, and the
roots of the tree's tiles in it; and that nobody was granted what another holds. It stops at the
first run in which anything is wrong; from there on the other goes alone, and finds what it is.

What keeps it honest: it is this program, started by this one, and checks the same file by the
same code (`RunCheck`, `Book`, `complete`). The one that folds reads every row itself, and goes on
only where as many rows as were vouched for end with the hash that was; it holds the roots against
what is stored and kept. What is said of other rows, garbled or not said at all costs time alone:
those rows are then checked here. It believes a hash that it did not make itself: whoever can put
another program in this one's place needs no lie of a second process.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, nullcontext
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec

from .checked_book import Book
from .checked_reading import Checked, Raw, plain_run, whole_run
from .checked_rows import ChainCheck
from .checked_runs import RunCheck
from .checked_tree import WIDTH, complete

SIZE = 8 + 32 + 32
"""Bytes of a record without its tiles: seq, hash, and a sum over all of it."""


class Sound(msgspec.Struct, frozen=True):
    """All is well up to `seq`, whose event has this hash; `tiles` are roots of 256 leaves."""

    seq: int
    hash: bytes
    tiles: tuple[bytes, ...] = ()

    def packed(self) -> bytes:
        """The record as it is sent: its length in two bytes, and what `unpacked` reads."""
        told = self.seq.to_bytes(8, "big") + self.hash + b"".join(self.tiles)
        told += sha256(told).digest()
        return len(told).to_bytes(2, "big") + told


def unpacked(told: bytes) -> Sound | None:
    """The record that `packed` made, without its length; None where it is none."""
    body, own = told[:-32], told[-32:]
    if len(told) < SIZE or len(told) % 32 != SIZE % 32 or sha256(body).digest() != own:
        return None
    tiles = tuple(body[at : at + 32] for at in range(40, len(body), 32))
    return Sound(int.from_bytes(body[:8], "big"), body[8:40], tiles)


class Run(NamedTuple):
    """Rows in which all is well: what the data of each says, None where the other process has
    also counted who holds what; `tiles` are roots of 256 leaves, where they are known.
    """

    rows: list[Raw]
    values: list[Any] | None
    tiles: tuple[bytes, ...] = ()


Ahead = Callable[[], Sound | None]
"""Waits for the next record; None where no more comes."""

Second = Callable[[int], AbstractContextManager[Ahead]]
"""Begins to check a log up to a head, in another process."""


def nobody(_head: int) -> AbstractContextManager[Ahead]:
    """No other process helps."""
    return nullcontext(lambda: None)


def ahead(log: Checked, head: int) -> Iterator[Sound]:
    """Check row by row from the first event up to `head`, as long as all is well."""
    check, book, seq, at, link = RunCheck(), Book([]), 0, 0, bytes(32)
    while seq < head:
        rows = whole_run(log, seq, head)
        values = check.values(rows, seq, at, link)
        if not rows or values is None:
            return
        book.take_run(rows, values)
        if book.problems:
            return
        seq, at, *_, link = rows[-1]
        leaves = [row[8] for row in rows]
        full = range(0, len(leaves) - WIDTH + 1, WIDTH)
        yield Sound(seq, link, tuple(complete(leaves[one : one + WIDTH]) for one in full))


class Runs:
    """Hands over runs of rows in which all is well, checked here or by the other process."""

    def __init__(self, log: Checked, head: int, chain: ChainCheck, ahead: Ahead) -> None:
        self._log = log
        self._head = head
        self._chain = chain
        self._ahead: Ahead | None = ahead

    def next(self, after: int) -> Run | None:
        """The rows behind `after`; None where something is wrong with them."""
        sound = None if self._ahead is None else self._ahead()
        if sound is not None:
            rows = plain_run(self._log, after, sound.seq)
            if self._chain.take_run(rows, sound.seq, sound.hash):
                if after == 0:
                    self._chain.book.name(rows[0])
                return Run(rows, None, sound.tiles)
        self.alone(after, ())
        rows = whole_run(self._log, after, self._head)
        values = self._chain.check_run(rows)
        return None if values is None else Run(rows, values)

    def alone(self, seq: int, voids: Collection[int]) -> None:
        """Go on behind `seq` without the other process, which takes no event for void: those up
        to there of which it knew who holds what are read again.
        """
        if self._ahead is not None:
            self._ahead = None
            self._chain.book.catch_up(self._log, seq, voids)
