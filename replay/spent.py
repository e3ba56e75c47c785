"""GPU time spent: how much of it lies in the last so many seconds, kept by whole hours.

An hour counts wholly while any of it lies in the window, so that a limit is met a little
early rather than late. Counted from the event that set the first limit of that kind.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping

from .facts import Cap, Limits, Member, Project
from .piece import POOL, AllocationPiece, Piece, PoolPiece, SpentPiece

HOUR_US = 3_600_000_000
SECOND_US = 1_000_000


def longest(limits: Limits, projects: tuple[Project, ...], members: tuple[Member, ...]) -> int:
    """The longest window of any limit of GPU-hours, in seconds; 0 where there is none."""
    caps = [limits.task, limits.user, limits.project]
    caps += [one.cap for one in projects] + [one.cap for one in members]
    return max((counted(cap) for cap in caps), default=0)


def counted(cap: Cap) -> int:
    """The window of a cap's GPU-hours in seconds; 0 where it does not limit them."""
    return cap.window or WINDOW_S if cap.gpu_hours is not None else 0


WINDOW_S = 7 * 86_400
"""The window where a limit of GPU-hours names none."""


def keys(owner: str, task: str, project: str | None) -> Iterator[str]:
    """The keys of the pieces that count an allocation's GPU time."""
    yield "spent:user:" + owner
    yield f"spent:task:{owner}/{task}"
    if project is not None:
        yield "spent:project:" + project


def spend(pieces: MutableMapping[str, Piece], piece: AllocationPiece, at: int) -> list[str]:
    """Count an allocation that ends at `at` (microseconds UTC); returns the touched keys."""
    pool = pieces.get(POOL)
    if not isinstance(pool, PoolPiece) or not pool.window:
        return []
    since = at - pool.window * SECOND_US
    gpus = sum(len(share.gpus) for share in piece.servers)
    fresh = by_hour(max(piece.start, since), at, gpus)
    touched = []
    for key in keys(piece.owner, piece.task, piece.project):
        if key.startswith("spent:task:") and pool.limits.task.gpu_hours is None:
            continue
        before = pieces.get(key)
        hours = dict(before.hours) if isinstance(before, SpentPiece) else {}
        for hour, spent in fresh:
            hours[hour] = hours.get(hour, 0) + spent
        first = since // HOUR_US
        pieces[key] = SpentPiece(tuple(sorted(one for one in hours.items() if one[0] >= first)))
        touched.append(key)
    return touched


def by_hour(start: int, end: int, gpus: int) -> list[tuple[int, int]]:
    """The GPU microseconds of `gpus` GPUs in `[start, end)`, hour by hour."""
    parts = []
    while start < end:
        hour = start // HOUR_US
        stop = min(end, (hour + 1) * HOUR_US)
        parts.append((hour, gpus * (stop - start)))
        start = stop
    return parts


def since(piece: Piece | None, first_us: int) -> int:
    """The GPU microseconds of the hours that end after `first_us`."""
    if not isinstance(piece, SpentPiece):
        return 0
    first = first_us // HOUR_US
    return sum(spent for hour, spent in piece.hours if hour >= first)
