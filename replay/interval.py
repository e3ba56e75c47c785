"""Intervals of time: half open `[from, to)`, in microseconds UTC, clipped and never dropped."""

from __future__ import annotations

from .facts import Record
from .holding import Holding


class Window(Record, frozen=True):
    """A stretch of time, half open, microseconds UTC."""

    from_us: int
    to_us: int

    def overlap(self, start: int, end: int | None) -> int:
        """How long `[start, end)` lies in the window; an open end reaches to the window's."""
        until = self.to_us if end is None else min(end, self.to_us)
        return max(0, until - max(start, self.from_us))

    def meets(self, start: int, end: int | None) -> bool:
        """Whether `[start, end)` shares an instant with the window; one of no length counts at
        its start.
        """
        if start >= self.to_us:
            return False
        return end is None or end > self.from_us or start == end == self.from_us

    def clip(self, start: int, end: int | None) -> tuple[int, int]:
        """The part of `[start, end)` that lies in the window."""
        until = self.to_us if end is None else min(end, self.to_us)
        return max(start, self.from_us), until


def gpu_time(holding: Holding, window: Window) -> int:
    """GPU-microseconds of a holding in a window."""
    return len(holding.gpus) * window.overlap(holding.start, holding.end)


def cpu_time(holding: Holding, window: Window) -> int:
    """CPU-microseconds of a holding in a window."""
    return holding.cpus * window.overlap(holding.start, holding.end)


def unsure_time(holding: Holding, window: Window) -> int:
    """Those of its GPU-microseconds of which a gap leaves open whether it was held."""
    if holding.sure is None:
        return 0
    return len(holding.gpus) * window.overlap(holding.sure, holding.end)


def less(stretch: tuple[int, int], held: list[tuple[int, int]]) -> int:
    """How much of a stretch is covered by none of the disjoint `held` ones."""
    window = Window(*stretch)
    return stretch[1] - stretch[0] - sum(window.overlap(start, end) for start, end in held)
