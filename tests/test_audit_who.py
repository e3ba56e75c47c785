"""`audit who`: every interval in which somebody held a GPU, clipped to the window, none dropped."""

from __future__ import annotations

from pathlib import Path

import pytest

from chosen_times import Clock, as_actor, document, ledger_from
from conftest import RunCli
from gpuledger.replay.facts import Placed, Pool
from small_pools import ADA, BOB, server

ALL = ("-S", "2025-06-01", "-E", "2025-06-10")


@pytest.fixture
def told(ledger_path: Path) -> Path:
    """ada holds s0:0-1 from 1 June 20:00 to 2 June 06:00, then bob s0:1 and s1:0, still.

    Three servers, of which s2 is removed on 4 June, after ada held s2:3 on 3 June for no time.
    """
    clock = Clock("2025-06-01T00:00")
    servers = (server("s0", uuids="GPU-a"), server("s1"), server("s2"))
    root = ledger_from(ledger_path, Pool(servers), clock)
    ada, bob = (as_actor(ledger_path, clock, who) for who in (ADA, BOB))
    clock.to("2025-06-01T20:00")
    ada.allocate("night", 2, 8, on=(Placed("s0", (0, 1)),), project="vision")
    clock.to("2025-06-02T06:00")
    ada.release("night")
    bob.allocate("day", 2, 4, on=(Placed("s0", (1,)), Placed("s1", (0,))))
    clock.to("2025-06-03T00:00")
    ada.allocate("brief", 1, 1, on=(Placed("s2", (3,)),))
    ada.release("brief")
    clock.to("2025-06-04T00:00")
    root.pool_apply(Pool(servers[:2]), remove=True)
    for one in (root, ada, bob):
        one.close()
    return ledger_path


def test_intervals_of_a_gpu(told: Path, run_cli: RunCli) -> None:
    """One GPU's intervals come by start, with everything that was recorded of the holder."""
    answer = document(run_cli, told, "audit", "who", "s0:1", *ALL)
    assert answer["intervals"] == [
        {"server": "s0", "gpu": 1, "uuid": "GPU-a-1", "allocation": 2, "task": "night",
         "user": "ada", "project": "vision",
         "start": "2025-06-01T20:00:00.000000Z", "end": "2025-06-02T06:00:00.000000Z",
         "uncertain": None, "sure_until": None},
        {"server": "s0", "gpu": 1, "uuid": "GPU-a-1", "allocation": 4, "task": "day",
         "user": "bob", "project": None,
         "start": "2025-06-02T06:00:00.000000Z", "end": "2025-06-10T00:00:00.000000Z",
         "uncertain": None, "sure_until": None},
    ]  # fmt: skip
    assert answer["head"]["seq"] == 7
    assert len(answer["head"]["hash"]) == 64


def test_intervals_are_clipped_and_never_dropped(told: Path, run_cli: RunCli) -> None:
    """What ran over the window's edge is cut there and shown, as is what ran all through it."""
    night = document(
        run_cli, told, "audit", "who", "s0:0", "-S", "2025-06-02T00:00", "-E", "2025-06-02T01:00"
    )
    (only,) = night["intervals"]
    assert (only["start"], only["end"]) == (
        "2025-06-02T00:00:00.000000Z",
        "2025-06-02T01:00:00.000000Z",
    )
    assert night["window"] == {
        "from": "2025-06-02T00:00:00.000000Z",
        "to": "2025-06-02T01:00:00.000000Z",
    }


def test_an_answer_about_the_past_stays(told: Path, run_cli: RunCli) -> None:
    """What is held on is clipped to a window that is over, so the answer is the same for ever."""
    week = ("-S", "2025-06-02", "-E", "2025-06-09")
    before = document(run_cli, told, "audit", "who", "s0:1", *week)["intervals"]
    with as_actor(told, Clock("2025-06-20"), BOB) as bob:
        bob.release("day")
    assert document(run_cli, told, "audit", "who", "s0:1", *week)["intervals"] == before


