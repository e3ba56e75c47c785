"""Ledgers to measure on: small and large, empty, half held, and the real cluster's."""

from __future__ import annotations

import random
from pathlib import Path

import msgspec

import gpuledger
from gpuledger import Card, Limits, Pool, Server
from gpuledger.cli import poolsource, tracefile
from gpuledger.handle import Ledger
from gpuledger.replay import request as requests
from gpuledger.replay.actor import Actor
from gpuledger.replay.allocator import Allocator
from gpuledger.replay.facts import Asked, Cap, Placed
from gpuledger.replay.importing import Source
from gpuledger.replay.spent import SECOND_US
from gpuledger.replay.trace import TraceRow

HOUR_S = 3_600
CAPS = Cap(gpus=64, cpus=512, gpu_hours=1_000_000, lease=48 * HOUR_S)
BEGAN_US = 1_585_666_800 * SECOND_US
"""2020-03-31T15:00:00Z, when the pools of imported pasts were there."""

NOBODYS = "0" * 64


def pool(servers: int, *, gpus: int = 8, cpus: int = 64) -> Pool:
    """A pool of equal servers `gpu-server-0` …"""
    cards = tuple(Card(at) for at in range(gpus))
    return Pool(tuple(Server(f"gpu-server-{at}", cpus, cards) for at in range(servers)))


def empty(path: Path, *, servers: int = 4) -> Ledger:
    """A new ledger on which nothing is held."""
    gpuledger.init(str(path), pool(servers))
    return gpuledger.open(str(path))


def laden(path: Path, case: str, line: int) -> Ledger:
    """A ledger of five servers with what the case speaks of in place.

    Beside `plain` all scopes are limited; where somebody waits, `line` do, each another user, and
    the first server is held on a lease for which they wait; `unlike` ones want other CPUs.
    """
    plain = pool(5)
    limits = Limits() if case == "plain" else Limits(task=CAPS, user=CAPS, project=CAPS)
    gpuledger.init(str(path), Pool(plain.servers, limits))
    ledger = gpuledger.open(str(path))
    if "wait" in case:
        full = (Placed("gpu-server-0"),)
        ledger.allocate("holds", 8, 8, on=full, lease=40 * HOUR_S)
        allocator = Allocator(ledger.log)
        for at in range(line):
            cpus = 5 * (1 + at % 64) if "unlike" in case else 5
            gpus, servers, on = (8, 1, full) if "full" in case else (40, 5, ())
            wanted = Asked(f"waits-{at}", gpus, cpus, servers, lease=HOUR_S)
            allocator.join(requests.allocate(wanted, on), Actor(f"user-{at}"))
    return ledger


def aged(path: Path, events: int, *, servers: int = 4) -> Ledger:
    """A ledger with about so many events behind it, on which nothing is held now."""
    rows = []
    for at in range(events // 2):
        begun = BEGAN_US + at * SECOND_US
        rows.append(
            TraceRow(
                at + 2, f"job-{at}", f"user-{at % 40}", begun, 1 + at % 4,
                end=begun + SECOND_US // 2,
            )
        )  # fmt: skip
    return _imported(path, pool(servers), rows)


def half_held(path: Path, servers: int) -> Ledger:
    """A ledger of so many servers of 8 GPUs, on which half of the GPUs are held in uneven parts."""
    chance = random.Random(20_200_331)
    rows: list[TraceRow] = []
    held = 0
    while held < servers * 4:
        gpus = chance.choice((1, 1, 1, 2, 4, 8))
        at = len(rows)
        rows.append(
            TraceRow(at + 2, f"job-{at}", f"user-{at % 40}", BEGAN_US + at * SECOND_US, gpus)
        )
        held += gpus
    return _imported(path, pool(servers), rows)


def _imported(path: Path, of: Pool, rows: list[TraceRow]) -> Ledger:
    gpuledger.init(str(path), of, at=BEGAN_US)
    ledger = gpuledger.open(str(path))
    done = ledger.import_trace(Source("made", NOBODYS, tuple(rows)))
    assert done.granted == len(rows), done.refused[:3]
    return ledger


def helios_source(traces: Path, most: int | None = None) -> Source:
    """The Helios trace as `import` reads it, or its first `most` rows."""
    source = tracefile.read(str(traces / "helios.csv.gz"))
    return msgspec.structs.replace(source, rows=source.rows[:most])


def helios(path: Path, traces: Path, source: Source) -> Ledger:
    """A new ledger of Helios' 121 servers with these rows imported."""
    ledger = helios_founded(path, traces)
    done = ledger.import_trace(source)
    assert not done.refused, done.refused[:3]
    return ledger


def helios_founded(path: Path, traces: Path) -> Ledger:
    """A new ledger of Helios' 121 servers, nothing imported yet."""
    inventory = poolsource.pool_file(str(traces / "helios.pool.toml")).pool
    gpuledger.init(str(path), inventory, at=BEGAN_US)
    return gpuledger.open(str(path))
