"""Records for a log, drawn by a seed, mostly possible in the state that they meet.

Drawn without a look at the state most events would be void; these name what runs, what is
free and what is there, and now and then something else.
"""

from __future__ import annotations

from random import Random

from chronicle import ROOT_DID as BY
from chronicle import Chronicle
from gpuledger.replay.catalogue import (
    AllocationGranted,
    AllocationReleased,
    LedgerCreated,
    LedgerReset,
    Payload,
    PoolChanged,
    PoolDrained,
    PoolResumed,
    RequestRefused,
)
from gpuledger.replay.facts import Asked, Card, Limits, Place, Pool, Server, Share
from gpuledger.replay.state import State
from small_pools import pool

NAMES = ("s0", "s1", "s2", "s3", "no-such")
KINDS = (
    "grant grant grant grant grant release release change change change drain resume reset"
    " refuse create"
).split()


def chronicle(seed: int, events: int = 20) -> tuple[Chronicle, list[Payload]]:
    """A log in memory, and the records that it was told after its creation."""
    random, told = Random(seed), Chronicle(pool())
    payloads = []
    for _ in range(events):
        payloads.append(likely(random, told.state))
        told.add(payloads[-1])
    return told, payloads


def likely(random: Random, state: State) -> Payload:
    """A record of any kind, grants, ends and pool changes above all."""
    match random.choice(KINDS):
        case "grant":
            return _grant(random, state)
        case "release":
            return AllocationReleased(BY, _some(random, state), "owner")
        case "reset":
            return LedgerReset(BY, _all_or_some(random, state))
        case "drain":
            return PoolDrained(BY, _places(random, state))
        case "resume":
            return PoolResumed(BY, _places(random, state))
        case "refuse":
            return RequestRefused("allocate", random.choice(["ada", "bob"]), "no_gpus", BY)
        case "create":
            return LedgerCreated("1" * 32, 1, Pool(()), BY)
    return _change(random, state)


def _some(random: Random, state: State) -> tuple[int, ...]:
    running = [piece.id for piece in state.allocations()]
    if random.random() < 0.1:
        running += [*running[:1], 99]
    return tuple(random.sample(running, min(len(running), random.randint(0, 3))))


def _all_or_some(random: Random, state: State) -> tuple[int, ...]:
    every = tuple(piece.id for piece in state.allocations())
    return every if random.random() < 0.7 else _some(random, state)


def _grant(random: Random, state: State) -> AllocationGranted:
    """A grant of what is free, or nearly so; a share may have no GPU, or no CPU."""
    shares = []
    servers = list(state.servers())
    for server in random.choices(servers, k=random.randint(1, 2)) if servers else ():
        gpus = [*server.free_gpus()]
        if random.random() < 0.15:
            gpus += [*(card.index for card in server.facts.gpus), 9]
        taken = tuple(random.sample(gpus, random.randint(0, min(3, len(gpus)))))
        most = max(0, server.cpus_free) if random.random() < 0.9 else 60
        least = -1 if random.random() < 0.05 else 0
        shares.append(Share(server.facts.name, taken, random.randint(least, most)))
    if random.random() < 0.05:
        shares.append(Share("no-such", (0,), 1))
    user, uid = random.choice([("ada", 1001), ("bob", None)])
    task = random.choice(["t", "u"])
    return AllocationGranted(task, user, tuple(shares), Asked(task, 1), BY, uid)


def _places(random: Random, state: State) -> tuple[Place, ...]:
    """GPUs of servers, perhaps ones that are not there."""
    places = []
    for server in state.servers():
        if random.random() < 0.5:
            gpus = [card.index for card in server.facts.gpus] + [9] * (random.random() < 0.1)
            taken = random.sample(gpus, (len(gpus) + 1) // 2)
            places.append(Place(server.facts.name, tuple(taken)))
    return tuple(places) if places else (Place(random.choice(NAMES), ()),)


def _server(random: Random, name: str) -> Server:
    indices = sorted(random.sample(range(6), random.randint(0, 5)))
    uuids = [random.choice([None, None, "GPU-a", "GPU-b"]) for _ in indices]
    cards = tuple(Card(index, uuid) for index, uuid in zip(indices, uuids, strict=True))
    return Server(name, random.randint(0, 50), cards)


def _change(random: Random, state: State) -> PoolChanged:
    """A change of the pool, with the allocations that it ends."""
    here = list(state.pool.servers) or ["s0"]
    new = [name for name in NAMES[:4] if name not in here]
    if random.random() < 0.1:
        here, new = new or here, here
    what = random.choice(["add", "change", "remove", "all", "limits"])
    added = changed = ()
    if what in ("add", "all"):
        added = tuple(_server(random, name) for name in new[:1])
    if what in ("change", "all"):
        changed = (_server(random, random.choice(here)),)
    removed = (random.choice(here),) if what in ("remove", "all") else ()
    limits = Limits(random.randint(1, 4)) if what == "limits" else None
    ended = _all_or_some(random, state) if random.random() < 0.4 else ()
    return PoolChanged(BY, added, changed, removed, limits, ended=ended)
