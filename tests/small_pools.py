"""Small pools and actors for tests, and ledgers made of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from gpuledger.handle import Ledger, init
from gpuledger.ledger import clock
from gpuledger.replay.actor import Actor
from gpuledger.replay.facts import Card, Limits, Pool, Server

ROOT = Actor("root", 0)
ADA = Actor("ada", 1001)
BOB = Actor("bob", 1002)


def server(name: str, gpus: int = 4, cpus: int = 32, *, uuids: str | None = None) -> Server:
    """A server with GPUs 0, 1, 2 …; with UUIDs `<uuids>-<index>` where a stem is given."""
    cards = (Card(at, None if uuids is None else f"{uuids}-{at}") for at in range(gpus))
    return Server(name, cpus, tuple(cards))


def pool(
    servers: int = 2, gpus: int = 4, cpus: int = 32, *, gpus_per_task: int | None = None
) -> Pool:
    """A pool of equal servers `s0`, `s1` …"""
    made = tuple(server(f"s{at}", gpus, cpus) for at in range(servers))
    return Pool(made, Limits(gpus_per_task))


def ledger(
    path: Path,
    of: Pool | None = None,
    *,
    actor: Actor = ROOT,
    clock_us: Callable[[], int] = clock.now_us,
) -> Ledger:
    """A ledger made at `path` by root, opened for `actor`."""
    init(path, pool() if of is None else of, actor=ROOT)
    return Ledger(str(path), actor=actor, clock_us=clock_us)
