"""Fold: the same everywhere, total over what it knows, and void by a closed list alone."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import drawn_events
import forging
from chronicle import ROOT_DID, Chronicle
from gpuledger.ledger.errors import BrokenChain, UnknownEvent
from gpuledger.ledger.event import Event
from gpuledger.replay.catalogue import (
    KINDS,
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
    version,
)
from gpuledger.replay.facts import (
    Asked,
    AskedExtend,
    By,
    Card,
    Extension,
    Limits,
    Place,
    Placed,
    Pool,
    Server,
    Share,
)
from gpuledger.replay.fold import VOID, fold
from gpuledger.replay.holding import Effects
from gpuledger.replay.invariants import broken
from gpuledger.replay.piece import Piece, state_hash, text
from gpuledger.replay.state import State, replay
from small_pools import ledger, pool, server

BY = ROOT_DID
LOGS = st.integers(0, 2**32).map(drawn_events.chronicle)
Told = tuple[Chronicle, list[Payload]]


def spelled(pieces: dict[str, Piece]) -> list[tuple[str, bytes]]:
    return sorted((key, text(piece)) for key, piece in pieces.items())


@given(LOGS)
def test_fold_is_total(log: Told) -> None:
    """Any event that can be read is either folded or void by the list; nothing else is raised."""
    made = Chronicle(pool())
    for payload in log[1]:
        assert made.add(payload).void in {None, *VOID}


@given(LOGS)
def test_no_log_contradicts_itself(log: Told) -> None:
    """Whatever stands in the log, no state that it folds to breaks an invariant."""
    made = Chronicle(pool())
    for payload in log[1]:
        made.add(payload)
        assert broken(made.state.pieces) == []


@given(LOGS)
def test_a_void_event_has_no_effect_at_all(log: Told) -> None:
    """A void event touches no piece, closes no holding, changes no capacity."""
    made = Chronicle(pool())
    for payload in log[1]:
        before = spelled(made.state.pieces)
        effects = made.add(payload)
        if effects.void is not None:
            assert effects == Effects(void=effects.void)
            assert spelled(made.state.pieces) == before


@given(LOGS)
def test_the_same_events_give_the_same_bytes(log: Told) -> None:
    """Replayed from the start, or on a plain dict, the pieces and their hash are the same bytes."""
    made, _ = log
    again = replay(made.events)
    plain: dict[str, Piece] = {}
    for event in made.events:
        fold(plain, event)
    assert spelled(again.pieces) == spelled(made.state.pieces) == spelled(plain)
    assert state_hash(again.pieces) == state_hash(made.state.pieces)


@given(LOGS)
def test_what_fold_touches_is_what_changes(log: Told) -> None:
    """The keys that a fold names are all that it changed, so that saving them alone is enough."""
    made = Chronicle(pool())
    for payload in log[1]:
        before = dict(made.state.pieces)
        touched = set(made.add(payload).touched)
        after = made.state.pieces
        changed = {key for key in before.keys() | after if before.get(key) != after.get(key)}
        assert changed <= touched


def in_use() -> Chronicle:
    """Two servers; allocation 2 holds s0:0-1 with UUIDs and 30 of 32 CPUs, request 3 waits."""
    made = Chronicle(Pool((server("s0", uuids="GPU"), server("s1")), Limits()))
    assert made.grant("train", Share("s0", (0, 1), 30)) == 2
    made.add(RequestQueued("bob", Asked("next", 4), By("bob", 1002), 1002))
    return made


def granted(*shares: Share) -> AllocationGranted:
    return AllocationGranted("other", "bob", shares, Asked("other", 1), By("bob", 1002), 1002)


def released(*numbers: int) -> AllocationReleased:
    return AllocationReleased(BY, numbers, "admin")


def extended(*numbers: int, until: int = 9) -> AllocationExtended:
    every = tuple(Extension(number, until) for number in numbers)
    return AllocationExtended(BY, every, AskedExtend(("train",), 60))


def cancelled(*numbers: int) -> RequestCancelled:
    return RequestCancelled(BY, numbers, "owner")


def queued(gpus: int, *places: Placed, **more: int) -> RequestQueued:
    asked = Asked("t", gpus, **more)  # type: ignore[arg-type]
    return RequestQueued("bob", asked, By("bob", 1002), 1002, places=places)


S0 = server("s0", uuids="GPU")
VOIDS: list[tuple[str, Payload]] = [
    ("unknown_server", granted(Share("s9", (0,), 1))),
    ("unknown_server", granted(Share("s1", (0,), 1), Share("s9", (0,), 1))),
    ("unknown_server", PoolChanged(BY, removed=("s9",))),
    ("unknown_server", PoolChanged(BY, changed=(server("s9"),))),
    ("unknown_server", PoolDrained(BY, (Place("s9", (0,)),))),
    ("unknown_server", PoolResumed(BY, (Place("s1", (0,)), Place("s9", (0,))))),
    ("unknown_gpu", granted(Share("s1", (4,), 1))),
    ("unknown_gpu", granted(Share("s1", (-1,), 1))),
    ("unknown_gpu", PoolDrained(BY, (Place("s1", (4,)),))),
    ("gpu_held", granted(Share("s0", (1,), 1))),
    ("gpu_held", granted(Share("s1", (0, 0), 1))),
    ("gpu_held", granted(Share("s1", (0,), 1), Share("s1", (0,), 1))),
    ("cpus_exceeded", granted(Share("s0", (2,), 3))),
    ("cpus_exceeded", granted(Share("s1", (0,), 33))),
    ("cpus_exceeded", granted(Share("s1", (0,), 20), Share("s1", (1,), 20))),
    ("cpus_exceeded", granted(Share("s1", (0,), -1))),
    ("not_running", released(1)),
    ("not_running", released(2, 2)),
    ("not_running", released(2, 99)),
    ("not_running", LedgerReset(BY, (2, 99))),
    ("not_running", extended(3)),
    ("not_running", extended(2, 2)),
    ("not_running", extended(2, 99)),
    ("asks_nothing", queued(0)),
    ("asks_nothing", queued(1, servers=0)),
    ("asks_nothing", queued(1, cpus=-100)),
    ("places_unclear", queued(2, Placed("s1", (0,)), Placed("s2"))),
    ("places_unclear", queued(2, Placed("s1", (0,)), Placed("s1", (1,)))),
    ("places_unclear", queued(2, Placed("s1", (0, 0)))),
    ("places_unclear", queued(2, Placed("s1", ()))),
    ("not_waiting", cancelled(2)),
    ("not_waiting", cancelled(3, 3)),
    ("not_waiting", cancelled(3, 99)),
    ("not_running", PoolChanged(BY, ended=(99,))),
    ("server_there", PoolChanged(BY, added=(server("s1"),))),
    ("server_there", PoolChanged(BY, added=(server("s5"), server("s5")))),
    ("server_there", LedgerCreated("1" * 32, 1, pool(), BY)),
    ("server_in_use", PoolChanged(BY, removed=("s0",))),
    ("server_in_use", PoolChanged(BY, changed=(server("s0", 1, uuids="GPU"),))),
    ("server_in_use", PoolChanged(BY, changed=(server("s0", 4, 29, uuids="GPU"),))),
    ("server_in_use", PoolChanged(BY, changed=(server("s0", uuids="other"),))),
    ("gpu_held", PoolChanged(BY, added=(Server("s5", 8, (Card(0), Card(0))),))),
    ("cpus_exceeded", PoolChanged(BY, added=(Server("s5", -1, (Card(0),)),))),
    ("reset_leaves", LedgerReset(BY, ())),
]


@pytest.mark.parametrize(("why", "payload"), VOIDS)
def test_the_impossible_is_void(why: str, payload: Payload) -> None:
    """Each physically impossible event is void, as a whole, for the reason that the list names."""
    made = in_use()
    before = spelled(made.state.pieces)
    assert made.add(payload).void == why
    assert spelled(made.state.pieces) == before
    assert made.state.seq == 4


def test_every_reason_for_void_is_shown() -> None:
    """The examples above name each reason of the list, and none beside it."""
    assert {why for why, _ in VOIDS} == set(VOID)


POSSIBLE: dict[str, Payload] = {
    "a drained GPU": granted(Share("s1", (3,), 1)),
    "above the limit": granted(Share("s1", (0, 1, 2), 1)),
    "no CPUs at all": granted(Share("s1", (0,), 0)),
    "a name in use": AllocationGranted(
        "train", "ada", (Share("s1", (0,), 1),), Asked("train", 1), By("ada", 1001), 1001
    ),
    "by nobody with rights": PoolDrained(By("bob", 1002), (Place("s0", (0,)),)),
    "released by a stranger": AllocationReleased(By("bob", 1002), (2,), "owner"),
    "drained again": PoolDrained(BY, (Place("s1", (3,)),)),
    "resumed though not drained": PoolResumed(BY, (Place("s1", (0,)),)),
    "removed when what runs there ends": PoolChanged(BY, removed=("s0",), ended=(2,)),
    "more of what is held": PoolChanged(BY, changed=(server("s0", 8, 64, uuids="GPU"),)),
    "a reset that ends all": LedgerReset(BY, (2,)),
    "nothing ended": released(),
    "a lease that is over": extended(2),
    "nothing extended": extended(),
    "waiting twice": RequestQueued("bob", Asked("next", 4), By("bob", 1002), 1002, until=1),
    "waiting for what never fits": RequestQueued("bob", Asked("huge", 999), BY),
    "cancelled by a stranger": cancelled(3),
    "nothing cancelled": cancelled(),
    "granted though nobody waited": msgspec.structs.replace(
        granted(Share("s1", (0,), 1)), request=99
    ),
}


@pytest.mark.parametrize("what", POSSIBLE)
def test_rights_limits_names_and_drains_are_never_void(what: str) -> None:
    """An event is not void for rights, limits, names, drains or clocks: it happened."""
    made = in_use()
    made.add(PoolChanged(BY, limits=Limits(2)))
    made.add(PoolDrained(BY, (Place("s1", (3,)),)))
    assert made.add(POSSIBLE[what], at=made.state.head.at).void is None
    assert broken(made.state.pieces) == []


def test_what_fold_does_not_know_stops_it() -> None:
    """An unknown kind or version, or data that is none of its kind, is an error with its seq."""
    first = Chronicle(pool()).events[0]
    strange: list[tuple[type[Exception], dict[str, object]]] = [
        (UnknownEvent, {"kind": "gap.recorded"}),
        (UnknownEvent, {"version": version("ledger.created") + 1}),
        (UnknownEvent, {"version": 0}),
        (BrokenChain, {"data": b"[]"}),
        (BrokenChain, {"data": b'{"by":'}),
        (BrokenChain, {"data": b"\xff"}),
        (BrokenChain, {"kind": "allocation.granted"}),
    ]
    for error, change in strange:
        fields = {name: getattr(first, name) for name in first.__struct_fields__}
        with pytest.raises(error) as caught:
            fold({}, Event(**{**fields, **change}))
        assert getattr(caught.value, "seq", None) == 1


def test_cpus_alone_keep_a_server_in_use() -> None:
    """An allocation of CPUs without a GPU, written by other means, still keeps its server."""
    made = Chronicle(pool())
    number = made.grant("cpus", Share("s1", (), 5))
    assert made.add(PoolChanged(BY, removed=("s1",))).void == "server_in_use"
    assert made.release(number).void is None
    assert made.add(PoolChanged(BY, removed=("s1",))).void is None


def test_a_log_may_begin_with_anything() -> None:
    """A first event of any kind is folded or void: nothing before the pool can crash a reader."""
    first: list[Payload] = [payload for _, payload in VOIDS] + list(POSSIBLE.values())
    assert {one.KIND for one in KINDS} - {one.KIND for one in first} == {
        "request.refused",
        "import.recorded",
        "gap.recorded",
        "mirror.added",
        "mirror.removed",
    }
    for payload in first:
        made = Chronicle.__new__(Chronicle)
        made.events, made.state = [], State()
        made.add(payload)


@pytest.mark.parametrize(("why", "payload"), VOIDS)
def test_a_void_event_in_a_file_is_reported_and_harms_nothing(
    why: str, payload: Payload, ledger_path: Path
) -> None:
    """Written by other means, a void event changes no answer, and verify names it by its seq."""
    facts = Pool((S0, server("s1")), Limits())
    with ledger(ledger_path, facts) as book:
        book.allocate("train", 2, 30, on=(Placed("s0"),))
        before = spelled(book.state().pieces)
        seq = forging.append(ledger_path, payload.KIND, msgspec.to_builtins(payload))
        assert spelled(book.state().pieces) == before
        said = [(one.seq, one.detail) for one in book.verify().problems if one.what == "void"]
        assert said == [(seq, VOID[why])]
        book.allocate("after", 2, 2, on=(Placed("s0"),))
        assert not book.verify().ok
        assert [one.seq for one in book.verify().problems if one.what == "void"] == [seq]
