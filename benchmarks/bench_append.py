"""Appending: a durable grant through the API beside a bare INSERT and synced COMMIT.

Both write to the same disk in the same run. A batch is no divisor of the events between two
snapshots, so that saving them falls on grants and on releases alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

import sample_ledgers as ledgers
from figure import RATE, Compare, Goal
from floors import BareInserts
from gpuledger.handle import Ledger
from gpuledger.ledger import tiles

WHOLE_TILES = 512
"""Events in a row that fill the same number of the tree's tiles each time: two."""


class Client:
    """Grants and gives back single GPUs through one open ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._numbers = count()
        self._running: list[str] = []

    def grant(self, batch: int) -> None:
        """So many grants, each a turn of its own."""
        for _ in range(batch):
            task = f"task-{next(self._numbers)}"
            self._ledger.allocate(task, 1, 4)
            self._running.append(task)

    def release(self) -> None:
        """Give all of them back, each in a turn of its own."""
        for task in self._running:
            self._ledger.release(task)
        self._running.clear()

    def grants(self, batch: int) -> Callable[[], Callable[[], object]]:
        """A side that times grants and gives the last batch back before."""

        def make_ready() -> Callable[[], object]:
            self.release()
            return lambda: self.grant(batch)

        return make_ready

    def releases(self, batch: int) -> Callable[[], Callable[[], object]]:
        """A side that times releases and grants a batch before."""

        def make_ready() -> Callable[[], object]:
            self.grant(batch)
            return self.release

        return make_ready


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with ledgers.empty(tmp_path / "fresh.db") as ledger:
        yield Client(ledger)


def test_grant(client: Client, bare: BareInserts, batch: int, compare: Compare) -> None:
    """A grant through the API beside a bare insert of a row as long."""
    compare(
        "grant through the API",
        client.grants(batch),
        lambda: lambda: bare.insert(batch),
        against="bare INSERT + synced COMMIT, no lock",
        goal=Goal("rate", 0.5),
        units=(batch, batch),
        rounds=60,
    )


def test_release(client: Client, bare: BareInserts, batch: int, compare: Compare) -> None:
    """A release through the API beside the same."""
    compare(
        "release through the API",
        client.releases(batch),
        lambda: lambda: bare.insert(batch),
        against="bare INSERT + synced COMMIT, no lock",
        goal=RATE,
        units=(batch, batch),
        rounds=40,
    )


def test_upkeep_of_the_tree(
    client: Client, tmp_path: Path, small: bool, monkeypatch: pytest.MonkeyPatch, compare: Compare
) -> None:
    """Grants and releases that keep the tree for checkpoints beside such as leave it alone."""
    events = 8 if small else WHOLE_TILES

    def turns(of: Client) -> None:
        for _ in range(events // 2):
            of.grant(1)
            of.release()

    def without() -> Callable[[], object]:
        def work() -> None:
            with monkeypatch.context() as patched:
                patched.setattr(tiles, "catch_up", lambda *_: None)
                turns(other)

        return work

    with ledgers.empty(tmp_path / "other.db") as ledger:
        other = Client(ledger)
        compare(
            "append with the upkeep of the tree",
            lambda: lambda: turns(client),
            without,
            against="append without it",
            goal=Goal("time", 1.1),
            units=(events, events),
            rounds=30,
        )


def test_grant_after_many_events(
    client: Client, tmp_path: Path, small: bool, batch: int, compare: Compare
) -> None:
    """A grant at the end of a long log beside one at the start of another."""
    events = 400 if small else 100_000
    with ledgers.aged(tmp_path / "aged.db", events) as ledger:
        compare(
            f"grant after {events:,} events",
            Client(ledger).grants(batch),
            client.grants(batch),
            against="grant on a fresh ledger",
            goal=Goal("time", 1.2),
            units=(batch, batch),
            rounds=60,
        )


def test_grant_on_many_servers(
    client: Client, tmp_path: Path, small: bool, batch: int, compare: Compare
) -> None:
    """A grant on a cluster of which half is held beside one on four servers."""
    servers = 30 if small else 1_250
    with ledgers.half_held(tmp_path / "wide.db", servers) as ledger:
        compare(
            f"grant on {servers:,} servers, half held",
            Client(ledger).grants(batch),
            client.grants(batch),
            against="grant on 4 servers",
            goal=Goal("time", 2.0),
            units=(batch, batch),
            rounds=60,
        )
