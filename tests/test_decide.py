"""What an allocate gets, or why not, held against a model that tries everything."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import drawn_pools
from brute_force import Bench, Wish, best, every_way, reason
from chronicle import ROOT_DID, Chronicle
from gpuledger.replay import pool_request
from gpuledger.replay import request as requests
from gpuledger.replay.actor import Actor
from gpuledger.replay.catalogue import AllocationGranted, PoolDrained, RequestQueued
from gpuledger.replay.decision import decide_allocate
from gpuledger.replay.errors import BadRequest, NoSuchServer, TaskInUse
from gpuledger.replay.facts import Asked, By, Card, Limits, Place, Placed, Pool, Server, Share
from gpuledger.replay.refusal import REASONS, Refusal
from gpuledger.replay.request import AllocateRequest
from gpuledger.replay.state import State
from small_pools import ADA, ROOT, pool, server

Asking = tuple[list[Bench], Wish, int | None, bool]


@st.composite
def askings(draw: st.DrawFn) -> Asking:
    """A pool as it may stand, a wish, a limit, and whether someone without rights asks for bob."""
    drawn = draw(drawn_pools.benches())
    wish = draw(drawn_pools.wishes(drawn))
    return drawn, wish, draw(st.none() | st.integers(1, 6)), draw(st.booleans())


def request(wish: Wish, *, beneficiary: str | None = None) -> AllocateRequest:
    on = tuple(Placed(name, gpus) for name, gpus in wish.exact) or tuple(map(Placed, wish.on))
    asked = Asked("new", wish.gpus, wish.cpus, wish.servers, beneficiary=beneficiary)
    return requests.allocate(asked, on)


def decide(state: State, wish: Wish, actor: Actor = ADA) -> AllocationGranted | Refusal:
    return decide_allocate(state, request(wish), actor, 0)


def refused(state: State, wish: Wish) -> Refusal:
    answer = decide(state, wish)
    assert isinstance(answer, Refusal), answer
    return answer


@given(askings())
def test_the_answer_is_that_of_the_model(asking: Asking) -> None:
    """A request gets what trying everything finds best, or the first reason that applies."""
    drawn, wish, limit, for_another = asking
    state = drawn_pools.chronicle(drawn, limit=limit).state
    asked = request(wish, beneficiary="bob" if for_another else None)
    answer = decide_allocate(state, asked, ADA, 0)
    why = reason(drawn, wish, permitted=not for_another, limit=limit)
    if isinstance(answer, Refusal):
        assert answer.reason == why
    else:
        assert why is None
        assert drawn_pools.shares_of(answer) == best(drawn, wish)


@given(askings())
def test_a_refusal_tells_what_is_free(asking: Asking) -> None:
    """A refusal tells of the servers asked for: what is free, and who holds what was named."""
    drawn, wish, _, _ = asking
    state = drawn_pools.chronicle(drawn).state
    answer = decide(state, wish)
    if not isinstance(answer, Refusal):
        return
    named = {name for name, _ in wish.exact} or set(wish.on) or {b.name for b in drawn}
    among = [bench for bench in drawn if bench.name in named]
    assert answer.gpus_free == sum(len(bench.free()) for bench in among)
    assert answer.cpus_free == sum(bench.cpus_free for bench in among)
    assert answer.largest == max(len(bench.free()) for bench in among)
    assert answer.most == max(len(bench.gpus) for bench in among)
    assert {(one.server, one.gpus, one.cpus) for one in answer.free} == {
        (bench.name, len(bench.free()), bench.cpus_free) for bench in among if bench.free()
    }
    held = {(b.name, g) for b in among for g in dict(wish.exact).get(b.name, ()) if b.gpus[g]}
    assert {(one.server, one.gpu) for one in answer.held} == held


@given(askings())
def test_a_refusal_knows_over_how_many_servers_it_would_fit(asking: Asking) -> None:
    """`servers` is the smallest number over which the same totals divide evenly and fit now."""
    drawn, wish, _, _ = asking
    answer = decide(drawn_pools.chronicle(drawn).state, wish)
    if not isinstance(answer, Refusal):
        return
    fits = None
    for servers in range(wish.servers + 1, len(drawn) + 1):
        even = wish.gpus % servers == 0 and (wish.cpus or 0) % servers == 0
        spread = Wish(wish.gpus, wish.cpus, servers, wish.on)
        if not wish.exact and even and any(every_way(drawn, spread)):
            fits = servers
            break
    assert answer.servers == fits


@given(askings())
def test_deciding_changes_nothing_and_repeats(asking: Asking) -> None:
    """Deciding is pure: the pieces stay as they are, and the same question has the same answer."""
    drawn, wish, limit, _ = asking
    state = drawn_pools.chronicle(drawn, limit=limit).state
    before = dict(state.pieces)
    assert decide(state, wish) == decide(state, wish)
    assert state.pieces == before


def test_the_reasons_have_their_order() -> None:
    """Where several reasons apply, the first of the closed set counts, one after the other."""
    full = drawn_pools.chronicle([Bench("s0", {0: 1, 1: None}, 4, 0, {1})], limit=1)
    state, wish = full.state, Wish(3)
    order = [decide_allocate(state, request(wish, beneficiary="bob"), ADA, 0)]
    order.append(decide_allocate(state, request(Wish(2), beneficiary="bob"), ADA, 0))
    order.append(decide(state, Wish(2)))
    held = [
        drawn_pools.chronicle([Bench("s0", {0: None}, 4, 4, {0})]),
        drawn_pools.chronicle([Bench("s0", {0: 1}, 4, 0)]),
        drawn_pools.chronicle([Bench("s0", {0: 1, 1: None}, 4, 0)]),
    ]
    order += [decide(one.state, Wish(1)) for one in held]
    split = [Bench("s0", {0: 1, 1: None}, 4, 2), Bench("s1", {0: 1, 1: None}, 4, 2)]
    order.append(decide(drawn_pools.chronicle(split).state, Wish(2)))
    line = Chronicle(pool(1, 4, 32))
    line.add(RequestQueued("bob", Asked("big", 4), By("bob", 1002), 1002))
    order.append(decide(line.state, Wish(1)))
    found = [one.reason for one in order if isinstance(one, Refusal)]
    assert found == list(REASONS)


def test_what_is_drained_and_held_is_no_gpus() -> None:
    """A GPU that is drained and held is not `drained`: ending the drain would not help."""
    state = drawn_pools.chronicle([Bench("s0", {0: 1}, 4, 4, {0})]).state
    assert refused(state, Wish(1)).reason == "no_gpus"
    assert refused(state, Wish(1, exact=(("s0", (0,)),))).reason == "no_gpus"


def test_never_looks_at_the_empty_pool() -> None:
    """`never` is what no waiting would mend: the empty, undrained pool cannot do it."""
    state = Chronicle(pool(2, 4, 32)).state
    for wish in (
        Wish(5),
        Wish(8),
        Wish(1, 33),
        Wish(3, servers=3),
        Wish(2, 66, servers=2),
        Wish(2, servers=2, on=("s0",)),
        Wish(2, 65, exact=(("s0", (0,)), ("s1", (0,)))),
    ):
        assert refused(state, wish).reason == "never", wish
    assert isinstance(decide(state, Wish(8, servers=2)), AllocationGranted)


def test_a_limit_counts_the_whole_request() -> None:
    """`gpus_per_task` limits the total over all servers, and its number is told."""
    state = Chronicle(pool(2, 4, 32, gpus_per_task=3)).state
    answer = refused(state, Wish(4, servers=2))
    assert answer.breach is not None
    assert (answer.reason, answer.breach.allowed) == ("limit", 3)


def test_a_name_is_taken_per_holder() -> None:
    """A running task's name is taken for its holder alone, before any reason of room."""
    told = Chronicle(pool())
    told.grant("new", Share("s0", (0,), 1))
    with pytest.raises(TaskInUse) as caught:
        decide(told.state, Wish(9))
    assert caught.value.allocation == told.state.seq
    assert isinstance(decide(told.state, Wish(1), ROOT), AllocationGranted)


