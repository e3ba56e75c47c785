"""The line held against a model that tries everything: order, backfill, what hinders whom."""

from __future__ import annotations

from hypothesis import given, settings

import drawn_lines
from brute_force import Shares, best
from chronicle import Chronicle
from drawn_lines import Kind, Scene, instant
from gpuledger.replay.catalogue import AllocationReleased
from gpuledger.replay.facts import By, Share
from gpuledger.replay.line import forecast, serve
from line_model import Held, Waits, World, heads, possible, ways_on_one

many = settings(max_examples=20 * settings.default.max_examples)
"""Most scenes are settled by their first requests; what is rare takes many of them."""


def served(told: Chronicle, now: int) -> dict[int, Shares]:
    """What the line gives away at a second, as plain tuples."""
    found = serve(told.state, told.state.docket.line(), instant(now))
    return {
        number: tuple((share.server, share.gpus, share.cpus) for share in shares)
        for number, shares in found.items()
    }


def in_order(waiting: dict[int, Waits]) -> list[tuple[int, Waits]]:
    return sorted(waiting.items(), key=lambda one: (-one[1].priority, one[0]))


def end_of(one: Waits, now: int) -> int | None:
    return None if one.lease is None else now + one.lease


def must_wait(world: World, one: Waits, ahead: list[Waits]) -> None:
    """Whoever is not served though there is room would hinder somebody ahead, however placed."""
    firsts = heads(world, [other.wish for other in ahead])
    end = end_of(one, world.now)
    wish = one.wish
    usual = best(world.benches(), wish)
    assert usual is not None
    single = wish.servers == 1 and not wish.exact
    ways = ways_on_one(world.benches(), wish) if single else iter([usual])
    for way in ways:
        assert any(world.hindered(head, Held(way, end)) for head in firsts), (way, firsts)


def may_go(world: World, one: Waits, ahead: list[Waits], shares: Shares) -> None:
    """Whoever is served gets what is free and hinders nobody ahead; the best, if nobody is."""
    assert possible(world.benches(), one.wish, shares)
    if not ahead:
        assert shares == best(world.benches(), one.wish)
    for head in heads(world, [other.wish for other in ahead]):
        assert not world.hindered(head, Held(shares, end_of(one, world.now)))


@many
@given(drawn_lines.scenes(Kind(cap=True)))
def test_who_is_served_is_that_of_the_model(scene: Scene) -> None:
    """First come first served by priority; past who is blocked only who delays none of the firsts."""
    told, waiting = drawn_lines.chronicle(scene)
    found, world = served(told, 0), scene.world
    blocked: list[Waits] = []
    for number, one in in_order(waiting):
        if not world.ready(one):
            assert number not in found
        elif number in found:
            may_go(world, one, blocked, found[number])
            world = world.holding(Held(found[number], end_of(one, 0), one.user))
        elif best(world.benches(), one.wish) is None:
            blocked.append(one)
        else:
            must_wait(world, one, blocked)
    assert list(found) == [number for number, _ in in_order(waiting) if number in found]
