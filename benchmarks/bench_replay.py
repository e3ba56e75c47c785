"""Replay: the state from the log alone, beside a peer's replay and a bare scan of the rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import floors
import sample_ledgers as ledgers
from figure import Compare, Goal
from gpuledger.handle import Ledger
from gpuledger.replay.past import replayed
from gpuledger.replay.state import replay
from peer import Peer

EVENTS = 20_000
SERVERS = 4


@dataclass(frozen=True)
class Long:
    """A ledger with many grants and releases behind it."""

    ledger: Ledger
    events: int
    path: Path


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory, small: bool) -> Iterator[Long]:
    path = tmp_path_factory.mktemp("replay") / "long.db"
    with ledgers.aged(path, 400 if small else EVENTS, servers=SERVERS) as ledger:
        yield Long(ledger, ledger.head().seq, path)


@pytest.fixture
def peer(long: Long, tmp_path: Path) -> Iterator[Peer]:
    made = Peer(tmp_path / "peer.db", long.events, SERVERS)
    yield made
    made.close()


def from_the_log(long: Long) -> Callable[[], object]:
    """Replay every event, each checked against the chain."""

    def work() -> None:
        assert replay(long.ledger.log.read(0)).seq == long.events

    return work


def test_replay_beside_a_peer(long: Long, peer: Peer, compare: Compare) -> None:
    """Replay, a hash checked at each event, beside `eventsourcing`'s of as many events."""
    compare(
        f"replay of {long.events:,} events, chain checked",
        lambda: from_the_log(long),
        lambda: peer.replay,
        against="eventsourcing, SQLite, no chain",
        goal=Goal("rate", 2.5),
        units=(long.events, peer.events),
        rounds=20,
    )


def test_replay_beside_a_scan(long: Long, compare: Compare) -> None:
    """Replay beside fetching the same rows."""
    bare = floors.read_only(long.path)
    compare(
        f"replay of {long.events:,} events, chain checked",
        lambda: from_the_log(long),
        lambda: lambda: floors.scan(bare),
        against="bare scan of the rows",
        units=(long.events, long.events),
        rounds=20,
    )
    bare.close()


def test_replay_with_its_past(long: Long, compare: Compare) -> None:
    """Replay with every ended holding kept, as reports do without stores, beside a hashed scan."""
    bare = floors.read_only(long.path)
    compare(
        f"replay of {long.events:,} events with all holdings",
        lambda: lambda: replayed(long.ledger.log, []),
        lambda: lambda: floors.scan_and_hash(bare),
        against="bare scan + SHA-256",
        units=(long.events, long.events),
        rounds=20,
    )
    bare.close()


def test_rebuild(long: Long, compare: Compare) -> None:
    """Making snapshot and projections anew, committed and synced, beside a hashed scan."""
    bare = floors.read_only(long.path)
    compare(
        f"rebuild from {long.events:,} events",
        lambda: long.ledger.rebuild,
        lambda: lambda: floors.scan_and_hash(bare),
        against="bare scan + SHA-256",
        units=(long.events, long.events),
        rounds=8,
    )
    bare.close()
