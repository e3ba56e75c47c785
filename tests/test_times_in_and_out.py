"""Times as people type them and as they are printed: nothing is guessed, nothing is lost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuledger.cli.duration import parse_duration, units_s, units_text
from gpuledger.cli.instants import LAST_US, parse_instant, to_us
from gpuledger.cli.timetext import elapsed_text, held_text, local_text, utc_text
from gpuledger.cli.window import parse_month, parse_window
from gpuledger.replay.errors import BadRequest
from gpuledger.replay.interval import Window

BERLIN = ZoneInfo("Europe/Berlin")
SHANGHAI = ZoneInfo("Asia/Shanghai")
NOW = datetime(2026, 11, 24, 10, 30, 15, 250_000, tzinfo=UTC)
NOW_US = to_us(NOW)
DAY_US = 86_400_000_000


def utc(text: str) -> int:
    return to_us(datetime.fromisoformat(text).replace(tzinfo=UTC))


def instant(text: str) -> int:
    return parse_instant(text, now_us=NOW_US, zone=BERLIN, field="-S")


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-03-31T15:00:00Z", "2026-03-31T15:00:00"),
        ("2026-03-31t15:00:00z", "2026-03-31T15:00:00"),
        ("2026-03-31T15:00:00.5Z", "2026-03-31T15:00:00.500000"),
        ("2026-03-31T15:00:00,123456Z", "2026-03-31T15:00:00.123456"),
        ("2026-03-31T15:00:00+08:00", "2026-03-31T07:00:00"),
        ("2026-03-31T15:00+0800", "2026-03-31T07:00:00"),
        ("2026-03-31 15:00-03", "2026-03-31T18:00:00"),
        ("2026-03-31T15:00", "2026-03-31T13:00:00"),
        ("2026-03-31 15:00:07", "2026-03-31T13:00:07"),
        (" 2026-03-31 ", "2026-03-30T22:00:00"),
        ("2026-12-24", "2026-12-23T23:00:00"),
        ("now", "2026-11-24T10:30:15.250000"),
        ("NOW", "2026-11-24T10:30:15.250000"),
        ("today", "2026-11-23T23:00:00"),
        ("Yesterday", "2026-11-22T23:00:00"),
        ("tomorrow", "2026-11-24T23:00:00"),
        ("midnight", "2026-11-23T23:00:00"),
        ("noon", "2026-11-24T11:00:00"),
        ("fika", "2026-11-24T14:00:00"),
        ("teatime", "2026-11-24T15:00:00"),
        ("now-2hours", "2026-11-24T08:30:15.250000"),
        ("now+30minutes", "2026-11-24T11:00:15.250000"),
        ("now-1d12h", "2026-11-22T22:30:15.250000"),
        ("now-60", "2026-11-24T10:29:15.250000"),
        ("now-1week", "2026-11-17T10:30:15.250000"),
        ("-6h", "2026-11-24T04:30:15.250000"),
        ("+1sec", "2026-11-24T10:30:16.250000"),
        ("15:00", "2026-11-24T14:00:00"),
        ("9:05:30", "2026-11-24T08:05:30"),
        ("3:00PM", "2026-11-24T14:00:00"),
        ("3:00 pm", "2026-11-24T14:00:00"),
        ("12:00am", "2026-11-23T23:00:00"),
        ("12:00pm", "2026-11-24T11:00:00"),
        ("1124", "2026-11-23T23:00:00"),
        ("1125", "2025-11-24T23:00:00"),
        ("0331-15:00", "2026-03-31T13:00:00"),
        ("033125", "2025-03-30T22:00:00"),
        ("0229", "2024-02-28T23:00:00"),
        ("3/31", "2026-03-30T22:00:00"),
        ("03/31-15:00:07", "2026-03-31T13:00:07"),
        ("03/31/25", "2025-03-30T22:00:00"),
        ("03/31/2025-08:00", "2025-03-31T06:00:00"),
        ("03.31.25-08:00", "2025-03-31T06:00:00"),
        ("11/24-23:00", "2026-11-24T22:00:00"),
        ("1970-01-01T00:00Z", "1970-01-01T00:00:00"),
    ],
)
def test_a_time_is_understood(text: str, at: str) -> None:
    """ISO 8601, words, distances and Slurm's forms, seen from Berlin in November."""
    assert instant(text) == utc(at)


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "x", "nowish", "now-", "now-2fortnights", "-6", "-h", "6h", "--6h", "now-1h1d",
        "2026", "2026-03", "2026-02-30", "2026-13-01", "2026-03-31T24:00", "2026-03-31T15",
        "2026-03-31T15:60", "2026-03-31T15:00:60", "2026-03-31T15:00:00.1234567", "2026-03-31Z",
        "2026-03-31T15:00+25:00", "20260331T150000", "1969-12-31", "2300-01-01",
        "now-99999999999d", "now+999999999999w", "25:00", "15:60", "13:00pm", "0:30am", "1332",
        "0231", "13/01", "02/30", "2/30/24", "03/31.25", "0331-25:00", "@4711", "1774969200",
        "٢٠٢٦-٠٣-٣١", "today\n",
        "2026-03-31T15:00\x1b[1m", "9999-12-31T23:59:59-12:00",
    ],
)  # fmt: skip
def test_what_is_no_time_is_refused(text: str) -> None:
    """Half-written, impossible and out-of-range times raise BadRequest with the field's name."""
    with pytest.raises(BadRequest) as caught:
        instant(text)
    assert caught.value.field == "-S"
    assert caught.value.value == text


