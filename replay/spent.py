"""GPU time spent: how much of it lies in the last so many seconds, kept by whole hours.

An hour counts wholly while any of it lies in the window, so that a limit is met a little
early rather than late. Counted from the event that set the first limit of that kind; a window
that grows reaches as far back as the one before had reached.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping

from .facts import Cap, Limits, Member, Project, gpus_in
from .piece import POOL, AllocationPiece, Piece, PoolPiece, SpentPiece

HOUR_US = 3_600_000_000
SECOND_US = 1_000_000
WINDOW_S = 7 * 86_400
"""The window where a limit of GPU-hours names none."""


def longest(limits: Limits, projects: tuple[Project, ...], members: tuple[Member, ...]) -> int:
    """The longest window of any limit of GPU-hours, in seconds; 0 where there is none."""
    caps = [limits.task, limits.user, limits.project]
    caps += [one.cap for one in projects] + [one.cap for one in members]
    return max((counted(cap) for cap in caps), default=0)


def counted(cap: Cap) -> int:
    """The window of a cap's GPU-hours in seconds; 0 where it does not limit them."""
    return cap.window or WINDOW_S if cap.gpu_hours is not None else 0


def user_key(owner: str) -> str:
    """The key of the piece that counts a user's GPU time."""
    return "spent:user:" + owner


def task_key(owner: str, task: str) -> str:
    """The same of one task of his."""
    return f"spent:task:{owner}/{task}"


def project_key(project: str) -> str:
    """The same of a project."""
    return "spent:project:" + project


def _keys(limits: Limits, piece: AllocationPiece) -> Iterator[str]:
    """The keys of the pieces that count an allocation's GPU time; tasks where that is limited."""
    yield user_key(piece.owner)
    if limits.task.gpu_hours is not None:
        yield task_key(piece.owner, piece.task)
    if piece.project is not None:
        yield project_key(piece.project)


def first_hour(at: int, window: int) -> int:
    """The first hour that counts at `at` (microseconds UTC) in a window of so many seconds."""
    return (at - window * SECOND_US) // HOUR_US


def spend(
    pieces: MutableMapping[str, Piece], piece: AllocationPiece, at: int, until: int
) -> list[str]:
    """Count an allocation that ends at `at` (microseconds UTC), of which its time up to `until`
    is certain; returns the touched keys.
    """
    pool = pieces.get(POOL)
    if not isinstance(pool, PoolPiece) or not pool.window:
        return []
    first = first_hour(at, pool.window)
    gpus = gpus_in(piece.servers)
    fresh = by_hour(max(piece.start, first * HOUR_US), until, gpus)
    touched: list[str] = []
    counted_so = _hours(pieces, user_key(piece.owner))
    if fresh and (not counted_so or counted_so[-1][0] < fresh[-1][0]):
        touched += forget(pieces, first)
    for key in _keys(pool.limits, piece):
        hours = _added(_hours(pieces, key), fresh)
        if hours:
            pieces[key] = SpentPiece(hours)
            touched.append(key)
    return touched


def _hours(pieces: MutableMapping[str, Piece], key: str) -> tuple[tuple[int, int], ...]:
    piece = pieces.get(key)
    return piece.hours if isinstance(piece, SpentPiece) else ()


def _added(
    hours: tuple[tuple[int, int], ...], fresh: list[tuple[int, int]]
) -> tuple[tuple[int, int], ...]:
    if not hours:
        return tuple(fresh)
    if len(fresh) == 1 and fresh[0][0] == hours[-1][0]:  # most end in the hour they began in
        return (*hours[:-1], (fresh[0][0], hours[-1][1] + fresh[0][1]))
    summed = dict(hours)
    for hour, spent in fresh:
        summed[hour] = summed.get(hour, 0) + spent
    return tuple(sorted(summed.items()))


def forget(pieces: MutableMapping[str, Piece], first: int | None = None) -> list[str]:
    """Drop the hours before `first`, or all of them; returns the keys of pieces that changed.

    Whoever is the first to count in an hour of his own does it for everybody, so that what nobody
    adds to goes as well, and nobody does it at every end.
    """
    changed = {
        key: () if first is None else tuple(one for one in piece.hours if one[0] >= first)
        for key, piece in pieces.items()
        if isinstance(piece, SpentPiece) and (first is None or piece.hours[0][0] < first)
    }
    for key, hours in changed.items():
        if hours:
            pieces[key] = SpentPiece(hours)
        else:
            del pieces[key]
    return list(changed)


def by_hour(start: int, end: int, gpus: int) -> list[tuple[int, int]]:
    """The GPU microseconds of `gpus` GPUs in `[start, end)`, hour by hour."""
    parts: list[tuple[int, int]] = []
    while start < end and gpus:
        hour = start // HOUR_US
        stop = min(end, (hour + 1) * HOUR_US)
        parts.append((hour, gpus * (stop - start)))
        start = stop
    return parts


def since(piece: Piece | None, first_us: int) -> int:
    """The GPU microseconds of the hour in which `first_us` lies, and of those after it."""
    if not isinstance(piece, SpentPiece):
        return 0
    first = first_us // HOUR_US
    return sum([spent for hour, spent in piece.hours if hour >= first])
