"""GPU time spent: what fold counts is what a model counts minute by minute, as far back as it must.

The model knows nothing of windows: it keeps every minute of every allocation that ended.
"""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronicle import ROOT_DID, Chronicle
from gpuledger.replay.catalogue import AllocationGranted, AllocationReleased, PoolChanged
from gpuledger.replay.facts import Asked, By, Cap, Limits, Member, Project, Share
from gpuledger.replay.piece import AllocationPiece, PoolPiece, SpentPiece
from gpuledger.replay.spent import (
    HOUR_US,
    SECOND_US,
    WINDOW_S,
    by_hour,
    counted,
    first_hour,
    longest,
    since,
)
from small_pools import pool

MINUTE_US = 60 * SECOND_US
HOUR_S, DAY_S = 3_600, 86_400
PEOPLE = {"ada": 1001, "bob": 1002}
SEEDS = st.integers(0, 2**32)


class Counting:
    """A log in memory whose clock goes by minutes, and the model beside it."""

    def __init__(self, limits: Limits) -> None:
        self.log = Chronicle(pool(2, 8, 64))
        self.now = HOUR_US * 500_000
        self.minutes: dict[str, Counter[int]] = {}
        """GPU-minutes of what ended, by the key of the piece and the minute."""
        self.first = 0
        """The first hour of which nothing was ever left out."""
        self.change(limits)

    @property
    def window(self) -> int:
        """The window over which the pool counts, in seconds."""
        piece = self.log.state.pieces["pool"]
        assert isinstance(piece, PoolPiece)
        return piece.window

    def change(self, limits: Limits) -> None:
        """Give the pool other limits."""
        self.log.add(PoolChanged(ROOT_DID, limits=limits), at=self.now)
        if not self.window:
            self.minutes.clear()
            self.first = 0

    def grant(self, user: str, task: str, project: str | None, gpus: int) -> None:
        """Grant that many GPUs, or fewer, of one server, if any are free."""
        server = max(self.log.state.servers(), key=lambda one: one.free_count())
        taken = server.free_gpus()[:gpus]
        asked, by = Asked(task, 1), By(user)
        share = Share(server.facts.name, taken, 1)
        self.log.add(
            AllocationGranted(task, user, (share,), asked, by, PEOPLE[user], project=project),
            at=self.now,
        )

    def end(self, *pieces: AllocationPiece) -> None:
        """End allocations, and count every minute of them."""
        self.log.add(
            AllocationReleased(ROOT_DID, tuple(piece.id for piece in pieces), "owner"), at=self.now
        )
        for piece in pieces if self.window else ():
            self.first = max(self.first, first_hour(self.now, self.window))
            gpus = sum(len(share.gpus) for share in piece.servers)
            keys = ["spent:user:" + piece.owner]
            if self.log.state.pool.limits.task.gpu_hours is not None:
                keys.append(f"spent:task:{piece.owner}/{piece.task}")
            if piece.project is not None:
                keys.append("spent:project:" + piece.project)
            for key in keys:
                told = self.minutes.setdefault(key, Counter())
                for minute in range(piece.start // MINUTE_US, self.now // MINUTE_US):
                    told[minute] += gpus

    def said(self, key: str, hour: int) -> int:
        """GPU microseconds from an hour on, as the model has them."""
        told = self.minutes.get(key, Counter[int]())
        return sum(gpus * MINUTE_US for minute, gpus in told.items() if minute >= hour * 60)

    def counts(self, key: str, hour: int) -> int:
        """The same as the state has them."""
        return since(self.log.state.pieces.get(key), hour * HOUR_US)

    def act(self, random: Random) -> None:
        """Let some time pass, then grant or end something."""
        self.now += random.choice([0, 1, 7, 60, 90, 600]) * MINUTE_US
        running = self.log.state.allocations()
        if running and random.random() < 0.5:
            self.end(*random.sample(running, min(len(running), random.randint(1, 2))))
        else:
            user, project = random.choice(["ada", "bob"]), random.choice([None, "vision"])
            self.grant(user, random.choice(["a", "b"]), project, random.randint(0, 4))


KEYS = [
    *(f"spent:user:uid:{uid}" for uid in PEOPLE.values()),
    *(f"spent:task:uid:{uid}/{task}" for uid in PEOPLE.values() for task in "ab"),
    "spent:project:vision",
]


@given(SEEDS, st.sampled_from([1, HOUR_S, 5 * HOUR_S, 2 * DAY_S]), st.booleans())
def test_an_hour_counts_wholly_while_any_of_it_is_in_the_window(
    seed: int, window: int, tasks: bool
) -> None:
    """In the window, and in each shorter one, the sum is that of the minutes of its hours."""
    cap = Cap(gpu_hours=9, window=window)
    limits = Limits(task=cap) if tasks else Limits(user=cap)
    random, made = Random(seed), Counting(limits)
    for _ in range(30):
        made.act(random)
        for part in (window, window // 2, 0):
            hour = first_hour(made.now, part)
            for key in KEYS:
                assert made.counts(key, hour) == made.said(key, hour)


@given(SEEDS)
def test_nothing_is_lost_that_no_window_had_left_out(seed: int) -> None:
    """Whatever becomes of the window, the hours that were in it at each end are there wholly."""
    random, made = Random(seed), Counting(Limits(user=Cap(gpu_hours=9, window=HOUR_S)))
    for _ in range(40):
        if random.random() < 0.15:
            window = random.choice([None, 1, HOUR_S, 9 * HOUR_S, 3 * DAY_S])
            made.change(Limits(user=Cap() if window is None else Cap(gpu_hours=9, window=window)))
        made.act(random)
        for key in KEYS:
            assert made.counts(key, made.first) == made.said(key, made.first)
            assert made.said(key, made.first) <= made.counts(key, 0) <= made.said(key, 0)


@given(SEEDS)
def test_what_is_too_old_goes(seed: int) -> None:
    """Once somebody has counted something in an hour, nobody has hours that are too old for it."""
    window = 5 * HOUR_S
    random, made = Random(seed), Counting(Limits(user=Cap(gpu_hours=9, window=window)))
    for _ in range(40):
        made.act(random)
        spent = [one for one in made.log.state.pieces.values() if isinstance(one, SpentPiece)]
        latest = max((one.hours[-1][0] for one in spent), default=0)
        oldest = min((one.hours[0][0] for one in spent), default=latest)
        assert oldest >= latest - window // HOUR_S - 1


def test_who_never_comes_back_is_forgotten() -> None:
    """The piece of a user goes when another counts something beyond the window."""
    made = Counting(Limits(user=Cap(gpu_hours=9, window=DAY_S)))
    for user in ("bob", "ada"):
        made.grant(user, "t", None, 1)
        made.now += HOUR_US
        made.end(*made.log.state.allocations())
        made.now += 2 * DAY_S * SECOND_US
    pieces = [key for key in made.log.state.pieces if key.startswith("spent:")]
    assert pieces == ["spent:user:uid:1001"]


def test_without_a_limit_nothing_is_counted() -> None:
    """Before the first limit of GPU-hours nothing is kept, and after the last all of it goes."""
    made = Counting(Limits(2, Cap(gpus=4), Cap(lease=60)))
    random = Random(1)
    for _ in range(20):
        made.act(random)
    assert not any(key.startswith("spent:") for key in made.log.state.pieces)
    made.change(Limits(task=Cap(gpu_hours=1)))
    for _ in range(20):
        made.act(random)
    assert {key for key in made.log.state.pieces if key.startswith("spent:")} <= set(KEYS)
    assert any(key.startswith("spent:task:") for key in made.log.state.pieces)
    made.change(Limits())
    assert not any(key.startswith("spent:") for key in made.log.state.pieces)


def test_an_allocation_without_gpus_spends_nothing() -> None:
    """Nothing is kept of one that held no GPU, or for no time at all."""
    made = Counting(Limits(user=Cap(gpu_hours=9)))
    made.grant("ada", "cpus", None, 0)
    made.now += HOUR_US
    made.grant("ada", "brief", None, 2)
    made.end(*made.log.state.allocations())
    assert not any(key.startswith("spent:") for key in made.log.state.pieces)


@given(st.integers(0, 100 * HOUR_US), st.integers(0, 40 * HOUR_US), st.integers(0, 8))
def test_hours_add_up(start: int, length: int, gpus: int) -> None:
    """The hours of a stretch are consecutive, none is empty or overfull, and they add up to it."""
    parts = by_hour(start, start + length, gpus)
    assert sum(spent for _, spent in parts) == length * gpus
    hours = [hour for hour, _ in parts]
    assert hours == list(range(hours[0], hours[0] + len(hours))) if hours else not length * gpus
    assert all(0 < spent <= gpus * HOUR_US for _, spent in parts)


CAPS = {
    "none": (Cap(gpus=1), 0),
    "the usual window": (Cap(gpu_hours=1), WINDOW_S),
    "its own window": (Cap(gpu_hours=1, window=60), 60),
}


@pytest.mark.parametrize("how", CAPS)
def test_the_longest_window_counts_wherever_it_stands(how: str) -> None:
    """A limit of a scope, of one project or of one user makes the pool count as far back."""
    cap, window = CAPS[how]
    assert counted(cap) == window
    for limits in (Limits(task=cap), Limits(user=cap), Limits(project=cap)):
        assert longest(limits, (), ()) == window
        more = Cap(gpu_hours=1, window=window + 1)
        assert longest(limits, (Project("a", 0, more),), ()) == window + 1
        assert longest(limits, (), (Member("ada", "uid:1", None, more),)) == window + 1
