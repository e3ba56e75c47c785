"""Times and durations, written: ISO 8601 out, and short forms for tables.

Instants are microseconds UTC. JSON has them in UTC with all six digits, so that a
program gets back what was recorded; people get their local time to the second with its
offset, so that no reader has to guess a zone.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, tzinfo

from ..replay.spent import SECOND_US

FARTHEST_US = 2_147_000_000 * 365 * 86_400 * SECOND_US
"""The last instant that this tells: years of a C library's calendar have 32 bits."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def utc_text(at_us: int) -> str:
    """`2026-03-31T15:00:00.000000Z`; what is beyond any clock is told as the last it can tell."""
    seconds, rest = divmod(min(max(at_us, -FARTHEST_US), FARTHEST_US), SECOND_US)
    year, month, day, hour, minute, second, *_ = time.gmtime(seconds)
    return f"{year:04d}-{month:02d}-{day:02d}T{hour:02d}:{minute:02d}:{second:02d}.{rest:06d}Z"


def local_text(at_us: int, zone: tzinfo) -> str:
    """`2026-03-31T17:00:00+02:00`; parts of a second are dropped, never rounded up.

    Years that no calendar of Python's has, as a damaged file may tell, are told in UTC.
    """
    try:
        moment = _EPOCH + timedelta(seconds=at_us // SECOND_US)
        return moment.astimezone(zone).isoformat(timespec="seconds")
    except (OverflowError, ValueError):
        return utc_text(at_us).partition(".")[0] + "+00:00"


def brief_text(at_us: int, zone: tzinfo) -> str:
    """`03-31T17:00`: the same moment where a terminal has no room for more."""
    return local_text(at_us, zone).partition("-")[2][:11]


def elapsed_text(seconds: int) -> str:
    """A duration in full as Slurm writes it: `02:03:04`, `1-02:03:04`."""
    days, rest = divmod(max(seconds, 0), 86_400)
    clock = f"{rest // 3_600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}"
    return f"{days}-{clock}" if days else clock


def held_text(seconds: int) -> str:
    """A duration by its two greatest units: `45s`, `12m05s`, `3h12m`, `2d04h`."""
    seconds = max(seconds, 0)
    if seconds < 60:
        return f"{seconds}s"
    if seconds < 3_600:
        return f"{seconds // 60}m{seconds % 60:02d}s"
    if seconds < 86_400:
        return f"{seconds // 3_600}h{seconds // 60 % 60:02d}m"
    return f"{seconds // 86_400}d{seconds // 3_600 % 24:02d}h"
