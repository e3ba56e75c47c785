"""Audit on the real cluster: 121 servers, 15,000 jobs, each question beside its floor; and the
verification and the checkpoint of a million events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from random import Random
from sqlite3 import Connection

import msgspec
import pytest

import floors
import sample_ledgers as ledgers
from figure import Compare, Goal
from gpuledger import second
from gpuledger.handle import Ledger
from gpuledger.replay.checked_reading import whole_run
from gpuledger.replay.checked_runs import RunCheck
from gpuledger.replay.checked_tree import TreeCheck
from gpuledger.replay.importing import Source
from gpuledger.replay.interval import Window
from gpuledger.replay.problem import Problem

FIRST_FEW = 300
FEW = 3_000
MILLION = 1_000_000
DAY_US = 86_400 * ledgers.SECOND_US


@dataclass(frozen=True)
class Helios:
    """The trace imported, and a bare connection to the same file."""

    ledger: Ledger
    bare: Connection
    events: int
    whole: Window


@pytest.fixture(scope="module")
def source(traces: Path, small: bool) -> Source:
    return ledgers.helios_source(traces, FIRST_FEW if small else None)


@pytest.fixture(scope="module")
def helios(
    source: Source, traces: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Helios]:
    path = tmp_path_factory.mktemp("helios") / "helios.db"
    with ledgers.helios(path, traces, source) as ledger:
        head = ledger.head()
        bare = floors.read_only(path)
        yield Helios(ledger, bare, head.seq, Window(ledgers.BEGAN_US, head.at + 1))
        bare.close()


def test_who(helios: Helios, compare: Compare) -> None:
    """Who held one GPU in all of the past, a random GPU each time, in an open ledger."""
    chance = Random(20_200_331)
    names = helios.ledger.state().pool.servers
    servers = [chance.choice(names) for _ in range(200)]
    ours, theirs = cycle(servers), cycle(servers)
    compare(
        "who held a GPU of Helios",
        lambda: lambda: helios.ledger.who(next(ours), (chance.randrange(8),)),
        lambda: lambda: floors.holdings(helios.bare, next(theirs)),
        against="bare SELECT of the server's holdings",
        goal=Goal("time", within_s=0.010),
        rounds=200,
    )


def test_usage(helios: Helios, compare: Compare) -> None:
    """Usage by user over the whole trace beside fetching every ended holding."""
    compare(
        "usage of Helios by user",
        lambda: lambda: helios.ledger.usage(helios.whole),
        lambda: lambda: floors.holdings(helios.bare),
        against="bare SELECT of all holdings",
        rounds=20,
    )


def test_history_of_a_day(helios: Helios, compare: Compare) -> None:
    """What ran in one day in the middle beside fetching every ended holding."""
    middle = (helios.whole.from_us + helios.whole.to_us) // 2
    compare(
        "history of one day of Helios",
        lambda: lambda: helios.ledger.history(Window(middle, middle + DAY_US)),
        lambda: lambda: floors.holdings(helios.bare),
        against="bare SELECT of all holdings",
        rounds=20,
    )


def test_state_in_the_past(helios: Helios, compare: Compare) -> None:
    """The state in the middle of the past beside a scan of the events before it."""
    middle = (helios.whole.from_us + helios.whole.to_us) // 2
    upto = helios.ledger.state(middle).seq
    compare(
        f"state at a past instant, after {upto:,} events",
        lambda: lambda: helios.ledger.state(middle),
        lambda: lambda: floors.scan(helios.bare, upto),
        against="bare scan of the events before",
        units=(upto, upto),
        rounds=20,
    )


def test_verify(helios: Helios, compare: Compare) -> None:
    """The whole verification beside a scan that chains the rows by SHA-256."""
    assert helios.ledger.verify().ok
    compare(
        f"verify {helios.events:,} events of Helios",
        lambda: helios.ledger.verify,
        lambda: lambda: floors.scan_and_hash(helios.bare),
        against="bare scan + SHA-256",
        units=(helios.events, helios.events),
        rounds=8,
    )


@dataclass(frozen=True)
class Long:
    """A ledger with a long past, and a bare connection to the same file."""

    ledger: Ledger
    bare: Connection
    events: int


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory, small: bool) -> Iterator[Long]:
    path = tmp_path_factory.mktemp("long") / "long.db"
    with ledgers.aged(path, FEW if small else MILLION) as ledger:
        bare = floors.read_only(path)
        yield Long(ledger, bare, ledger.head().seq)
        bare.close()


def chain_and_tree(long: Long) -> None:
    """Every row's hash and link, its place in both indexes, and the tree over all hashes."""
    log, problems = long.ledger.log, list[Problem]()
    check, tree = RunCheck(), TreeCheck(log, (), problems)
    seq, at, link = 0, 0, bytes(32)
    while seq < long.events:
        rows = whole_run(log, seq, long.events)
        assert check.chained(rows, seq, at, link)
        tree.follow_run([row[8] for row in rows])
        seq, at, *_, link = rows[-1]
    tree.finish("")
    assert not problems


