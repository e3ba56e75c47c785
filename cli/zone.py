"""The local time zone: what `TZ` names, else what the machine is set to."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo

_DAY_S = 86_400
_SYSTEM = "/etc/localtime"
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 — local and UTC readings are compared without zones


class SystemZone(tzinfo):
    """The zone of the C library (`/etc/localtime`, or a `TZ` that only it understands).

    Knows both changes of daylight saving: of a local time that comes twice `fold` picks
    one, a local time that never comes is read with the offset before the change.
    """

    def utcoffset(self, moment: datetime | None) -> timedelta | None:
        """How far local time is ahead of UTC at this local time."""
        if moment is None:
            return None
        local = moment.replace(tzinfo=None)
        return local - (_EPOCH + timedelta(seconds=round(local.timestamp(), 6)))

    def fromutc(self, moment: datetime) -> datetime:
        """The local time, with its `fold`, of a moment told in UTC."""
        at = moment.replace(tzinfo=UTC).timestamp()
        return datetime.fromtimestamp(at).replace(tzinfo=self)  # noqa: DTZ006 — local is meant

    def dst(self, _: datetime | None) -> timedelta | None:
        """Not told: nothing here needs to know which part of the offset it is."""
        return None

    def tzname(self, moment: datetime | None) -> str | None:
        """The abbreviation, such as CET."""
        if moment is None:
            return None
        return time.localtime(moment.replace(tzinfo=None).timestamp()).tm_zone


def zone_text() -> str | None:
    """This process's zone as another machine can take it for its `TZ`; None where it is unknown.

    A name where there is one, else the rule that holds now.
    """
    told = os.environ.get("TZ")
    if told or os.name != "posix":
        return told
    _folder, found, name = os.path.realpath(_SYSTEM).partition("/zoneinfo/")
    if found:
        return name
    try:
        with open(_SYSTEM, "rb") as file:
            content = file.read(1 << 20)
    except OSError:
        return "UTC"
    rule = content.rstrip(b"\n").rpartition(b"\n")[2]
    return rule.decode() if rule.isascii() and rule else None


def local_zone(environ: Mapping[str, str] | None = None) -> tzinfo:
    """The zone in which this process tells time."""
    name = (os.environ if environ is None else environ).get("TZ", "").removeprefix(":")
    if name:
        from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            pass  # A rule in POSIX' notation or a file: the C library understands both.
    if max(abs(time.timezone), abs(time.altzone)) >= _DAY_S:
        return UTC  # `UTC-25`: a day or more from UTC is no time zone, to Python either.
    return SystemZone()
