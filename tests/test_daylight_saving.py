"""Daylight saving: days of 23 and 25 hours, times that never come and times that come twice."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuledger.cli.instants import local_time, parse_instant, to_us
from gpuledger.cli.timetext import local_text
from gpuledger.cli.window import parse_month, parse_window
from gpuledger.cli.zone import SystemZone, local_zone

Choose = Callable[[str], None]
HOUR_US = 3_600_000_000
ZONES = [
    "Europe/Berlin",
    "Asia/Shanghai",
    "America/Sao_Paulo",
    "America/Havana",
    "Australia/Lord_Howe",
]


def utc(*parts: int) -> int:
    return to_us(datetime(*parts, tzinfo=UTC))  # type: ignore[arg-type,misc]


@pytest.fixture
def machine_zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Choose]:
    """Set the C library's zone, as `TZ` in the environment does at start."""

    def choose(name: str) -> None:
        monkeypatch.setenv("TZ", name)
        time.tzset()

    yield choose
    monkeypatch.undo()
    time.tzset()


@pytest.fixture(params=["zoneinfo", "system"])
def berlin(request: pytest.FixtureRequest, machine_zone: Choose) -> tzinfo:
    """Berlin twice: by zoneinfo, and by the C library."""
    if request.param == "zoneinfo":
        return ZoneInfo("Europe/Berlin")
    machine_zone("Europe/Berlin")
    return SystemZone()


SPRING = (2026, 3, 29)
AUTUMN = (2026, 10, 25)


@pytest.mark.parametrize(
    ("day", "hours", "start"),
    [
        (SPRING, 23, utc(2026, 3, 28, 23)),
        (AUTUMN, 25, utc(2026, 10, 24, 22)),
        ((2026, 11, 24), 24, utc(2026, 11, 23, 23)),
    ],
)
def test_today_is_as_long_as_the_day(
    day: tuple[int, int, int], hours: int, start: int, berlin: tzinfo
) -> None:
    """`today` begins at local midnight and `tomorrow` a whole day later, seen from any hour."""
    for hour in range(hours):
        now_us = start + hour * HOUR_US + 1
        today = parse_instant("today", now_us=now_us, zone=berlin)
        tomorrow = parse_instant("tomorrow", now_us=now_us, zone=berlin)
        assert (today, tomorrow - today) == (start, hours * HOUR_US)
        after = parse_window("yesterday", "today", now_us=tomorrow + 1, zone=berlin)
        assert (after.from_us, after.to_us) == (today, tomorrow)
        iso = parse_instant("{}-{:02d}-{:02d}".format(*day), now_us=0, zone=berlin)
        assert iso == start


def test_a_month_has_the_hours_of_its_days(berlin: tzinfo) -> None:
    """March is an hour shorter, October an hour longer, in Berlin; Shanghai knows neither."""
    lengths = {
        (month, zone): (window.to_us - window.from_us) // HOUR_US
        for month in ("2026-03", "2026-10")
        for zone in (berlin, ZoneInfo("Asia/Shanghai"))
        for window in [parse_month(month, now_us=0, zone=zone)]
    }
    assert [lengths[month, berlin] for month in ("2026-03", "2026-10")] == [743, 745]
    assert {hours for (_, zone), hours in lengths.items() if zone is not berlin} == {744}


def test_a_time_that_never_comes_is_read_by_the_old_clock(berlin: tzinfo) -> None:
    """02:30 on the day the clock goes forward is 03:30; an offset says otherwise."""
    assert parse_instant("2026-03-29T02:30", now_us=0, zone=berlin) == utc(2026, 3, 29, 1, 30)
    assert local_text(utc(2026, 3, 29, 1, 30), berlin) == "2026-03-29T03:30:00+02:00"
    assert parse_instant("2026-03-29T02:30+02:00", now_us=0, zone=berlin) == utc(2026, 3, 29, 0, 30)


