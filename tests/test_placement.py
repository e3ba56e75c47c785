"""Placement: best fit, the CPUs that come with GPUs, and totals divided evenly."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import drawn_pools
from brute_force import Bench, Wish, best
from chronicle import Chronicle
from gpuledger.replay.catalogue import PoolChanged
from gpuledger.replay.facts import Card, Limits, Pool, Server, Share
from gpuledger.replay.piece import ServerPiece
from gpuledger.replay.placement import Fleet, divide, place, usual_cpus
from small_pools import pool, server


def fresh(told: Chronicle) -> list[list[ServerPiece]]:
    """All answers of a fleet made anew: for each count of GPUs the servers, fullest first."""
    fleet = Fleet(told.state.servers())
    return [list(fleet.fullest_first(gpus)) for gpus in range(8)]


def kept(told: Chronicle) -> list[list[ServerPiece]]:
    """The same of the fleet that has followed every event."""
    return [list(told.state.fleet.fullest_first(gpus)) for gpus in range(8)]


def given_to(told: Chronicle, gpus: int, cpus: int | None = None, servers: int = 1) -> object:
    shares = place(told.state.fleet, servers, gpus, cpus)
    return shares and tuple((share.server, share.gpus, share.cpus) for share in shares)


@given(drawn_pools.benches(), st.integers(1, 6), st.none() | st.integers(1, 8), st.integers(1, 3))
def test_best_fit_is_that_of_the_model(
    drawn: list[Bench], gpus: int, cpus: int | None, servers: int
) -> None:
    """On each of N servers: enough CPUs, fewest free GPUs left, pool order, lowest indices."""
    told = drawn_pools.chronicle(drawn)
    whole = None if cpus is None else cpus * servers
    assert given_to(told, gpus, cpus, servers) == best(drawn, Wish(gpus * servers, whole, servers))


def test_the_fullest_server_that_fits_is_taken() -> None:
    """The server left with the fewest free GPUs wins over pool order, and CPUs only rule out."""
    told = Chronicle(Pool((server("big", 8, 64), server("small", 4, 32)), Limits()))
    assert given_to(told, 2) == (("small", (0, 1), 16),)
    told.grant("all-cpus", Share("small", (3,), 30))
    assert given_to(told, 2) == (("big", (0, 1), 16),)
    assert given_to(told, 2, 2) == (("small", (0, 1), 2),)


def test_pool_order_breaks_ties_by_place_not_by_name() -> None:
    """Among equals the first in the pool is taken, whatever the names, later ones come last."""
    told = Chronicle(Pool((server("zeta"), server("alpha")), Limits()))
    assert given_to(told, 1) == (("zeta", (0,), 8),)
    told.add(PoolChanged(drawn_pools.ROOT_DID, added=(server("aaa"),)))
    assert given_to(told, 4, None, 3) == tuple(
        (name, (0, 1, 2, 3), 32) for name in ("zeta", "alpha", "aaa")
    )


def test_the_lowest_indices_are_taken() -> None:
    """Indices need not begin at 0 nor be without gaps; the lowest free ones are taken."""
    facts = Server("s0", 32, tuple(Card(index) for index in (1, 3, 4, 9)))
    told = Chronicle(Pool((facts,), Limits()))
    told.grant("held", Share("s0", (3,), 1))
    assert given_to(told, 2) == (("s0", (1, 4), 16),)


@pytest.mark.parametrize(
    ("gpus", "cpus", "asked", "granted"),
    [
        (8, 64, 2, 16),
        (8, 65, 2, 16),
        (4, 2, 1, 1),
        (4, 2, 4, 1),
        (3, 8, 3, 6),
        (1, 1, 1, 1),
        (8, 192, 8, 192),
    ],
)
def test_cpus_not_given_are_the_servers_per_gpu(
    gpus: int, cpus: int, asked: int, granted: int
) -> None:
    """CPUs not given: the server's CPUs per GPU, floored, times the GPUs, at least 1."""
    told = Chronicle(pool(1, gpus, cpus))
    only = next(told.state.servers())
    assert usual_cpus(only, asked) == granted
    assert given_to(told, asked) == (("s0", tuple(range(asked)), granted),)


def test_each_server_gives_its_own_usual_cpus() -> None:
    """Over several servers, CPUs not given follow each server's own shape."""
    told = Chronicle(Pool((server("a", 4, 32), server("b", 4, 64)), Limits()))
    assert given_to(told, 2, None, 2) == (("a", (0, 1), 16), ("b", (0, 1), 32))


@given(st.integers(0, 500), st.lists(st.integers(1, 8), min_size=1, max_size=6))
def test_dividing_loses_nothing(cpus: int, counts: list[int]) -> None:
    """CPUs divided by GPUs named add up, and each part is its share rounded down or up."""
    parts = divide(cpus, tuple(counts))
    assert sum(parts) == cpus
    whole = sum(counts)
    for part, count in zip(parts, counts, strict=True):
        assert 0 <= part - cpus * count // whole <= 1


@given(drawn_pools.benches(), st.data())
def test_a_fleet_that_follows_is_a_fleet_made_anew(drawn: list[Bench], data: st.DataObject) -> None:
    """After any grants, releases and pool changes the kept order is that of a fresh one."""
    told = drawn_pools.chronicle(drawn)
    assert kept(told) == fresh(told)
    for step in range(data.draw(st.integers(1, 6))):
        running = [piece.id for piece in told.state.allocations()]
        free = [(s.facts.name, gpu) for s in told.state.servers() for gpu in s.free_gpus()]
        match data.draw(st.sampled_from("grant release add remove shrink".split())):
            case "grant" if free:
                name, gpu = data.draw(st.sampled_from(free))
                told.grant(f"t{step}", Share(name, (gpu,), 0))
            case "release" if running:
                told.release(data.draw(st.sampled_from(running)))
            case "add":
                new = server(f"n{step}", data.draw(st.integers(1, 7)))
                told.add(PoolChanged(drawn_pools.ROOT_DID, added=(new,)))
            case "remove":
                name = data.draw(st.sampled_from(told.state.pool.servers))
                told.add(PoolChanged(drawn_pools.ROOT_DID, removed=(name,)))
            case "shrink":
                name = data.draw(st.sampled_from(told.state.pool.servers))
                told.add(PoolChanged(drawn_pools.ROOT_DID, changed=(server(name, 1),)))
        if not told.state.pool.servers:
            return
        assert kept(told) == fresh(told)
