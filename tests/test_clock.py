"""Invariant 7: order is seq; `at` never falls, and a clock that is behind leaves its word."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import forging
from chosen_times import Clock, as_actor, ledger_from, us
from gpuledger.handle import Ledger, init
from gpuledger.replay import request as requests
from gpuledger.replay.errors import BadRequest, Refused
from gpuledger.replay.facts import Asked
from gpuledger.replay.interval import Window
from small_pools import ADA, ROOT, pool

NOON = "2026-03-01T12:00:00"


def clock_of(row: forging.Raw) -> int | None:
    """What the event says that the clock showed, where that was not its time."""
    told: int | None = json.loads(row.data).get("clock")
    return told


@pytest.fixture
def clock() -> Clock:
    return Clock(NOON)


def test_a_clock_that_goes_back(ledger_path: Path, clock: Clock) -> None:
    """Behind the last event the last time counts, and `clock` holds what the machine said."""
    with ledger_from(ledger_path, pool(), clock) as book:
        book.allocate("first", 1)
        clock.to("2026-03-01T11:00:00")
        book.allocate("second", 1)
        book.release("first")
        clock.to("2026-03-01T12:30:00")
        book.allocate("third", 1)
        assert book.verify().problems == ()
    rows = forging.rows(ledger_path)[1:]
    assert [row.at for row in rows] == [us(NOON)] * 3 + [us("2026-03-01T12:30:00")]
    behind = us("2026-03-01T11:00:00")
    assert [clock_of(row) for row in rows] == [None, behind, behind, None]


def test_what_was_held_while_the_clock_was_behind(ledger_path: Path, clock: Clock) -> None:
    """No holding ends before it starts, and who held what when still adds up."""
    with ledger_from(ledger_path, pool(), clock) as book:
        first = book.allocate("first", 1)
        clock.to("2026-03-01T08:00:00")
        first.release()
        second = book.allocate("second", 1)
        clock.to("2026-03-01T13:00:00")
        second.release()
        spells, _ = book.history(Window(0, us("2026-03-02T00:00:00")))
        noon, one = us(NOON), us("2026-03-01T13:00:00")
        assert [(spell.start, spell.end) for spell in spells] == [(noon, noon), (noon, one)]
        used, _ = book.usage(Window(0, us("2026-03-02T00:00:00")))
        assert used.gpu_us == one - noon


def test_the_state_then_is_by_the_recorded_time(ledger_path: Path, clock: Clock) -> None:
    """A past instant holds every event with a time up to it, however the clock stood then."""
    with ledger_from(ledger_path, pool(), clock) as book:
        clock.to("2026-03-01T13:00:00")
        book.allocate("ahead", 1)
        clock.to("2026-03-01T12:30:00")
        book.allocate("behind", 1)

        def tasks(at: str) -> list[str]:
            return [piece.task for piece in book.state(us(at)).allocations()]

        assert tasks("2026-03-01T12:59:59.999999") == []
        assert tasks("2026-03-01T13:00:00") == ["ahead", "behind"]


def test_clocks_of_two_handles_that_disagree(ledger_path: Path, clock: Clock) -> None:
    """Of two machines' clocks the log keeps the later; each of the other's events says so."""
    slow = Clock("2026-03-01T11:55:00")
    with ledger_from(ledger_path, pool(), clock) as book, as_actor(ledger_path, slow, ADA) as ada:
        for at in range(4):
            (book if at % 2 else ada).allocate(f"t{at}", 1)
    rows = forging.rows(ledger_path)[1:]
    assert {row.at for row in rows} == {us(NOON)}
    assert [clock_of(row) for row in rows] == [slow.now_us, None] * 2


def test_a_refusal_is_not_silenced_for_ever(ledger_path: Path, clock: Clock) -> None:
    """The same refusal is recorded again a minute later by the clock, however far it went back."""
    with ledger_from(ledger_path, pool(1, 1), clock) as book:
        book.allocate("held", 1)

        def refused() -> int:
            with pytest.raises(Refused) as caught:
                book.allocate("more", 1)
            return caught.value.seq

        assert refused() == 3
        clock.to("2026-03-01T11:00:00")
        assert refused() == 4
        clock.to("2026-03-01T11:00:59")
        assert refused() == 4
        clock.to("2026-03-01T11:01:00")
        assert refused() == 5


def test_a_first_event_in_the_past(ledger_path: Path) -> None:
    """`init` at a time that has passed keeps the true time as `clock`; the future is refused."""
    with pytest.raises(BadRequest):
        init(ledger_path, pool(), at=us("2999-01-01T00:00:00"), actor=ROOT)
    assert not ledger_path.exists()
    init(ledger_path, pool(), at=us(NOON) - 10**15, actor=ROOT)
    (first,) = forging.rows(ledger_path)
    assert first.at == us(NOON) - 10**15
    true = clock_of(first)
    assert true is not None
    assert true > first.at


@settings(max_examples=20)
@given(jumps=st.lists(st.integers(-(10**10), 10**10), max_size=12))
def test_time_never_falls(tmp_path_factory: pytest.TempPathFactory, jumps: list[int]) -> None:
    """However the clock jumps, times never fall from seq to seq, and verify finds nothing."""
    path = tmp_path_factory.mktemp("clock") / "ledger.db"
    now = [us(NOON)]
    init(path, pool(), at=now[0], actor=ROOT)
    with Ledger(str(path), actor=ROOT, clock_us=lambda: now[0]) as book:
        for at, jump in enumerate(jumps):
            now[0] += jump
            book.allocate(f"t{at}", 1).release()
            row = forging.rows(path)[-1]
            assert clock_of(row) == (None if row.at == now[0] else now[0])
        assert book.verify().problems == ()
    times = [row.at for row in forging.rows(path)]
    assert times == sorted(times)


def test_who_waits_while_the_clock_is_behind(ledger_path: Path, clock: Clock) -> None:
    """The time that somebody will wait counts by the clock that set it, not by the last event."""
    with ledger_from(ledger_path, pool(1), clock) as book:
        book.allocate("all", 4)
        clock.to("2026-03-01T11:58:00")
        asked = requests.allocate(Asked("waits", 2))
        wanted = msgspec.structs.replace(asked, give_up=us("2026-03-01T11:59:00"))
        book._allocator.join(wanted, book.actor)
        for now, left in (("11:58:30", 1), ("11:59:30", 0)):
            clock.to(f"2026-03-01T{now}")
            with pytest.raises(Refused):
                book.allocate("more", 2)
            assert len(book.queue()[1]) == left
