"""Hypothesis strategies: pools with something held and something drained, and wishes for them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from brute_force import Bench, Wish
from chronicle import ROOT_DID, Chronicle
from gpuledger.replay.catalogue import PoolDrained
from gpuledger.replay.facts import Card, Limits, Place, Pool, Server, Share
from gpuledger.replay.state import State

NAMES = ("s0", "s1", "s2", "s3", "s4")


@st.composite
def benches(draw: st.DrawFn) -> list[Bench]:
    """One to five servers: GPU indices with gaps, some held, some drained, CPUs partly taken."""
    made = []
    for name in NAMES[: draw(st.integers(1, 5))]:
        indices = sorted(draw(st.sets(st.integers(0, 5), min_size=1, max_size=5)))
        held = draw(st.sets(st.sampled_from(indices)))
        cpus = draw(st.integers(1, 12))
        taken = draw(st.integers(0, cpus)) if held else 0
        drained = draw(st.sets(st.sampled_from(indices), max_size=2))
        gpus = {gpu: (1 if gpu in held else None) for gpu in indices}
        made.append(Bench(name, gpus, cpus, cpus - taken, drained))
    return made


def wishes(drawn: list[Bench]) -> st.SearchStrategy[Wish]:
    """Well-formed requests for these servers, in each of their forms."""
    names = [bench.name for bench in drawn]
    counts = st.integers(1, len(names) + 1)
    cpus = st.none() | st.integers(1, 8)

    def plain(parts: tuple[int, int, int | None, list[str]]) -> Wish:
        each, servers, cpus_each, on = parts
        whole = None if cpus_each is None else cpus_each * servers
        return Wish(each * servers, whole, servers, tuple(on))

    places = st.lists(st.sampled_from(names), unique=True, max_size=len(names))
    loose = st.tuples(st.integers(1, 6), counts, cpus, places).map(plain)
    return loose | exact_wishes(drawn)


@st.composite
def exact_wishes(draw: st.DrawFn, drawn: list[Bench]) -> Wish:
    """A request that names each GPU."""
    chosen = draw(st.lists(st.sampled_from(drawn), unique_by=lambda b: b.name, min_size=1))
    exact = tuple(
        (b.name, tuple(sorted(draw(st.sets(st.sampled_from(sorted(b.gpus)), min_size=1)))))
        for b in chosen
    )
    cpus = draw(st.none() | st.integers(1, 24))
    return Wish(sum(len(gpus) for _, gpus in exact), cpus, exact=exact)


def chronicle(drawn: list[Bench], *, limit: int | None = None) -> Chronicle:
    """A log after which the servers stand as drawn."""
    facts = tuple(Server(b.name, b.cpus, tuple(Card(gpu) for gpu in b.gpus)) for b in drawn)
    told = Chronicle(Pool(facts, Limits(limit)))
    for bench in drawn:
        held = tuple(gpu for gpu, by in bench.gpus.items() if by is not None)
        if held:
            told.grant(f"on-{bench.name}", Share(bench.name, held, bench.cpus - bench.cpus_free))
        if bench.drained:
            told.add(PoolDrained(ROOT_DID, (Place(bench.name, tuple(sorted(bench.drained))),)))
    return told


def benches_of(state: State) -> list[Bench]:
    """The servers of a state as plain dictionaries."""
    return [
        Bench(
            server.facts.name,
            {
                card.index: held or None
                for card, held in zip(server.facts.gpus, server.holders, strict=True)
            },
            server.facts.cpus,
            server.cpus_free,
            set(server.drained),
        )
        for server in state.servers()
    ]


def shares_of(grant: Any) -> tuple[tuple[str, tuple[int, ...], int], ...]:  # noqa: ANN401 - any record with shares
    """What was given, as plain tuples."""
    return tuple((share.server, share.gpus, share.cpus) for share in grant.servers)
