"""The figures of the benchmarks: paired ratios, their interval, and goals."""

from __future__ import annotations

from math import comb

import pytest

from figure import RATE, TIME, Goal, figure, interval, table


def coverage(count: int, low: int, high: int) -> float:
    """How often the true median lies between these two order statistics, counted from 1."""
    within: int = sum(comb(count, below) for below in range(low, high))
    return within / 2.0**count


@pytest.mark.parametrize("count", [6, 7, 12, 20, 60, 200])
def test_the_interval_covers_the_median(count: int) -> None:
    """The interval covers the median at 95 %, and the next narrower one would not."""
    low, high = map(int, interval(range(1, count + 1)))
    assert low + high == count + 1
    assert coverage(count, low, high) >= 0.95
    assert coverage(count, low + 1, high - 1) < 0.95


def test_a_drift_of_the_machine_cancels() -> None:
    """Where the machine slows down evenly, the ratio is that of a machine that does not."""
    floors_s = [1.0 + 0.2 * turn for turn in range(9)]
    ours_s = [3.0 * (1.1 + 0.2 * turn) for turn in range(8)]
    assert figure("", "", ours_s=ours_s, floors_s=floors_s).ratio == pytest.approx(3.0)


def test_rates_and_times() -> None:
    """Twice the time for the same work is 2 × the time and half the rate, and units count."""

    def ratio(goal: Goal, units: tuple[int, int]) -> float:
        both = [2.0] * 6, [1.0] * 7
        return figure("", "", ours_s=both[0], floors_s=both[1], goal=goal, units=units).ratio

    assert ratio(TIME, (1, 1)) == 2.0
    assert ratio(RATE, (1, 1)) == 0.5
    assert ratio(TIME, (4, 1)) == 0.5


@pytest.mark.parametrize(
    ("goal", "verdict"),
    [
        (Goal("rate", 0.5), "met"),
        (Goal("rate", 0.6), "missed"),
        (Goal("time", 2.0), "met"),
        (Goal("time", 1.9), "missed"),
        (Goal("time", within_s=2.0), "met"),
        (Goal("time", within_s=1.0), "missed"),
        (TIME, ""),
    ],
)
def test_goals(goal: Goal, verdict: str) -> None:
    """A goal is met at its bound, missed beyond it, and nothing is said where there is none."""
    found = figure("a name", "a floor", ours_s=[2.0] * 6, floors_s=[1.0] * 7, goal=goal)
    assert found.verdict == verdict
    assert str(goal) in table([found])[1]
