"""Hypothesis strategies: servers partly held on leases, with a line of requests before them."""

from __future__ import annotations

import random
from dataclasses import dataclass

from hypothesis import strategies as st

from brute_force import Bench, Shares, Wish
from chronicle import ROOT_DID, Chronicle
from drawn_pools import benches_of, shares_of
from gpuledger.replay.catalogue import AllocationGranted, PoolDrained, RequestQueued
from gpuledger.replay.facts import (
    Asked,
    By,
    Cap,
    Card,
    Limits,
    Place,
    Placed,
    Pool,
    Server,
    Share,
)
from line_model import Held, Waits, World

SECOND_US = 1_000_000
NAMES = ("s0", "s1", "s2", "s3")
USERS = {"ada": 1001, "bob": 1002}


@dataclass(frozen=True)
class Scene:
    """What is held, and who waits, in the order in which they came."""

    world: World
    waiting: tuple[Waits, ...]


@dataclass(frozen=True)
class Kind:
    """What scenes are drawn: whether each lease has an end, and whether users are limited."""

    leased: bool = False
    cap: bool = False


@st.composite
def scenes(draw: st.DrawFn, kind: Kind = Kind()) -> Scene:
    """One to four servers, mostly held, and up to eight requests, in all their forms.

    Sizes are Hypothesis' own, so that a failure shrinks; what fills them comes from a seed, since
    what is interesting here is crowded, and small values are not.
    """
    rng = random.Random(draw(st.integers(0, 2**32)))
    idle = tuple(_idle(rng, name) for name in NAMES[: draw(st.integers(1, 4))])
    world = World(idle, cap=rng.choice((None, 3, 4, 6)) if kind.cap else None)
    for _ in range(draw(st.integers(0, 8))):
        shares = _shares(rng, world.benches())
        if shares:
            end = _lease(rng, kind)
            world = world.holding(Held(shares, end, rng.choice(sorted(USERS))))
    count = draw(st.integers(1, 8))
    return Scene(world, tuple(_waits(rng, world, kind) for _ in range(count)))


def _idle(rng: random.Random, name: str) -> Bench:
    indices = sorted(rng.sample(range(6), rng.randint(2, 4)))
    cpus = rng.randint(1, 3) * len(indices)
    drained = {rng.choice(indices)} if rng.random() < 0.15 else set()
    return Bench(name, dict.fromkeys(indices), cpus, cpus, drained)


def _lease(rng: random.Random, kind: Kind) -> int | None:
    return rng.randint(1, 6) if kind.leased or rng.random() < 0.85 else None


def _shares(rng: random.Random, benches: list[Bench]) -> Shares:
    """Free GPUs and CPUs of one server, now and then of two."""
    found = []
    for bench in rng.sample(benches, min(len(benches), rng.choice((1, 1, 1, 2)))):
        free = [gpu for gpu, held in bench.gpus.items() if held is None]
        gpus = sorted(rng.sample(free, min(len(free), rng.randint(1, 3))))
        cpus = min(bench.cpus_free, bench.usual(len(gpus)) - rng.choice((0, 0, 1)))
        if gpus:
            found.append((bench.name, tuple(gpus), cpus))
    return tuple(found)


def _waits(rng: random.Random, world: World, kind: Kind) -> Waits:
    wish = _wish(rng, list(world.idle))
    priority = rng.choice((0, 0, 0, 0, 5))
    return Waits(wish, _lease(rng, kind), rng.choice(sorted(USERS)), priority)


def _wish(rng: random.Random, idle: list[Bench]) -> Wish:
    some = rng.sample(idle, rng.randint(1, min(2, len(idle))))
    cpus = rng.choice((None, None, None, 1, 2, 4))
    form = rng.random()
    if form < 0.25:
        exact = tuple(
            (one.name, tuple(sorted(rng.sample(sorted(one.gpus), rng.randint(1, 2)))))
            for one in some
        )
        return Wish(sum(len(gpus) for _, gpus in exact), cpus, exact=exact)
    on = tuple(one.name for one in some) if form < 0.4 else ()
    servers = rng.randint(1, len(on) or len(idle)) if form > 0.8 else 1
    each = rng.randint(1, 4)
    return Wish(each * servers, cpus and cpus * servers, servers, on)


def chronicle(scene: Scene) -> tuple[Chronicle, dict[int, Waits]]:
    """A log after which all stands as drawn at second 0, and the requests by their ids."""
    world = scene.world
    facts = tuple(Server(b.name, b.cpus, tuple(Card(gpu) for gpu in b.gpus)) for b in world.idle)
    told = Chronicle(Pool(facts, Limits(user=Cap(gpus=world.cap))))
    for number, held in enumerate(world.held):
        shares = tuple(Share(*share) for share in held.shares)
        grant(told, f"held-{number}", held, shares)
    for bench in world.idle:
        if bench.drained:
            told.add(
                PoolDrained(ROOT_DID, (Place(bench.name, tuple(sorted(bench.drained))),)),
                at=instant(0),
            )
    waiting = {}
    for number, one in enumerate(scene.waiting):
        wish, uid = one.wish, USERS[one.user]
        on = tuple(Placed(*exact) for exact in wish.exact) or tuple(map(Placed, wish.on))
        servers = len(wish.exact) or wish.servers
        asked = Asked(f"task-{number}", wish.gpus, wish.cpus, servers, lease=one.lease)
        queued = RequestQueued(
            one.user, asked, By(one.user, uid), uid, priority=one.priority, places=on
        )
        told.add(queued, at=instant(0))
        waiting[told.state.seq] = one
    return told, waiting


def instant(second: int) -> int:
    """The time of a second of the model: its first is that of the first event."""
    return (second + 1) * SECOND_US


def second(at: int) -> int:
    """The second of the model that a time is."""
    return at // SECOND_US - 1


def world_of(told: Chronicle, now: int, cap: int | None) -> World:
    """The state of a log as the model sees it."""
    idle = tuple(bench.bare() for bench in benches_of(told.state))
    for bench, server in zip(idle, told.state.servers(), strict=True):
        bench.drained |= set(server.drained)
    held = tuple(
        Held(shares_of(one), None if one.until is None else second(one.until), one.user)
        for one in told.state.allocations()
    )
    return World(idle, held, now, cap)


def grant(
    told: Chronicle, task: str, held: Held, shares: tuple[Share, ...], *, now: int = 0,
    request: int | None = None,
) -> None:  # fmt: skip
    """Append the grant of what is held."""
    uid, lease = USERS[held.user], None if held.end is None else held.end - now
    asked = Asked(task, sum(len(share.gpus) for share in shares), lease=lease)
    record = AllocationGranted(
        task, held.user, shares, asked, By(held.user, uid), uid, lease=lease, request=request
    )
    told.add(record, at=instant(now))
