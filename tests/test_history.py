"""`history`: allocations of a window as sacct shows jobs, and nothing of the window hidden."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chosen_times import Clock, as_actor, document, ledger_from
from conftest import RunCli
from gpuledger.cli.historytable import FIELDS
from gpuledger.replay.facts import Placed
from small_pools import ADA, BOB, pool

ALL = ("-S", "2025-06-01", "-E", "2025-06-10")
SLURM = "JobID JobName User Account NodeList AllocTRES Start End Elapsed State Reason Comment"


@pytest.fixture
def told(ledger_path: Path) -> Path:
    """@2 ada's `night` from 1 to 2 June on s0, @4 bob's `wide` on both servers, ended by root.

    @6 ada's `now` on s1, since 3 June, with a note.
    """
    clock = Clock("2025-06-01T00:00")
    root = ledger_from(ledger_path, pool(), clock)
    ada, bob = (as_actor(ledger_path, clock, who) for who in (ADA, BOB))
    clock.to("2025-06-01T20:00")
    ada.allocate("night", 2, 8, on=(Placed("s0", (0, 1)),), project="vision")
    clock.to("2025-06-02T06:00:00.250000")
    ada.release("night")
    bob.allocate("wide", 4, 8, servers=2)
    clock.to("2025-06-02T08:00")
    root.release("@4", force=True, reason="maintenance | today")
    clock.to("2025-06-03T00:00")
    ada.allocate("now", 1, 1, on=(Placed("s1", (3,)),), note="a note")
    for one in (root, ada, bob):
        one.close()
    return ledger_path


def tasks(run_cli: RunCli, path: Path, *args: str, zone: str = "UTC") -> list[str]:
    """The tasks of a history."""
    answer = document(run_cli, path, "history", *args, zone=zone)
    return [one["task"] for one in answer["allocations"]]


def test_everything_that_was_recorded(told: Path, run_cli: RunCli) -> None:
    """An ended allocation comes with its servers, times, exact length and the reason of its end."""
    answer = document(run_cli, told, "history", *ALL)
    night, wide, now = answer["allocations"]
    assert answer["window"]["from"] == "2025-06-01T00:00:00.000000Z"
    assert (night["allocation"], night["user"], night["project"]) == (2, "ada", "vision")
    assert night["servers"] == [{"server": "s0", "gpus": [0, 1], "uuids": [None, None], "cpus": 8}]
    assert (night["start"], night["end"]) == (
        "2025-06-01T20:00:00.000000Z", "2025-06-02T06:00:00.250000Z",
    )  # fmt: skip
    assert (night["elapsed_s"], night["state"]) == (36_000.25, "ended")
    assert [share["server"] for share in wide["servers"]] == ["s0", "s1"]
    assert (wide["cause"], wide["reason"]) == ("admin", "maintenance | today")
    assert (now["end"], now["state"], now["note"]) == (None, "running", "a note")


def test_nothing_of_the_window_is_hidden(told: Path, run_cli: RunCli) -> None:
    """What ran over midnight, all through the window, or ends in it, is there; half open."""
    assert tasks(run_cli, told, "-S", "2025-06-02", "-E", "2025-06-03") == ["night", "wide"]
    assert tasks(run_cli, told, "-S", "2025-06-02T01:00", "-E", "2025-06-02T02:00") == ["night"]
    assert tasks(run_cli, told, "-S", "2025-06-02T08:00", "-E", "2025-06-03") == []
    assert tasks(run_cli, told, "-S", "2025-06-05", "-E", "2025-06-06") == ["now"]


def test_by_default_the_last_week_and_all_that_runs(told: Path, run_cli: RunCli) -> None:
    """Without a window seven days up to now are meant, and what began before them and runs on."""
    answer = document(run_cli, told, "history")
    assert [one["task"] for one in answer["allocations"]] == ["now"]
    done = run_cli("--ledger", told, "history")
    assert "gpuledger: window " in done.stderr
    assert "(7-00:00:00)" in done.stderr


@pytest.mark.parametrize(
    ("args", "found"),
    [
        (("-u", "ada"), ["night", "now"]),
        (("-u", "ada,bob"), ["night", "wide", "now"]),
        (("-u", "ada", "-u", "bob", "-N", "s1"), ["wide", "now"]),
        (("-A", "vision"), ["night"]),
        (("-N", "s0"), ["night", "wide"]),
        (("-N", "s[0-1]"), ["night", "wide", "now"]),
        (("-s", "R"), ["now"]),
        (("-s", "running"), ["now"]),
        (("-s", "cd"), ["night", "wide"]),
        (("-s", "ended,running"), ["night", "wide", "now"]),
        (("-j", "@4"), ["wide"]),
        (("-j", "2,@6"), ["night", "now"]),
        (("-u", "nobody"), []),
    ],
)
def test_conditions(told: Path, run_cli: RunCli, args: tuple[str, ...], found: list[str]) -> None:
    """Users, projects, servers, states and ids narrow the answer, several of a kind widen it."""
    assert tasks(run_cli, told, *ALL, *args) == found


def test_an_id_is_found_in_all_of_time(told: Path, run_cli: RunCli) -> None:
    """Where ids are named and no window is, all of time is searched, as by sacct."""
    assert tasks(run_cli, told, "-j", "2") == ["night"]
    assert tasks(run_cli, told, "-j", "2", "-S", "2025-07-01") == []


def test_a_local_month(told: Path, run_cli: RunCli) -> None:
    """`--month` is the local one: in Shanghai 1 June begins while it is May in UTC."""
    assert tasks(run_cli, told, "--month", "2025-06", zone="Asia/Shanghai") == [
        "night", "wide", "now",
    ]  # fmt: skip
    assert tasks(run_cli, told, "--month", "2025-05", zone="Asia/Shanghai") == []


def test_slurms_fields(told: Path, run_cli: RunCli) -> None:
    """Every field name of sacct's that fits is taken, in any case, and means the same."""
    names = SLURM.replace(" ", ",")
    for spelling in (names, names.lower(), names.upper()):
        done = run_cli("--ledger", told, "history", "-P", "-n", "-o", spelling, *ALL)
        assert done.returncode == 0, done.stderr
    night, wide, now = done.stdout.splitlines()
    assert night.split("|") == [
        "2", "night", "ada", "vision", "s0", "cpu=8,gres/gpu=2", "2025-06-01T20:00:00+00:00",
        "2025-06-02T06:00:00+00:00", "10:00:00", "ended", "", "",
    ]  # fmt: skip
    assert wide.split("|")[4:6] == ["s[0-1]", "cpu=8,gres/gpu=4"]
    assert wide.split("|")[10] == r"maintenance \x7c today"
    assert (now.split("|")[7], now.split("|")[11]) == ("", "a note")


