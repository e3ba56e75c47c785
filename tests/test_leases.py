"""Leases: an allocation that ends by itself, at its own time, whoever writes it down and when."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from chosen_times import Clock, as_actor, ledger_from, us
from forging import append
from gpuledger.handle import Ledger
from gpuledger.replay.catalogue import AllocationReleased
from gpuledger.replay.errors import NoLease, NoSuchTask, Refused, TaskInUse
from gpuledger.replay.facts import Cap, Limits, Pool
from gpuledger.replay.fold import decode
from gpuledger.replay.interval import Window
from small_pools import ADA, BOB, ROOT, pool

HOUR_S = 3_600
ONE = us("2026-03-02T13:00:00")


@pytest.fixture
def clock() -> Clock:
    return Clock("2026-03-02T12:00:00")


@pytest.fixture
def book(ledger_path: Path, clock: Clock) -> Iterator[Ledger]:
    """Two servers of four GPUs, used by ada from noon on."""
    ledger_from(ledger_path, pool(), clock).close()
    with as_actor(ledger_path, clock, ADA) as opened:
        yield opened


def ends(book: Ledger) -> list[tuple[int, int, str, int | None]]:
    """What ended: its id, when, why, and what the clock said if not that."""
    found = []
    for event in book.log.read(0):
        if event.kind == AllocationReleased.KIND:
            told = decode(event)
            found.append((told.allocations[0], event.at, told.cause, told.clock))
    return found


def test_a_forged_end_in_the_past_is_shown_as_it_will_be_written(
    book: Ledger, ledger_path: Path, clock: Clock
) -> None:
    """A lease below nothing ends no sooner than it began, before a writer met it and after."""
    book.allocate("a", 1)
    share, asked = {"server": "s1", "gpus": [0], "cpus": 1}, {"task": "f", "gpus": 1}
    forged = {"task": "f", "user": "eve", "servers": [share], "asked": asked, "lease": -HOUR_S}
    number = append(ledger_path, "allocation.granted", {**forged, "by": {"user": "eve"}})
    window = Window(0, clock() + 1)
    before, _ = book.history(window)
    assert [(one.start, one.end) for one in before if one.allocation == number] == [(clock(),) * 2]
    book.release("a")
    after, _ = book.history(window)
    assert [one for one in before if one.end is not None] == [
        one for one in after if one.allocation == number
    ]


def test_it_ends_for_readers_without_being_written(book: Ledger, clock: Clock) -> None:
    """From the instant on it is free, ended and counted up to then; the log stays as it is."""
    book.allocate("a", 2, lease=HOUR_S)
    clock.to("2026-03-02T12:59:59")
    assert [one.task for one in book.state().allocations()] == ["a"]
    clock.to("2026-03-02T15:00:00")
    assert book.state().allocations() == []
    (spell,), head = book.history(Window(0, clock()))
    assert (spell.end, spell.cause, head.seq) == (ONE, "lease", 2)
    used, _ = book.usage(Window(0, clock()))
    assert used.rows[0].gpu_us == 2 * HOUR_S * 1_000_000
    held, _ = book.who("s0", (0,))
    assert [one.end for _, one in held] == [ONE]
    assert book.verify().ok


def test_the_next_writer_writes_it_down_as_it_was(book: Ledger, clock: Clock) -> None:
    """Oldest first, an event each, at the lease's own end, beside what the clock says."""
    book.allocate("b", 1, lease=2 * HOUR_S)
    book.allocate("a", 1, lease=HOUR_S)
    clock.to("2026-03-02T15:00:00")
    as_actor(Path(book.path), clock, BOB).allocate("c", 1)
    two = us("2026-03-02T14:00:00")
    assert ends(book) == [(3, ONE, "lease", clock()), (2, two, "lease", clock())]


def test_any_instant_tells_the_same_before_and_after(book: Ledger, clock: Clock) -> None:
    """What a reader saw before the end was written is what everybody reads afterwards."""
    book.allocate("a", 1, lease=HOUR_S)
    book.allocate("b", 1, lease=2 * HOUR_S)
    clock.to("2026-03-02T16:00:00")
    instants = [us(f"2026-03-02T{hour}:{minute}0:00") for hour in (12, 13, 14) for minute in (0, 3)]

    def seen() -> list[list[int]]:
        return [[one.id for one in book.state(at).allocations()] for at in instants]

    before = seen()
    book.allocate("c", 1)
    assert seen() == before