def test_chain_of_a_million(long: Long, compare: Compare) -> None:
    """Chain and tree alone, as `audit verify` checks them, beside a scan that chains the rows."""
    compare(
        f"chain and tree of {long.events:,} events",
        lambda: lambda: chain_and_tree(long),
        lambda: lambda: floors.scan_and_hash(long.bare),
        against="bare scan + SHA-256",
        goal=Goal("time", 2),
        units=(long.events, long.events),
        rounds=6,
    )


def test_verify_a_million(long: Long, compare: Compare) -> None:
    """The whole verification, folded, with invariants and stores, by two processes."""
    assert long.ledger.verify().ok
    compare(
        f"verify {long.events:,} events",
        lambda: long.ledger.verify,
        lambda: lambda: floors.scan_and_hash(long.bare),
        against="bare scan + SHA-256",
        goal=Goal("time", 6),
        units=(long.events, long.events),
        rounds=6,
    )


def test_verify_a_million_alone(
    long: Long, compare: Compare, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same by one process."""
    monkeypatch.setattr(second, "_processors", lambda: 1)
    compare(
        f"verify {long.events:,} events by one process",
        lambda: long.ledger.verify,
        lambda: lambda: floors.scan_and_hash(long.bare),
        against="bare scan + SHA-256",
        units=(long.events, long.events),
        rounds=3,
    )


def test_checkpoint_of_a_million(long: Long, compare: Compare) -> None:
    """The root that a checkpoint signs, made from all hashes, beside a scan that chains rows."""
    compare(
        f"checkpoint of {long.events:,} events",
        lambda: long.ledger.tree,
        lambda: lambda: floors.scan_and_hash(long.bare),
        against="bare scan + SHA-256",
        goal=Goal("time", 1),
        units=(long.events, long.events),
        rounds=6,
    )


def test_import(
    helios: Helios, source: Source, traces: Path, tmp_path: Path, compare: Compare
) -> None:
    """The import, rows to commit, beside encoding, hashing and inserting as many events in bulk."""
    values = [msgspec.json.decode(event.data) for event in helios.ledger.log.read(0)]
    made: list[Ledger] = []

    def ours() -> Callable[[], object]:
        ledger = ledgers.helios_founded(tmp_path / f"import-{len(made)}.db", traces)
        made.append(ledger)
        return lambda: ledger.import_trace(source)

    rows = len(source.rows)
    compare(
        f"import of {rows:,} rows of Helios",
        ours,
        lambda: lambda: floors.bulk_insert(tmp_path / "bulk.db", values),
        against="bare encode, hash, insert of as many events",
        units=(rows, rows),
        rounds=6,
    )
    for ledger in made:
        ledger.close()
