"""A log in memory, with the tables of a ledger file: thousands of them are made in a minute."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TypeVar

from gpuledger.ledger.chain import seal
from gpuledger.ledger.event import START, Draft, Event, Head
from gpuledger.ledger.row import head_in, insert, read_events
from gpuledger.ledger.schema import migrate
from gpuledger.ledger.staging import StagedTurn
from gpuledger.replay.store_schema import STORES

Found = TypeVar("Found")
ALL = 10**9


@cache
def _template() -> bytes:
    """The empty tables, as a file would hold them."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute("BEGIN")
    migrate(connection, STORES)
    connection.execute("COMMIT")
    return connection.serialize()


class MemoryTurn(StagedTurn):
    """A turn at the log in memory, which nobody else has either; `now_us` is the time in it."""

    def __init__(self, connection: sqlite3.Connection, now_us: int) -> None:
        super().__init__(connection, head_in(connection))
        self.now_us = now_us


class MemoryLog:
    """A log of which `first` is the first event; `clock_us` says the time of each turn."""

    path = ":memory:"

    def __init__(self, first: Draft, clock_us: Callable[[], int]) -> None:
        self._connection = sqlite3.connect(":memory:", isolation_level=None)
        self._connection.deserialize(_template())
        insert(self._connection, seal(first, START))
        self._clock_us = clock_us

    def head(self) -> Head:
        """Where the log ends."""
        return head_in(self._connection)

    def read(self, after: int, upto: int | None = None) -> Iterator[Event]:
        """The events after a seq, up to another."""
        return iter(read_events(self._connection, after, ALL if upto is None else upto, ALL))

    def reading(self, ask: Callable[[sqlite3.Connection], Found]) -> Found:
        """What `ask` finds in the tables."""
        return ask(self._connection)

    @contextmanager
    def turn(self, timeout_s: float = 60.0, *, last: bool = False) -> Generator[MemoryTurn]:
        """One turn: committed where the block ends, undone where it raises."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield MemoryTurn(self._connection, self._clock_us())
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def close(self) -> None:
        """Let go of the memory."""
        self._connection.close()