def test_it_has_ended_whatever_becomes_of_the_act(book: Ledger, clock: Clock) -> None:
    """An act that is turned down, or fails, does not take back what ended before it."""
    book.allocate("a", 4, lease=HOUR_S)
    book.allocate("b", 4)
    clock.to("2026-03-02T14:00:00")
    with pytest.raises(TaskInUse):
        book.allocate("b", 1)
    assert [number for number, *_ in ends(book)] == [2]
    book.allocate("c", 4, lease=HOUR_S)
    clock.to("2026-03-02T16:00:00")
    with pytest.raises(NoSuchTask):
        book.release("c")
    assert [number for number, *_ in ends(book)] == [2, 5]


def test_what_ends_makes_room_for_the_act(book: Ledger, clock: Clock) -> None:
    """GPUs of a lease that is over are given out by the very command that finds it."""
    book.allocate("a", 8, servers=2, lease=HOUR_S)
    with pytest.raises(Refused):
        book.allocate("b", 8, servers=2)
    clock.to("2026-03-02T13:00:00")
    book.allocate("b", 8, servers=2)


def test_extending(book: Ledger, clock: Clock) -> None:
    """It ends so much later than it would; others' are for admins; what has none has none."""
    book.allocate("a", 1, lease=HOUR_S)
    book.allocate("b", 1)
    book.extend("a", lease=HOUR_S)
    clock.to("2026-03-02T13:30:00")
    (piece, _) = book.state().allocations()
    assert piece.until == us("2026-03-02T14:00:00")
    with pytest.raises(NoLease):
        book.extend("a", "b", lease=HOUR_S)
    with pytest.raises(Refused) as caught:
        as_actor(Path(book.path), clock, BOB).extend("a", lease=HOUR_S)
    assert caught.value.reason == "not_permitted"
    as_actor(Path(book.path), clock, ROOT).extend("a", user="ada", lease=HOUR_S)
    clock.to("2026-03-02T15:00:00")
    with pytest.raises(NoSuchTask):
        book.extend("a", lease=HOUR_S)


def test_an_extension_is_safe_to_repeat(book: Ledger) -> None:
    """With the same key the same extension is answered, not made twice."""
    book.allocate("a", 1, lease=HOUR_S)
    first = book.extend("a", lease=HOUR_S, key="k")
    assert book.extend("a", lease=HOUR_S, key="k").event == first.event


def test_the_pool_gives_leases_and_bounds_them(ledger_path: Path, clock: Clock) -> None:
    """Without one asked for the default, never longer than the longest; before that none."""
    ledger_from(ledger_path, pool(), clock).close()
    root, book = as_actor(ledger_path, clock, ROOT), as_actor(ledger_path, clock, ADA)
    assert book.allocate("before", 1).grant.lease is None
    caps = Limits(task=Cap(lease=4 * HOUR_S, default_lease=2 * HOUR_S), user=Cap(lease=HOUR_S))
    root.pool_apply(Pool(pool().servers, caps))
    assert book.allocate("a", 1).grant.lease == HOUR_S
    with pytest.raises(Refused):
        book.allocate("b", 1, lease=2 * HOUR_S)
    assert [one.until for one in book.state().allocations()] == [None, ONE]


def test_a_clock_that_goes_back_ends_nothing_early(book: Ledger, clock: Clock) -> None:
    """The end is never below the last event's time, and what is recorded stays in order."""
    book.allocate("a", 1, lease=HOUR_S)
    clock.to("2026-03-02T11:00:00")
    book.allocate("b", 1, lease=60)
    clock.to("2026-03-02T14:00:00")
    book.release("a", if_held=True)
    times = [event.at for event in book.log.read(0)]
    assert times == sorted(times)
    assert [(number, cause) for number, _, cause, _ in ends(book)] == [(3, "lease"), (2, "lease")]