@given(st.integers(0, LAST_US), st.sampled_from([BERLIN, SHANGHAI, UTC]))
def test_an_instant_survives_its_texts(at_us: int, zone: ZoneInfo) -> None:
    """JSON's text gives back each microsecond, the local text each second, in any zone."""
    exact = parse_instant(utc_text(at_us), now_us=NOW_US, zone=zone)
    assert exact == at_us
    assert datetime.fromisoformat(utc_text(at_us)) == datetime(1970, 1, 1, tzinfo=UTC) + timedelta(
        microseconds=at_us
    )
    local = local_text(at_us, zone)
    if len(local) == len("2026-03-31T15:00:00+02:00"):
        assert parse_instant(local, now_us=NOW_US, zone=zone) == at_us // 1_000_000 * 1_000_000


@pytest.mark.parametrize("at_us", [10**30, -(10**30)])
def test_what_no_clock_can_tell_is_told_all_the_same(at_us: int) -> None:
    """A forged end of a lease or of a wait, however far, keeps nobody from reading the rest."""
    assert utc_text(at_us).lstrip("-").startswith("21455")
    assert local_text(at_us, UTC).endswith("+00:00")


def test_times_are_printed_with_their_offset() -> None:
    """People see local time to the second with its offset, programs UTC with six digits."""
    assert utc_text(NOW_US) == "2026-11-24T10:30:15.250000Z"
    assert local_text(NOW_US, BERLIN) == "2026-11-24T11:30:15+01:00"
    assert local_text(NOW_US, timezone(timedelta(hours=-3.5))) == "2026-11-24T07:00:15-03:30"
    assert local_text(NOW_US - 1, UTC).endswith("15+00:00")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30m", 1_800), ("90s", 90), ("1d12h", 129_600), ("2h30m", 9_000), ("1w", 604_800),
        ("1 ", 60), ("90", 5_400), ("45min", 2_700), ("2hours", 7_200), ("3days", 259_200),
        ("1:30", 90), ("02:03:04", 7_384), ("100:00:00", 360_000), ("1-2", 93_600),
        ("1-02:03", 93_780), ("1-02:03:04", 93_784), ("0-00:00:01", 1), ("1D", 86_400),
    ],
)  # fmt: skip
def test_a_duration_is_understood(text: str, seconds: int) -> None:
    """Units, Slurm's clock forms, and a bare number of minutes."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", " ", "0", "0s", "-5m", "m", "1h1h", "1m1h", "1.5h", "1:60", "1:2", "1:00:60", "1-24",
     "1-", "-1", "1y", "99999999999d", "1h 2m", "٣m", "1:2:3:4", "1d-02:00"],
)  # fmt: skip
def test_what_is_no_duration_is_refused(text: str) -> None:
    """Zero, negative, unordered and endless durations raise BadRequest."""
    with pytest.raises(BadRequest) as caught:
        parse_duration(text, field="--wait")
    assert caught.value.field == "--wait"


@given(st.integers(1, 10**8))
def test_a_duration_survives_its_text(seconds: int) -> None:
    """What is echoed in full means the same when typed again, from an hour up."""
    text = elapsed_text(seconds)
    assert parse_duration(text) == seconds


@given(st.integers(1, 10**9))
def test_a_duration_in_units_is_read_as_it_was(seconds: int) -> None:
    """What is printed for being typed again means the same time."""
    assert units_s(units_text(seconds)) == seconds


@pytest.mark.parametrize(
    ("seconds", "held", "elapsed"),
    [
        (-1, "0s", "00:00:00"),
        (0, "0s", "00:00:00"),
        (59, "59s", "00:00:59"),
        (60, "1m00s", "00:01:00"),
        (3_599, "59m59s", "00:59:59"),
        (11_545, "3h12m", "03:12:25"),
        (86_399, "23h59m", "23:59:59"),
        (187_200, "2d04h", "2-04:00:00"),
        (100 * 86_400, "100d00h", "100-00:00:00"),
    ],
)
def test_durations_are_printed_short_and_in_full(seconds: int, held: str, elapsed: str) -> None:
    """Tables show the two greatest units, history shows Slurm's form."""
    assert (held_text(seconds), elapsed_text(seconds)) == (held, elapsed)


