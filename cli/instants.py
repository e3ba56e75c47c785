"""Instants as people type them, turned into microseconds UTC.

ISO 8601 (`2026-03-31T15:00:00.5+02:00`, `2026-03-31 15:00`, `2026-03-31`), the words
`now`, `today`, `yesterday`, `tomorrow`, `midnight`, `noon`, `fika`, `teatime`, distances
from now (`now-2hours`, `now+30minutes`, `-6h`; after `now-` a bare number is seconds, as
in Slurm), and Slurm's `HH:MM[:SS][AM|PM]` of today, `MMDD[YY]`, `MM/DD[/YY]` and
`MM.DD[.YY]`, each with an optional `-HH:MM[:SS]`. A date without a year is the last such
day, today included; a date without a time is its first moment.

What has no offset is local time. Of a local time that comes twice, when the clock goes
back, the first is meant; a local time that never comes, when it goes forward, is read as
if the clock had not been changed yet, so 02:30 then is 03:30. Write the offset to mean
something else. Distances are elapsed time: `now-1day` is 24 hours ago on any day.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo

from ..replay.errors import BadRequest
from ..replay.spent import SECOND_US
from .duration import units_s

INSTANT_RULE = (
    "a time such as 2026-03-31T15:00, 2026-03-31, 03/31-15:00, 15:00, today, yesterday,"
    " now-2hours or -6h"
)
LAST_US = (1 << 53) - 1
"""The greatest instant that an event can carry, in the year 2255."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_CLOCK = r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?"
_ISO = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
    r"(?:[t ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]{1,6}))?)?"
    r"(z|[+-][0-9]{2}(?::?[0-9]{2})?)?)?"
)
_DAY = re.compile(
    r"(?:([0-9]{2})([0-9]{2})([0-9]{2})?"
    r"|([0-9]{1,2})([/.])([0-9]{1,2})(?:\5([0-9]{4}|[0-9]{2}))?)"
    rf"(?:-{_CLOCK})?"
)
_TIME = re.compile(rf"{_CLOCK}\s?(am|pm)?")
_HOURS = {"today": 0, "midnight": 0, "noon": 12, "fika": 15, "teatime": 16}
_DAYS = {"yesterday": -1, "tomorrow": 1}


def parse_instant(text: str, *, now_us: int, zone: tzinfo, field: str = "time") -> int:
    """The instant that a text means, in microseconds UTC. Raises BadRequest."""
    told = text.strip(" ").lower()
    try:
        at_us = _distance(told, now_us)
        if at_us is None:
            moment = _iso(told, zone) or _word_or_slurm(told, local_time(now_us, zone))
            at_us = to_us(moment) if moment is not None else None
    except (ValueError, OverflowError):
        at_us = None
    if at_us is None or not 0 <= at_us <= LAST_US:
        raise BadRequest(field, text, INSTANT_RULE)
    return at_us


def to_us(moment: datetime) -> int:
    """An aware moment as microseconds UTC."""
    return (moment - _EPOCH) // _MICROSECOND


def local_time(at_us: int, zone: tzinfo) -> datetime:
    """An instant as local time in `zone`."""
    return (_EPOCH + at_us * _MICROSECOND).astimezone(zone)


def midnight_us(day: date, zone: tzinfo) -> int:
    """The first moment of a local day."""
    return to_us(datetime(day.year, day.month, day.day, tzinfo=zone))


def _distance(told: str, now_us: int) -> int | None:
    """`now`, `now-2hours`, `-6h`, `+30m`."""
    if told == "now":
        return now_us
    rest = told.removeprefix("now")
    if rest[:1] not in ("+", "-"):
        return None
    seconds = units_s(rest[1:])
    if seconds is None and rest != told and rest[1:].isascii() and rest[1:].isdigit():
        seconds = int(rest[1:13])
    if seconds is None:
        return None
    return now_us + (seconds if rest[0] == "+" else -seconds) * SECOND_US


def _iso(told: str, zone: tzinfo) -> datetime | None:
    found = _ISO.fullmatch(told)
    if found is None:
        return None
    year, month, day, hour, minute, second, fraction, offset = found.groups()
    return datetime(
        int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0),
        int((fraction or "0").ljust(6, "0")),
        tzinfo=_offset(offset) if offset else zone,
    )  # fmt: skip


def _offset(told: str) -> tzinfo:
    """The zone of `z`, `+02`, `+0200` or `+02:00`. Raises ValueError."""
    if told == "z":
        return UTC
    digits = told[1:].replace(":", "").ljust(4, "0")
    ahead = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(ahead if told[0] == "+" else -ahead)


def _word_or_slurm(told: str, now: datetime) -> datetime | None:
    """A word, a time of today or one of Slurm's dates, seen from `now` in its zone."""
    if told in _HOURS:
        return _clock(now.date(), now.tzinfo, _HOURS[told])
    if told in _DAYS:
        return _clock(now.date() + timedelta(days=_DAYS[told]), now.tzinfo)
    time = _TIME.fullmatch(told)
    if time is not None:
        hour, half = int(time[1]), time[4]
        if half and not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if half == "pm" else 0) if half else hour
        return _clock(now.date(), now.tzinfo, hour, int(time[2]), int(time[3] or 0))
    dated = _DAY.fullmatch(told)
    if dated is None:
        return None
    month, day, year = (dated[1], dated[2], dated[3]) if dated[1] else dated.group(4, 6, 7)
    return _clock(
        _date(int(month), int(day), year, now.date()), now.tzinfo,
        int(dated[8] or 0), int(dated[9] or 0), int(dated[10] or 0),
    )  # fmt: skip


def _clock(
    day: date, zone: tzinfo | None, hour: int = 0, minute: int = 0, second: int = 0
) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, second, tzinfo=zone)


def _date(month: int, day: int, year: str | None, today: date) -> date:
    """A date as Slurm writes it; without a year the last such day. Raises ValueError."""
    if year is not None:
        return date(int(year) + (2000 if len(year) == 2 else 0), month, day)
    for back in range(9):  # Nine years hold a 29th of February, whichever they are.
        try:
            found = date(today.year - back, month, day)
        except ValueError:
            continue
        if found <= today:
            return found
    raise ValueError(month, day)
