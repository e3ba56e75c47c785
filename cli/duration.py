"""Durations as people type them: `30m`, `1d12h`, and Slurm's `D-HH:MM:SS`.

A bare number is minutes, as for Slurm's `--time`; commands say in full what they
understood (`timetext.elapsed_text`).
"""

from __future__ import annotations

import re

from ..replay.errors import BadRequest

DURATION_RULE = "a duration such as 30m, 1d12h, 90s or D-HH:MM:SS (a bare number is minutes)"
MOST_S = 100 * 366 * 86_400

UNITS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
WORDS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), "m"),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), "h"),
    **dict.fromkeys(("d", "day", "days"), "d"),
    **dict.fromkeys(("w", "week", "weeks"), "w"),
}

_PART = re.compile(r"([0-9]{1,12})([a-z]+)")
_CLOCK = re.compile(r"(?:([0-9]{1,6})-)?([0-9]{1,8})(?::([0-9]{2}))?(?::([0-9]{2}))?")


def parse_duration(text: str, *, field: str = "duration") -> int:
    """The seconds that a text means. Raises BadRequest."""
    told = text.strip(" ").lower()
    seconds = units_s(told)
    if seconds is None:
        seconds = _clock_s(told)
    if seconds is None or not 1 <= seconds <= MOST_S:
        raise BadRequest(field, text, DURATION_RULE)
    return seconds


def units_s(told: str) -> int | None:
    """The seconds of `1d12h`, each unit once and the greater first; None for anything else."""
    seconds, at, below = 0, 0, MOST_S
    while at < len(told):
        part = _PART.match(told, at)
        unit_s = UNITS_S.get(WORDS.get(part[2], ""), 0) if part else 0
        if part is None or not 0 < unit_s < below:
            return None
        seconds += int(part[1]) * unit_s
        at, below = part.end(), unit_s
    return seconds if told else None


def units_text(seconds: int) -> str:
    """A duration as `units_s` reads it: `7d`, `1d12h`, `90s` as `1m30s`; `0s` for nothing."""
    told = ""
    for unit in ("d", "h", "m", "s"):
        count, seconds = divmod(seconds, UNITS_S[unit])
        told += f"{count}{unit}" if count else ""
    return told or "0s"


def _clock_s(told: str) -> int | None:
    """The seconds of Slurm's forms: M, M:SS, H:MM:SS, D-H, D-H:MM, D-H:MM:SS."""
    found = _CLOCK.fullmatch(told)
    if found is None:
        return None
    days, first, second, third = found.groups()
    rest = (int(second or 0), int(third or 0))
    if days is not None:
        hours, minutes, seconds = int(first), *rest
        if hours > 23:
            return None
    elif third is not None:
        hours, minutes, seconds = int(first), *rest
    else:
        hours, minutes, seconds = 0, int(first), rest[0]
    if max(rest) > 59:
        return None
    return int(days or 0) * 86_400 + hours * 3_600 + minutes * 60 + seconds
