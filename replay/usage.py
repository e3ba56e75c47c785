"""Usage: who used how much of what there was, in a window.

Sums are whole microseconds, so nothing is rounded before it is printed. Capacity is what
the pool had then, not what it has now; a held GPU that is drained counts as held.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from .facts import Record
from .holding import Capacity, Holding
from .interval import Window, cpu_time, gpu_time, less, unsure_time

DIMENSIONS = ("user", "project", "server", "task")


class Allowance(Record, frozen=True):
    """What is `used` of what is `allowed`: `gpus` or `cpus` at once, or `gpu_hours` in seconds.

    GPU time is that of the last `window` seconds with running leases to their ends, as a
    request is held to it.
    """

    what: str
    used: int
    allowed: int
    window: int | None = None


class UsageRow(Record, frozen=True):
    """One row: the values of the dimensions asked for, and the sums in GPU- and
    CPU-microseconds; `limits` where they were asked for, too.

    Of `gpu_us`, `unsure_us` is time of which a gap leaves open whether it was held.
    """

    values: tuple[str | None, ...]
    allocations: int
    gpu_us: int
    cpu_us: int
    limits: tuple[Allowance, ...] = ()
    unsure_us: int = 0


class Usage(Record, frozen=True):
    """Use against what there was: all in microseconds; `drained_us` is drained and not held."""

    window: Window
    by: tuple[str, ...]
    rows: tuple[UsageRow, ...]
    allocations: int
    gpu_us: int
    cpu_us: int
    capacity_us: int
    drained_us: int
    unsure_us: int = 0

    @property
    def held_share(self) -> float | None:
        """Held divided by capacity, or None where there was no capacity."""
        return self.gpu_us / self.capacity_us if self.capacity_us else None


def usage(
    holdings: Iterable[Holding], capacities: list[Capacity], window: Window, by: tuple[str, ...]
) -> Usage:
    """Sum up the holdings that meet the window, by the given dimensions, the greatest users
    first.
    """
    sums: dict[tuple[str | None, ...], list[int]] = defaultdict(lambda: [0, 0, 0])
    ids: dict[tuple[str | None, ...], set[int]] = defaultdict(set)
    held: dict[str, list[Holding]] = defaultdict(list)
    for holding in holdings:
        values = tuple(getattr(holding, name) for name in by)
        sums[values][0] += gpu_time(holding, window)
        sums[values][1] += cpu_time(holding, window)
        sums[values][2] += unsure_time(holding, window)
        ids[values].add(holding.allocation)
        held[holding.server].append(holding)
    rows = [
        UsageRow(at, len(ids[at]), gpu_us, cpu_us, unsure_us=unsure_us)
        for at, (gpu_us, cpu_us, unsure_us) in sums.items()
    ]
    rows.sort(key=lambda row: (-row.gpu_us, tuple(value or "" for value in row.values)))
    capacity, drained = _offered(capacities, window, held)
    everyone = {number for numbers in ids.values() for number in numbers}
    return Usage(
        window, by, tuple(rows), len(everyone),
        sum(row.gpu_us for row in rows), sum(row.cpu_us for row in rows), capacity, drained,
        sum(row.unsure_us for row in rows),
    )  # fmt: skip


def _offered(
    capacities: list[Capacity], window: Window, held: dict[str, list[Holding]]
) -> tuple[int, int]:
    """GPU-microseconds of capacity in the window, and of drained GPUs that nobody held."""
    following: dict[str, list[Capacity]] = defaultdict(list)
    for capacity in capacities:
        following[capacity.server].append(capacity)
    whole = drained = 0
    for server, steps in following.items():
        ends = [*(step.at for step in steps[1:]), None]
        for step, end in zip(steps, ends, strict=True):
            length = window.overlap(step.at, end)
            whole += len(step.gpus) * length
            if length and step.drained:
                stretch = window.clip(step.at, end)
                drained += sum(less(stretch, _held(held[server], gpu)) for gpu in step.drained)
    return whole, drained


def _held(holdings: list[Holding], gpu: int) -> list[tuple[int, int]]:
    """When GPU `gpu` was held; an open end lies beyond every window."""
    return [
        (holding.start, 1 << 62 if holding.end is None else holding.end)
        for holding in holdings
        if gpu in holding.gpus
    ]