def test_a_time_that_comes_twice_is_the_first(berlin: tzinfo) -> None:
    """02:30 on the day the clock goes back is the summer one; an offset means the second."""
    assert parse_instant("2026-10-25T02:30", now_us=0, zone=berlin) == utc(2026, 10, 25, 0, 30)
    assert parse_instant("2026-10-25T02:30+01:00", now_us=0, zone=berlin) == utc(
        2026, 10, 25, 1, 30
    )
    both = [local_text(utc(2026, 10, 25, hour, 30), berlin) for hour in (0, 1)]
    assert both == ["2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00"]


def test_distances_are_elapsed_time(berlin: tzinfo) -> None:
    """`now-1day` is 24 hours ago, also across a change."""
    now_us = utc(2026, 3, 29, 12)
    assert parse_instant("now-1day", now_us=now_us, zone=berlin) == now_us - 24 * HOUR_US


def test_a_day_whose_midnight_never_comes_begins_at_the_change() -> None:
    """In São Paulo of 2018 the clock went from 24:00 to 01:00; the day began there."""
    zone = ZoneInfo("America/Sao_Paulo")
    assert parse_instant("2018-11-04", now_us=0, zone=zone) == utc(2018, 11, 4, 3)
    assert local_text(utc(2018, 11, 4, 3), zone) == "2018-11-04T01:00:00-02:00"


def test_a_day_whose_midnight_comes_twice_begins_at_the_first() -> None:
    """In Havana the clock goes from 01:00 back to 00:00; the day has 25 hours."""
    zone = ZoneInfo("America/Havana")
    start = parse_instant("2026-11-01", now_us=0, zone=zone)
    assert start == utc(2026, 11, 1, 4)
    assert parse_instant("2026-11-02", now_us=0, zone=zone) - start == 25 * HOUR_US


@given(st.sampled_from(ZONES), st.integers(utc(1990, 1, 1), utc(2037, 1, 1)))
def test_every_instant_survives_its_local_text(name: str, at_us: int) -> None:
    """The offset that is printed makes the local text unambiguous, whatever the zone."""
    zone = ZoneInfo(name)
    text = local_text(at_us, zone)
    assert parse_instant(text, now_us=0, zone=zone) == at_us // 1_000_000 * 1_000_000


@pytest.mark.parametrize("name", ZONES)
def test_the_c_library_s_zone_agrees_with_zoneinfo(name: str, machine_zone: Choose) -> None:
    """Every half hour around both changes of a year is the same by either, in and out."""
    machine_zone(name)
    system, zone = SystemZone(), ZoneInfo(name)
    start = datetime(2018, 1, 1, tzinfo=UTC)
    for half_hours in range(0, 2 * 24 * 366, 1):
        moment = start + timedelta(minutes=30 * half_hours)
        ours = moment.astimezone(system)
        theirs = moment.astimezone(zone)
        assert (ours.replace(tzinfo=None), ours.fold) == (theirs.replace(tzinfo=None), theirs.fold)
        assert ours.utcoffset() == theirs.utcoffset()
        naive = moment.replace(tzinfo=None)
        assert to_us(naive.replace(tzinfo=system)) == to_us(naive.replace(tzinfo=zone))


def test_the_zone_is_the_one_that_tz_names(machine_zone: Choose) -> None:
    """`TZ=Europe/Berlin` is honoured, also with a colon; POSIX rules go to the C library."""
    assert local_zone({"TZ": "Europe/Berlin"}) == ZoneInfo("Europe/Berlin")
    assert local_zone({"TZ": ":Asia/Shanghai"}) == ZoneInfo("Asia/Shanghai")
    assert isinstance(local_zone({}), SystemZone)
    assert isinstance(local_zone({"TZ": "/etc/localtime"}), SystemZone)
    rule = "CET-1CEST,M3.5.0,M10.5.0/3"
    machine_zone(rule)
    assert isinstance(local_zone({"TZ": rule}), SystemZone)
    assert local_time(utc(2026, 7, 1, 12), local_zone()).hour == 14
    assert local_time(utc(2026, 7, 1, 12), local_zone()).tzname() == "CEST"