def test_what_the_pool_lacks_is_no_refusal() -> None:
    """A server or a GPU that the pool does not have is named with what it has."""
    state = Chronicle(pool()).state
    with pytest.raises(NoSuchServer) as server_lacks:
        decide(state, Wish(1, on=("s9",)))
    assert server_lacks.value.known == ("s0", "s1")
    for gpu in (7, -1):
        with pytest.raises(NoSuchServer) as gpu_lacks:
            decide(state, Wish(1, exact=(("s0", (gpu,)),)))
        assert gpu_lacks.value.gpu == gpu


def test_here_is_this_hosts_server() -> None:
    """`here` finds the server by name or host, in full or before the first dot, and no other."""
    facts = (server("s0"), Server("named", 32, server("x").gpus, "box.lab.example"))
    state = Chronicle(Pool(facts, Limits())).state
    for host, found in {"s0": "s0", "s0.lab": "s0", "BOX": "named", "named": "named"}.items():
        answer = decide_allocate(state, requests.allocate(Asked("new", 1, here=host)), ADA, 0)
        assert isinstance(answer, AllocationGranted)
        assert [share.server for share in answer.servers] == [found]
    with pytest.raises(NoSuchServer):
        decide_allocate(state, requests.allocate(Asked("new", 1, here="elsewhere")), ADA, 0)