def test_widths(told: Path, run_cli: RunCli) -> None:
    """`%20` is a width, `%-20` stands left, what is longer is cut and says so."""
    done = run_cli("--ledger", told, "history", "-o", "task%8,user%-5,servers%6", *ALL)
    assert done.stdout.splitlines() == [
        "    task user  serve+",
        "-------- ----- ------",
        "   night ada   s0:0-1",
        "    wide bob   s[0-1+",
        "     now ada     s1:3",
    ]


def test_no_header(told: Path, run_cli: RunCli) -> None:
    """`-n` leaves the header out, of columns, bars and CSV."""
    for form in ((), ("-P",), ("--csv", "-o", "id,task")):
        whole = run_cli("--ledger", told, "history", *form, *ALL).stdout.splitlines()
        bare = run_cli("--ledger", told, "history", "-n", *form, *ALL).stdout.splitlines()
        assert len(bare) == 3
        assert "task" not in bare[0]
        assert "task" in whole[0]


def test_every_field_can_be_chosen(told: Path, run_cli: RunCli) -> None:
    """All known fields at once give a cell each."""
    done = run_cli("--ledger", told, "history", "-P", "-o", ",".join(FIELDS), *ALL)
    header, *rows = done.stdout.splitlines()
    assert header.split("|") == list(FIELDS)
    assert {len(row.split("|")) for row in rows} == {len(FIELDS)}


