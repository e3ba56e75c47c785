"""A figure: what ours costs beside its floor, as the median of paired ratios with its interval.

A run on a shared machine is 10-16 % slower at its 90th percentile than at its median, so a time
by itself says little. Both sides take turns in one run; each of ours is held against the mean
of the two floors around it, which takes out a drift of the machine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import comb
from statistics import median
from typing import Literal, Protocol

CONFIDENCE = 0.95

Side = Callable[[], Callable[[], object]]
"""Makes one side ready, untimed, and returns the work that is timed."""


@dataclass(frozen=True)
class Goal:
    """How a ratio is told, and what it should be; a goal missed is printed, never a failure.

    A `rate` is ours ÷ the floor's and wants at least `bound`; a `time` is ours ÷ the floor's and
    wants at most `bound`; `within_s` wants our own time, in seconds, whatever the floor's.
    """

    kind: Literal["rate", "time"]
    bound: float | None = None
    within_s: float | None = None

    def met(self, ratio: float, ours_s: float) -> bool:
        """Whether a median meets it."""
        if self.within_s is not None:
            return ours_s <= self.within_s
        if self.bound is None:
            return True
        return ratio >= self.bound if self.kind == "rate" else ratio <= self.bound

    def __str__(self) -> str:
        if self.within_s is not None:
            return f"≤ {seconds(self.within_s)}"
        if self.bound is None:
            return ""
        return f"{'≥' if self.kind == 'rate' else '≤'} {self.bound:g} × {self.kind}"


RATE = Goal("rate")
TIME = Goal("time")


@dataclass(frozen=True)
class Figure:
    """One line of the table. Times are seconds for one unit of work (a grant, a process, a row).

    `ratio` is of what its goal speaks of, times or rates; `low` and `high` are its interval at
    95 %.
    """

    name: str
    floor: str
    ours_s: float
    floor_s: float
    ratio: float
    low: float
    high: float
    pairs: int
    goal: Goal

    @property
    def verdict(self) -> str:
        """`met` or `missed`, nothing where there is no goal."""
        if not str(self.goal):
            return ""
        return "met" if self.goal.met(self.ratio, self.ours_s) else "missed"

    def facts(self) -> dict[str, object]:
        """What pytest-benchmark stores beside its own numbers."""
        return {
            "floor": self.floor,
            "ours_s": self.ours_s,
            "floor_s": self.floor_s,
            "ratio": self.ratio,
            "ratio_of": self.goal.kind,
            "interval": [self.low, self.high],
            "pairs": self.pairs,
            "goal": str(self.goal),
            "verdict": self.verdict,
        }


class Compare(Protocol):
    """Measures ours against a floor in turns and keeps the figure for the table.

    `units` is the work in one round of ours and of the floor: grants, rows, processes.
    """

    def __call__(
        self,
        name: str,
        ours: Side,
        floor: Side,
        *,
        against: str,
        goal: Goal = TIME,
        units: tuple[int, int] = (1, 1),
        rounds: int = 20,
    ) -> None: ...


def figure(
    name: str,
    floor: str,
    *,
    ours_s: Sequence[float],
    floors_s: Sequence[float],
    units: tuple[int, int] = (1, 1),
    goal: Goal = TIME,
) -> Figure:
    """The figure of one comparison: `floors_s` has one more than `ours_s`, before, between and
    after. `units` is the work in each of ours and in each floor.
    """
    if len(floors_s) != len(ours_s) + 1:
        raise ValueError(f"{len(ours_s)} of ours need {len(ours_s) + 1} floors around them")
    mine = [each / units[0] for each in ours_s]
    theirs = [(a + b) / 2 / units[1] for a, b in pairwise(floors_s)]
    costs = [one / other for one, other in zip(mine, theirs, strict=True)]
    ratios = sorted(1 / cost for cost in costs) if goal.kind == "rate" else sorted(costs)
    low, high = interval(ratios)
    return Figure(
        name, floor, median(mine), median(theirs), median(ratios), low, high, len(ratios), goal
    )


def interval(ordered: Sequence[float]) -> tuple[float, float]:
    """The interval of the median at 95 %, whatever the distribution: two order statistics.

    With fewer than six values the least and the greatest, which cover less.
    """
    count = len(ordered)
    outside, cut = 0.0, 0
    while cut < count // 2:
        outside += 2 * comb(count, cut) / 2**count
        if outside > 1 - CONFIDENCE:
            break
        cut += 1
    cut = max(cut, 1)
    return ordered[cut - 1], ordered[count - cut]


def seconds(value: float) -> str:
    """A time with three digits and the unit that suits it."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value * 1e9:.3g} ns"


def table(figures: Sequence[Figure]) -> list[str]:
    """The figures as lines of one table."""
    rows = [("", "ours", "floor", "ratio", "95 % of it", "goal", "", "floor is")]
    rows += [
        (
            one.name,
            seconds(one.ours_s),
            seconds(one.floor_s),
            f"{one.ratio:.3g} × {one.goal.kind}",
            f"{one.low:.3g} to {one.high:.3g}",
            str(one.goal),
            one.verdict,
            one.floor,
        )
        for one in figures
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    left = (0, 6, 7)
    return [
        "  ".join(
            cell.ljust(width) if at in left else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
