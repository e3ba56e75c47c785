"""Leases and the line: who passed somebody on the word of his lease is held to it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from chosen_times import Clock, as_actor, ledger_from, us
from gpuledger.handle import Ledger
from gpuledger.ledger.canonical import encode
from gpuledger.ledger.event import Draft
from gpuledger.replay.allocator import Allocator
from gpuledger.replay.catalogue import LedgerCreated, version
from gpuledger.replay.errors import Refused
from gpuledger.replay.facts import Asked, AskedRelease, By, Placed, Process, Tie
from gpuledger.replay.request import AllocateRequest
from memory_log import MemoryLog
from small_pools import ADA, BOB, ROOT, pool

HOUR_S = 3_600


@pytest.fixture
def clock() -> Clock:
    return Clock("2026-03-02T12:00:00")


@pytest.fixture
def book(ledger_path: Path, clock: Clock) -> Iterator[Ledger]:
    """Two servers of four GPUs; on s1 ada holds half for four hours; bob waits for all of it."""
    ledger_from(ledger_path, pool(), clock).close()
    with as_actor(ledger_path, clock, ADA) as opened:
        opened.allocate("early", 2, on=(Placed("s1"),), lease=4 * HOUR_S)
        asked = Asked("whole", 4, on=("s1",))
        opened._allocator.join(AllocateRequest(asked, (Placed("s1"),)), BOB)
        yield opened


def starts(book: Ledger) -> int | None:
    (one,) = book.queue()[1]
    return one.starts


def test_who_passed_cannot_extend_at_the_cost_of_whom_he_passed(book: Ledger) -> None:
    """Nothing that was let past somebody is extended beyond when that one has room."""
    book.allocate("short", 2, on=(Placed("s1"),), lease=HOUR_S)
    foreseen = starts(book)
    book.extend("short", lease=3 * HOUR_S)
    assert starts(book) == foreseen
    with pytest.raises(Refused) as caught:
        book.extend("short", lease=1)
    assert caught.value.reason == "waiting"
    assert [one.task for one in caught.value.facts["ahead"]] == ["whole"]
    assert starts(book) == foreseen


def test_what_came_first_is_not_held_against_what_passed(book: Ledger) -> None:
    """Of several that are extended together, only what passed somebody must not delay him."""
    book.allocate("short", 2, on=(Placed("s1"),), lease=HOUR_S)
    book.extend("early", "short", lease=5 * HOUR_S)
    book.extend("short", lease=3 * HOUR_S)
    with pytest.raises(Refused):
        book.extend("short", lease=1)
    book.extend("early", "short", lease=HOUR_S)


def test_who_came_first_may_extend(book: Ledger) -> None:
    """What ran before anybody waited, or elsewhere, goes on as long as limits allow."""
    book.allocate("elsewhere", 2, on=(Placed("s0"),), lease=HOUR_S)
    book.extend("elsewhere", lease=24 * HOUR_S)
    before = starts(book)
    book.extend("early", lease=24 * HOUR_S)
    after = starts(book)
    assert before is not None
    assert after == before + 24 * HOUR_S * 1_000_000


def test_an_admin_may_let_it_go_on(book: Ledger, ledger_path: Path, clock: Clock) -> None:
    """With a reason, which is recorded, for others and for himself."""
    book.allocate("short", 2, on=(Placed("s1"),), lease=HOUR_S)
    with as_actor(ledger_path, clock, ROOT) as root:
        with pytest.raises(Refused) as caught:
            root.extend("short", lease=9 * HOUR_S, user="ada")
        assert caught.value.reason == "waiting"
        root.extend("short", lease=9 * HOUR_S, user="ada", force=True, reason="a paper is due")
    foreseen = starts(book)
    with as_actor(ledger_path, clock, ROOT) as root:
        root.release("short", user="ada", force=True, reason="done")
        root.allocate("own", 2, on=(Placed("s1"),), lease=HOUR_S)
        with pytest.raises(Refused):
            root.extend("own", lease=9 * HOUR_S)
        root.extend("own", lease=9 * HOUR_S, force=True, reason="a paper is due")
    assert starts(book) == foreseen


def test_who_goes_on_again_is_passed_no_more() -> None:
    """Not even by one who looked after him less than a second ago, when he was stopped."""
    ticks = itertools.count(us("2026-03-02T12:00:00"), 1000)
    seen: list[str | None] = ["stopped"]
    data = encode(LedgerCreated("0" * 32, 1, pool(1), By("root", 0)))
    first = Draft(next(ticks), LedgerCreated.KIND, version(LedgerCreated.KIND), "uid:0", None, data)
    log = MemoryLog(first, lambda: next(ticks))
    team = Allocator(log, gone=lambda _tie: seen[-1])
    team.allocate(AllocateRequest(Asked("first", 4)), ADA)
    waiter = Tie("here", "boot", 1, (Process(7, 1),))
    host = msgspec.structs.replace(ADA, host="here")
    team.join(AllocateRequest(Asked("waits", 4), waiter=waiter), host)
    for _ in range(2):
        with pytest.raises(Refused):
            team.allocate(AllocateRequest(Asked("new", 4)), host)
    seen.append(None)
    team.release(AskedRelease(("first",)), host)
    with pytest.raises(Refused) as caught:
        team.allocate(AllocateRequest(Asked("new", 1)), host)
    assert caught.value.reason == "waiting"