def window(*texts: str | None) -> Window:
    return parse_window(*texts, now_us=NOW_US, zone=BERLIN)


def test_a_window_defaults_to_the_last_seven_days() -> None:
    """Without a start it begins a week before its end, without an end it ends now."""
    assert window() == Window(NOW_US - 7 * DAY_US, NOW_US)
    assert window("-6h") == Window(NOW_US - DAY_US // 4, NOW_US)
    assert window(None, "today") == Window(utc("2026-11-16T23:00:00"), utc("2026-11-23T23:00:00"))
    assert window("yesterday", "today").to_us - window("yesterday", "today").from_us == DAY_US
    assert window("now", "now") == Window(NOW_US, NOW_US)
    assert window(None, "1970-01-02") == Window(0, utc("1970-01-01T23:00:00"))


@pytest.mark.parametrize(
    ("texts", "field"),
    [
        (("today", "yesterday"), "-S"),
        (("tomorrow",), "-S"),
        (("x",), "-S"),
        ((None, "x"), "-E"),
        (("today", None, "2026-03"), "--month"),
        ((None, "today", "2026-03"), "--month"),
    ],
)
def test_a_window_that_is_none_is_refused(texts: tuple[str | None, ...], field: str) -> None:
    """An end before its start, a start to come and a month beside either are told by field."""
    with pytest.raises(BadRequest) as caught:
        window(*texts)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2026-03", "2026-02-28T23:00:00", "2026-03-31T22:00:00"),
        ("last-month", "2026-09-30T22:00:00", "2026-10-31T23:00:00"),
        ("This-Month", "2026-10-31T23:00:00", "2026-11-30T23:00:00"),
        ("2025-12", "2025-11-30T23:00:00", "2025-12-31T23:00:00"),
        ("2024-02", "2024-01-31T23:00:00", "2024-02-29T23:00:00"),
    ],
)
def test_a_month_is_a_local_one(text: str, start: str, end: str) -> None:
    """From the first midnight of a month to that of the next, in local time."""
    assert window(None, None, text) == Window(utc(start), utc(end))


@pytest.mark.parametrize("text", ["", "2026", "2026-13", "2026-3", "march", "2026-03-01", "1969-01",
                                  "9999-12", "0000-01", "2256-01"])  # fmt: skip
def test_what_is_no_month_is_refused(text: str) -> None:
    """Months are written as year and month, or by their two words."""
    with pytest.raises(BadRequest):
        parse_month(text, now_us=NOW_US, zone=BERLIN)