def test_a_drained_gpu_is_not_given() -> None:
    """What is drained is never part of a grant, while its neighbours are."""
    told = Chronicle(pool(1, 4, 32))
    told.add(PoolDrained(ROOT_DID, (Place("s0", (0, 2)),)))
    answer = decide(told.state, Wish(2))
    assert isinstance(answer, AllocationGranted)
    assert answer.servers[0].gpus == (1, 3)


@pytest.mark.parametrize(
    "wish",
    [
        Wish(0),
        Wish(-1),
        Wish(3, servers=2),
        Wish(4, 5, servers=2),
        Wish(1, 0),
        Wish(2, exact=(("s0", (0, 0)),)),
        Wish(2, exact=(("s0", (1, 0)),)),
        Wish(1, exact=(("s0", ()),)),
        Wish(1, exact=(("s0", (0, 1)),)),
        Wish(2, exact=(("s0", (0,)), ("s0", (1,)))),
    ],
)
def test_a_malformed_request_is_turned_away(wish: Wish) -> None:
    """Counts below one, totals that do not divide, GPUs named twice or out of order: BadRequest."""
    with pytest.raises(BadRequest):
        request(wish)


UNSOUND: dict[str, Pool] = {
    "no server": Pool(()),
    "a server twice": Pool((server("a"), server("a"))),
    "no GPU": Pool((Server("a", 8, ()),)),
    "a GPU twice": Pool((Server("a", 8, (Card(0), Card(0))),)),
    "GPUs out of order": Pool((Server("a", 8, (Card(1), Card(0))),)),
    "an index below none": Pool((Server("a", 8, (Card(-1),)),)),
    "no CPU": Pool((Server("a", 0, (Card(0),)),)),
    "more CPUs than JSON keeps": Pool((Server("a", 2**60, (Card(0),)),)),
    "a name with a line's end": Pool((server("a\nb"),)),
    "a name that is none": Pool((server("\ud800"),)),
    "a limit of nothing": Pool((server("a"),), Limits(0)),
}


@pytest.mark.parametrize("what", UNSOUND)
def test_a_pool_that_cannot_be_is_turned_away(what: str) -> None:
    """A pool whose event would be void, or that could serve nobody, is a bad request."""
    with pytest.raises(BadRequest):
        pool_request.pool(UNSOUND[what])
