"""Records for a log, drawn by a seed, mostly possible in the state that they meet.

Drawn without a look at the state most events would be void; these name what runs, what is
free and what is there, and now and then something else.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from chronicle import ROOT_DID as BY
from chronicle import Chronicle
from gpuledger.replay.catalogue import (
    AllocationExtended,
    AllocationGranted,
    AllocationReleased,
    LedgerCreated,
    LedgerReset,
    Payload,
    PoolChanged,
    PoolDrained,
    PoolResumed,
    RequestCancelled,
    RequestQueued,
    RequestRefused,
)
from gpuledger.replay.facts import (
    Asked,
    AskedExtend,
    Cap,
    Card,
    Extension,
    Limits,
    Member,
    Place,
    Placed,
    Pool,
    Process,
    Project,
    Server,
    Share,
    Tie,
)
from gpuledger.replay.piece import WaitingPiece
from gpuledger.replay.state import State
from small_pools import pool

HOUR = 3_600_000_000
TIE = Tie("login", "b" * 32, 4026531836, (Process(7, 100), Process(8, 101)))
NAMES = ("s0", "s1", "s2", "s3", "no-such")
KINDS = (
    "grant grant grant grant grant release release change change change drain resume reset"
    " refuse create extend queue queue cancel"
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
    return DRAWN[random.choice(KINDS)](random, state)


def _release(random: Random, state: State) -> Payload:
    return AllocationReleased(BY, _some(random, state), "owner")


def _reset(random: Random, state: State) -> Payload:
    return LedgerReset(BY, _all_or_some(random, state))


def _drain(random: Random, state: State) -> Payload:
    return PoolDrained(BY, _places(random, state))


def _resume(random: Random, state: State) -> Payload:
    return PoolResumed(BY, _places(random, state))


def _refuse(random: Random, _state: State) -> Payload:
    return RequestRefused("allocate", random.choice(["ada", "bob"]), "no_gpus", BY)


def _create(_random: Random, _state: State) -> Payload:
    return LedgerCreated("1" * 32, 1, Pool(()), BY)


def _extend(random: Random, state: State) -> Payload:
    every = tuple(Extension(number, state.head.at + HOUR) for number in _some(random, state))
    return AllocationExtended(BY, every, AskedExtend(("t",), 60))


def _cancel(random: Random, state: State) -> Payload:
    return RequestCancelled(BY, tuple(_waiting(random, state, 0.1)), "owner")


def _waiting(random: Random, state: State, wrong: float) -> list[int]:
    """Requests that wait, some of them, and sometimes one that does not."""
    found = [piece.id for piece in state.pieces.values() if isinstance(piece, WaitingPiece)]
    if random.random() < wrong:
        found += [*found[:1], 99]
    return random.sample(found, min(len(found), random.randint(0, 2)))


def _queue(random: Random, state: State) -> RequestQueued:
    """A request that waits, tied to a process or not."""
    user, uid = random.choice([("ada", 1001), ("bob", None)])
    return RequestQueued(
        user,
        Asked("t", 4, lease=random.choice([None, 3600])),
        BY,
        uid,
        project=random.choice([None, "vision"]),
        priority=random.randint(-1, 1),
        places=random.choice([(), (Placed("s0"), Placed("s1", (0,)))]),
        until=random.choice([None, state.head.at + HOUR]),
        waiter=random.choice([None, TIE]),
        port=random.choice([None, 40_000]),
    )


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
    served = _waiting(random, state, 0.1) or [None]
    return AllocationGranted(
        task,
        user,
        tuple(shares),
        Asked(task, 1),
        BY,
        uid,
        project=random.choice([None, "vision", "sound"]),
        lease=random.choice([None, 60, 7200]),
        tie=random.choice([None, TIE]),
        request=served[0],
    )


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
    what = random.choice(["add", "change", "remove", "all", "limits", "caps"])
    added = changed = ()
    if what in ("add", "all"):
        added = tuple(_server(random, name) for name in new[:1])
    if what in ("change", "all"):
        changed = (_server(random, random.choice(here)),)
    removed = (random.choice(here),) if what in ("remove", "all") else ()
    limits = Limits(random.randint(1, 4)) if what == "limits" else None
    projects = members = None
    if what == "caps":
        limits = Limits(None, *(_cap(random) for _ in range(3)))
        projects = random.choice([None, (), (Project("vision", 3, _cap(random)),)])
        members = random.choice([None, (), (Member("ada", "uid:1001", None, _cap(random)),)])
    ended = _all_or_some(random, state) if random.random() < 0.4 else ()
    return PoolChanged(
        BY, added, changed, removed, limits, ended=ended, projects=projects, members=members
    )


def _cap(random: Random) -> Cap:
    """A cap that limits GPU-hours in a short window, or nothing."""
    return Cap(gpu_hours=5, window=random.choice([1, 60, 3600])) if random.random() < 0.5 else Cap()


DRAWN: dict[str, Callable[[Random, State], Payload]] = {
    "grant": _grant,
    "release": _release,
    "change": _change,
    "drain": _drain,
    "resume": _resume,
    "reset": _reset,
    "refuse": _refuse,
    "create": _create,
    "extend": _extend,
    "queue": _queue,
    "cancel": _cancel,
}
