"""Windows of time, half open: `[from, to)` in microseconds UTC.

Without a start the window begins seven days before its end, without an end it ends now.
A month is a local one, from its first midnight to the next month's.
"""

from __future__ import annotations

import re
from datetime import date, timedelta, tzinfo

from ..replay.errors import BadRequest
from ..replay.interval import Window
from ..replay.spent import SECOND_US
from .instants import LAST_US, local_time, midnight_us, parse_instant

USUAL_US = 7 * 86_400 * SECOND_US
MONTH_RULE = "a month such as 2026-03, this-month or last-month"

_MONTH = re.compile(r"([0-9]{4})-([0-9]{2})")


def parse_window(
    since: str | None = None,
    until: str | None = None,
    month: str | None = None,
    *,
    now_us: int,
    zone: tzinfo,
) -> Window:
    """The window that `-S`, `-E` and `--month` mean. Raises BadRequest."""
    if month is not None:
        if since is not None or until is not None:
            raise BadRequest("--month", month, "--month alone, or -S and -E without it")
        return parse_month(month, now_us=now_us, zone=zone)
    to_us = now_us
    if until is not None:
        to_us = parse_instant(until, now_us=now_us, zone=zone, field="-E")
    from_us = max(0, to_us - USUAL_US)
    if since is not None:
        from_us = parse_instant(since, now_us=now_us, zone=zone, field="-S")
    if from_us > to_us:
        end = "now" if until is None else until
        raise BadRequest("-S", since, f"a start that is not after the end, {end}")
    return Window(from_us, to_us)


def parse_month(text: str, *, now_us: int, zone: tzinfo) -> Window:
    """The local month that a text means. Raises BadRequest."""
    told = text.strip(" ").lower()
    found = _MONTH.fullmatch(told)
    first = local_time(now_us, zone).date().replace(day=1)
    try:
        if found is not None:
            first = date(int(found[1]), int(found[2]), 1)
        elif told == "last-month":
            first = (first - timedelta(days=1)).replace(day=1)
        elif told != "this-month":
            raise ValueError(told)
        window = Window(midnight_us(first, zone), midnight_us(_next_month(first), zone))
    except (ValueError, OverflowError):
        raise BadRequest("--month", text, MONTH_RULE) from None
    if not 0 <= window.from_us <= window.to_us <= LAST_US:
        raise BadRequest("--month", text, MONTH_RULE)
    return window


def _next_month(first: date) -> date:
    return (first + timedelta(days=32)).replace(day=1)
