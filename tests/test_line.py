"""The line held against a model that tries everything: order, backfill, what hinders whom."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given, settings

import drawn_lines
from brute_force import Bench, Shares, Wish, best
from chronicle import ROOT_DID, Chronicle
from drawn_lines import Kind, Scene, instant, second
from gpuledger.replay.catalogue import AllocationReleased, PoolDrained
from gpuledger.replay.facts import Place
from gpuledger.replay.fold import decode
from gpuledger.replay.line import forecast, serve
from gpuledger.replay.piece import state_hash
from line_model import Held, Waits, World, heads, possible, ways_on_one

many = settings(max_examples=min(6 * settings.default.max_examples, 6_000))
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
    """First come, first served by priority; past the blocked only who delays no first of them."""
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


def play(told: Chronicle, waiting: dict[int, Waits], cap: int | None) -> Iterator[World]:
    """Let all leases run to their ends and serve whoever can be; the world after each instant."""
    now = 0
    while True:
        for number, shares in serve(told.state, told.state.docket.line(), instant(now)).items():
            one = waiting[number]
            held = Held((), end_of(one, now), one.user)
            drawn_lines.grant(told, f"task-{number}", held, shares, now=now, request=number)
        yield drawn_lines.world_of(told, now, cap)
        first = told.state.docket.first_end()
        if first is None:
            return
        now = second(first[0])
        while (due := told.state.docket.due(instant(now))) is not None:
            ended = AllocationReleased(ROOT_DID, (due[1],), "lease")
            told.add(ended, at=instant(now))


def started(told: Chronicle) -> dict[int, int]:
    """When each request was granted, by the events alone."""
    grants = ((event, decode(event)) for event in told.events if event.kind.endswith("granted"))
    return {grant.request: second(event.at) for event, grant in grants if grant.request}


@many
@given(drawn_lines.scenes(Kind(cap=True)))
def test_a_forecast_comes_true(scene: Scene) -> None:
    """If leases run to their ends and nobody comes, each starts just when the forecast says."""
    told, waiting = drawn_lines.chronicle(scene)
    told_before = forecast(told.state, instant(0))
    before = state_hash(told.state.pieces)
    for _ in play(told, waiting, scene.world.cap):
        pass
    assert {number: second(at) for number, at in told_before.items()} == started(told)
    again, _ = drawn_lines.chronicle(scene)
    assert state_hash(again.state.pieces) == before, "a forecast moves nothing"


@many
@given(drawn_lines.scenes())
def test_the_first_in_line_starts_no_later_for_others(scene: Scene) -> None:
    """Whoever is first and blocked starts when he would, at the latest, if nobody passed him."""
    told, waiting = drawn_lines.chronicle(scene)
    latest: dict[int, int] = {}
    for world in play(told, waiting, None):
        left = [(number, one) for number, one in in_order(waiting) if number in waiting_in(told)]
        first = next(((n, one) for n, one in left if world.could(one.wish)), None)
        at = None if first is None else world.start(first[1].wish)
        if first is not None and at is not None:
            latest[first[0]] = min(at, latest.get(first[0], at))
    starts = started(told)
    for number, at in latest.items():
        assert starts[number] <= at


def waiting_in(told: Chronicle) -> set[int]:
    return set(told.state.docket.waiting)


def scene(*waiting: Waits, held: tuple[Held, ...] = ()) -> tuple[Chronicle, dict[int, Waits]]:
    """Two servers of four GPUs and four CPUs."""
    idle = tuple(Bench(name, dict.fromkeys(range(4)), 4, 4) for name in ("s0", "s1"))
    return drawn_lines.chronicle(Scene(World(idle, held), waiting))


def test_who_would_delay_nobody_elsewhere_is_put_there() -> None:
    """One GPU goes to the empty server where the fuller one is waited for by name."""
    whole = Waits(Wish(4, on=("s0",)))
    told, waiting = scene(whole, Waits(Wish(1)), held=(Held((("s0", (0,), 1),), None),))
    assert served(told, 0) == {max(waiting): (("s1", (0,), 1),)}


def test_gpus_that_are_named_are_left_alone() -> None:
    """Where two GPUs are waited for by number, others get the rest of the server."""
    exact = Waits(Wish(2, exact=(("s0", (0, 1)),)))
    rest = Waits(Wish(1, on=("s0",)))
    told, _ = scene(exact, rest, rest, rest, held=(Held((("s0", (0,), 1),), None),))
    assert [shares[0][:2] for shares in served(told, 0).values()] == [("s0", (2,)), ("s0", (3,))]


def test_behind_one_whom_no_lease_tells_of_nobody_passes() -> None:
    """Two free GPUs stay free where all eight are waited for and a holder has no lease."""
    told, _ = scene(
        Waits(Wish(8, servers=2)), Waits(Wish(1), lease=1), held=(Held((("s0", (0, 1), 2),), None),)
    )
    assert served(told, 0) == {}


def test_each_server_has_a_first_in_line() -> None:
    """Behind one who waits for s0 for ever, who waits for a whole server is passed by nobody."""
    held = (Held((("s0", (0,), 1),), None), Held((("s1", (0,), 1),), None))
    told, _ = scene(Waits(Wish(4, on=("s0",))), Waits(Wish(4)), Waits(Wish(1), 1), held=held)
    assert served(told, 0) == {}


def test_one_whom_drains_shut_out_holds_up_nobody() -> None:
    """A request for a drained GPU waits for the drain to end, and others do not wait for it."""
    told, waiting = scene(Waits(Wish(1, exact=(("s0", (3,)),))), Waits(Wish(3, on=("s0",))))
    told.add(PoolDrained(ROOT_DID, (Place("s0", (3,)),)))
    assert list(served(told, 2)) == [max(waiting)]


def test_a_limit_counts_what_the_same_look_gives_away() -> None:
    """Of two requests of a user with room for one, the second waits and lets others go."""
    idle = (Bench("s0", dict.fromkeys(range(4)), 4, 4),)
    two = Wish(2)
    line = (Waits(two), Waits(two), Waits(two, user="bob"))
    told, waiting = drawn_lines.chronicle(Scene(World(idle, cap=2), line))
    first, _, third = waiting
    assert list(served(told, 0)) == [first, third]
