"""The wall clock, in microseconds UTC since 1970."""

from __future__ import annotations

import time


def now_us() -> int:
    """Return the wall clock now, in whole microseconds UTC."""
    return time.time_ns() // 1000


def at_least(now_us: int, last_at: int) -> int:
    """Return the time an event gets: `now_us`, or that of the event before where it is behind."""
    return max(now_us, last_at)
