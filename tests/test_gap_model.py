"""Behind a gap: what the evidence decides is so, what it leaves open is marked, nothing is void.

Held against a model of its own, for losses of 1 to 50 events in histories of the real allocator.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from foreign import foreign
from gap_histories import ID, History
from gap_model import Model, Told, follow
from gapping import folded, log_of, plain, stretches, without
from gpuledger.ledger.event import Event
from gpuledger.replay.holding import Holding
from gpuledger.replay.hole import holes_in, holes_of
from gpuledger.replay.invariants import broken
from gpuledger.replay.piece import AllocationPiece, ServerPiece, WaitingPiece
from gpuledger.replay.state import State
from gpuledger.replay.verification import verify

LOSSES = 200
SAMPLE = 40


def loss(seed: int) -> tuple[list[Event], set[int]]:
    """A history and which of its events are lost: 1 to 50 of them, in up to four stretches."""
    random, events = Random(seed), History(seed, 170).events
    number, lost = seed % 50 + 1, set[int]()
    begin = 1 if seed % 20 == 0 else 2
    while len(lost) < min(number, len(events) // 2):
        left = number - len(lost)
        first = random.randint(begin, len(events) - 1)
        lost |= {*range(first, first + random.choice([left, left, 1 + left // 2]))}
        lost &= {*range(begin, len(events) + 1)}
        lost = {*sorted(lost)[:number]}
    return events, lost


def told(events: list[Event]) -> list[Told]:
    """The events as the model reads them."""
    return [Told(event.seq, event.at, event.kind, plain(event)) for event in events]


def agree(state: State, model: Model) -> None:
    """The state says of every GPU, allocation and request what the model does."""
    for server in state.pieces.values():
        if isinstance(server, ServerPiece):
            for card, holder in zip(server.facts.gpus, server.holders, strict=True):
                said = None if card.index in server.doubtful else holder
                assert said == model.status((server.facts.name, card.index)), (server, card)
            if server.holders:
                told, _, _ = model.facts[server.facts.name]
                assert (server.uncertain is not None) == (told < model.gap)
    for kind, runs in ((AllocationPiece, model.runs), (WaitingPiece, model.line)):
        found = {one.id: one for one in state.pieces.values() if isinstance(one, kind)}
        assert found.keys() == runs.keys()
        assert {n for n, one in found.items() if one.uncertain is not None} == model.unsure(runs)
    assert broken(state.pieces) == []


def true(known: Model, whole: Model, closed: list[Holding]) -> int:
    """What is known for certain is so, ends are where they are said to be; how much is known.

    Whether a GPU that nobody holds is there still is as certain as its server's facts.
    """
    known_gpus = 0
    for gpu in known.settled:
        said = known.status(gpu)
        gone = said == 0 and gpu not in whole.settled and known.facts[gpu[0]][0] < known.gap
        if said is not None and not gone:
            assert said == whole.status(gpu), gpu
            known_gpus += 1
    for mine, real in ((known.runs, whole.runs), (known.line, whole.line)):
        assert mine.keys() - known.unsure(mine) <= real.keys()
    assert not known.ended.keys() & whole.runs.keys()
    for one in closed:
        ended = whole.ended[one.allocation]
        assert ended == one.end if one.sure is None else one.sure <= ended <= (one.end or 0)
    return known_gpus


@pytest.fixture
def seeds(full: bool) -> list[int]:
    """The losses of a run."""
    return [*range(LOSSES)] if full else [*range(0, LOSSES, LOSSES // SAMPLE)]


def test_what_the_evidence_decides_is_so_and_the_rest_is_marked(
    seeds: list[int], record_property: Callable[[str, object], None]
) -> None:
    """At every event behind a loss, state and model agree, and what is certain to both is true."""
    certain = every = lost_events = 0
    for seed in seeds:
        events, lost = loss(seed)
        left, whole = without(events, lost, ID), [*follow(told(events))][-1]
        state = State(holes=lambda after, left=left: holes_in(e for e in left if e.seq > after))
        closed: list[Holding] = []
        for event, model in zip(left, follow(told(left)), strict=True):
            effects = state.apply(event)
            assert effects.void is None, (seed, event)
            closed += effects.closed
            agree(state, model)
        certain += true(model, whole, closed)
        every += len(model.settled)
        lost_events += len(lost)
    what = "losses, events lost, GPUs that are certain in the end, of all"
    record_property(what, (len(seeds), lost_events, certain, every))


def test_writers_behind_a_gap_book_nothing_twice(seeds: list[int]) -> None:
    """What may be held is left alone until somebody releases it; stores and verify hold, too."""
    for seed in seeds[:: 1 if len(seeds) == LOSSES else 4]:
        events, lost = loss(seed)
        left = without(events, lost - {1}, ID)
        more = History(seed, 60, lambda clock_us, left=left: log_of(left, clock_us))
        log = more.log
        state, record = State(holes=holes_of(log)), left[-1].seq
        for event in log.read(0):
            effects = state.apply(event)
            assert effects.void is None
            assert event.seq <= record or all(one.cause != "gap" for one in effects.closed)
        assert more.allocator.rebuild().matches
        assert verify(log, None).problems == ()


def test_a_second_reader_goes_over_gaps(seeds: list[int], tmp_path: Path) -> None:
    """It names the same gaps, finds no fault, and knows what of those granted since runs still."""
    for seed in seeds[:: 1 if len(seeds) == LOSSES else 8]:
        events, lost = loss(seed)
        left = without(events, lost, ID)
        path = tmp_path / f"{seed}.db"
        path.write_bytes(log_of(left, lambda: 0).reading(lambda db: db.serialize()))
        at = left[-1].at
        code, found = foreign(path, [at])
        assert (code, found["wrong"]) == (0, []), seed
        assert [tuple(one) for one in found["lost"]] == stretches(lost)
        state = folded(left)
        state.lapse(at)
        held = {
            f"{server.facts.name}:{card.index}": holder
            for server in state.servers()
            for card, holder in zip(server.facts.gpus, server.holders, strict=True)
            if holder > max(lost) and card.index not in server.doubtful
        }
        assert found["held"][str(at)] == held