def test_the_window_is_half_open(told: Path, run_cli: RunCli) -> None:
    """What ended when the window begins is not in it, nor what begins when it ends."""
    at = "2025-06-02T06:00"
    after = document(run_cli, told, "audit", "who", "s0:1", "-S", at, "-E", "2025-06-03")
    before = document(run_cli, told, "audit", "who", "s0:1", "-S", "2025-06-01", "-E", at)
    assert [one["task"] for one in after["intervals"]] == ["day"]
    assert [one["task"] for one in before["intervals"]] == ["night"]


def test_several_servers_are_one_report(told: Path, run_cli: RunCli) -> None:
    """Ranges and several places give one report, server by server, GPU by GPU, by start."""
    answer = document(run_cli, told, "audit", "who", "s[0-1]", *ALL)
    assert [(one["server"], one["gpu"], one["task"]) for one in answer["intervals"]] == [
        ("s0", 0, "night"), ("s0", 1, "night"), ("s0", 1, "day"), ("s1", 0, "day"),
    ]  # fmt: skip
    exact = document(run_cli, told, "audit", "who", "s1:0", "s0:0", *ALL)
    assert [(one["server"], one["gpu"]) for one in exact["intervals"]] == [("s1", 0), ("s0", 0)]


@pytest.mark.parametrize("places", [["s2"], ["s2", "s0:2"]])
def test_a_removed_server_keeps_its_past(told: Path, run_cli: RunCli, places: list[str]) -> None:
    """A server that the pool no longer has still answers, also for what had no length."""
    answer = document(run_cli, told, "audit", "who", *places, *ALL)
    (only,) = answer["intervals"]
    assert (only["task"], only["start"]) == ("brief", only["end"])


@pytest.mark.parametrize("places", [["s1"], ["s1:3"], ["s0:7"], ["s[0-1]"]])
def test_what_nobody_ever_held_is_still_known(
    ledger_path: Path, run_cli: RunCli, places: list[str]
) -> None:
    """A server, or a GPU, that the pool had once and nobody held has an answer: nobody."""
    with ledger_from(ledger_path, Pool((server("s0", 8), server("s1"))), Clock("2025-06-01")) as it:
        it.pool_apply(Pool((server("s0", 4),)), remove=True)
    assert document(run_cli, ledger_path, "audit", "who", *places, *ALL)["intervals"] == []
    done = run_cli("--ledger", ledger_path, "audit", "who", *places, *ALL)
    assert "nobody held any of that" in done.stderr
    assert done.stdout.startswith("head 2:")


@pytest.mark.parametrize(
    ("place", "named"),
    [
        ("s9", "no server 's9'"),
        ("s0:9", "s0 has no GPU 9"),
        ("s[0-9]", "no server 's3'"),
        ("s0:0-9", "s0 has no GPU 4"),
        ("s0 s9:1", "no server 's9'"),
    ],
)
def test_unknown_places_are_named(told: Path, run_cli: RunCli, place: str, named: str) -> None:
    """A server or GPU that never was in the pool is exit 3, one sentence, and no answer."""
    done = run_cli("--ledger", told, "audit", "who", *place.split())
    assert (done.returncode, done.stdout) == (3, "")
    assert len(done.stderr.splitlines()) == 1
    assert named in done.stderr


def test_text_and_csv(told: Path, run_cli: RunCli) -> None:
    """Text ends with the head, CSV is data alone; the window stands on stderr both times."""
    text = run_cli("--ledger", told, "audit", "who", "s0", *ALL)
    lines = text.stdout.splitlines()
    assert lines[2].split()[:5] == ["s0:0", "@2", "night", "ada", "vision"]
    assert lines[-1].startswith("head 7:")
    csv = run_cli("--ledger", told, "audit", "who", "s0", "--csv", *ALL)
    header, *rows = csv.stdout.splitlines()
    assert header == "server,gpu,uuid,allocation,task,user,project,start,end"
    assert len(rows) == 3
    assert all("window 2025-06-01" in done.stderr for done in (text, csv))


def test_by_default_the_last_week(told: Path, run_cli: RunCli) -> None:
    """Without a window the last seven days are meant, and what still runs is in them."""
    answer = document(run_cli, told, "audit", "who", "s0")
    (only,) = answer["intervals"]
    assert (only["task"], only["start"], only["end"]) == ("day", answer["window"]["from"], None)
    assert "still held" in run_cli("--ledger", told, "audit", "who", "s0").stdout