def test_programs_get_data_alone(told: Path, run_cli: RunCli) -> None:
    """CSV and JSON are clean on stdout; CSV has exact times in UTC and whole numbers as ids."""
    done = run_cli("--ledger", told, "history", "--csv", *ALL)
    header, first, *_ = done.stdout.splitlines()
    assert header == "allocation,task,user,project,servers,cpus,start,end,elapsed_s,state,reason"
    assert first.split(",") == [
        "2", "night", "ada", "vision", "s0:0-1", "8", "2025-06-01T20:00:00.000000Z",
        "2025-06-02T06:00:00.250000Z", "36000.250000", "ended", "",
    ]  # fmt: skip
    whole = run_cli("--ledger", told, "history", "--json", *ALL)
    assert whole.stderr == ""
    json.loads(whole.stdout)


def test_the_table_for_people(told: Path, run_cli: RunCli) -> None:
    """Ids are written as every command takes them, times local with their offset."""
    done = run_cli("--ledger", told, "history", *ALL, env={"TZ": "Europe/Berlin"})
    night = done.stdout.splitlines()[2].split()
    assert night == [
        "@2", "night", "ada", "vision", "s0:0-1", "8", "2025-06-01T22:00:00+02:00",
        "2025-06-02T08:00:00+02:00", "10:00:00", "ended",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("args", "named"),
    [
        (("-o", "MaxRSS"), "JobName"),
        (("-o", "task,,user"), "elapsed"),
        (("-o", "task%x"), "%20"),
        (("-o", "task%0"), "width"),
        (("-s", "PD"), "running"),
        (("-j", "night"), "@4711"),
        (("-j", "@"), "@4711"),
        (("-N", "s[1-"), "range"),
        (("-S", "soon"), "yesterday"),
        (("-S", "2025-06-02", "-E", "2025-06-01"), "2025-06-01"),
        (("--month", "2025-13"), "last-month"),
        (("--month", "2025-06", "-S", "2025-06-02"), "--month"),
        (("--json", "--csv"), "one of them"),
    ],
)
def test_bad_questions(told: Path, run_cli: RunCli, args: tuple[str, ...], named: str) -> None:
    """What is not understood is exit 2 and says what would be, never a blank column."""
    done = run_cli("--ledger", told, "history", *args)
    assert done.returncode == 2
    assert named in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == ("--json" not in args)


def test_nothing_ran(told: Path, run_cli: RunCli) -> None:
    """An empty answer is said on stderr, and is a bare header for programs."""
    empty = ("-S", "2025-06-01T00:00", "-E", "2025-06-01T01:00")
    done = run_cli("--ledger", told, "history", *empty)
    assert (done.returncode, done.stdout) == (0, "")
    assert "nothing of that ran" in done.stderr
    assert len(run_cli("--ledger", told, "history", "-P", *empty).stdout.splitlines()) == 1
    assert len(run_cli("--ledger", told, "history", "--csv", *empty).stdout.splitlines()) == 1


def test_a_clock_that_went_back(ledger_path: Path, run_cli: RunCli) -> None:
    """What was recorded while the clock was ahead is in the default window, for no time yet."""
    clock = Clock("2025-06-01T00:00")
    ledger_from(ledger_path, pool(), clock).close()
    with as_actor(ledger_path, clock, ADA) as ada:
        clock.to("2100-01-01T00:00")
        ada.allocate("ahead", 1, 1)
    (only,) = document(run_cli, ledger_path, "history")["allocations"]
    assert (only["task"], only["state"]) == ("ahead", "running")
    assert 0 <= only["elapsed_s"] < 1
    (held,) = document(run_cli, ledger_path, "audit", "who", "s0")["intervals"]
    assert held["task"] == "ahead"
