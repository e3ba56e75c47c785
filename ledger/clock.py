"""The wall clock, in microseconds UTC since 1970."""

from __future__ import annotations

import time


def now_us() -> int:
    """Return the wall clock now, in whole microseconds UTC."""
    return time.time_ns() // 1000
