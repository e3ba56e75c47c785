"""`audit refusals`: unmet demand as episodes, from what was asked in vain to what met it."""

from __future__ import annotations

from pathlib import Path

import pytest

from chosen_times import Clock, as_actor, document, ledger_from
from conftest import RunCli
from gpuledger.handle import Ledger
from gpuledger.replay.errors import Refused
from gpuledger.replay.facts import AskedChange, Cap, Limits, Placed, Pool
from gpuledger.replay.interval import Window
from json_shapes import check
from small_pools import ADA, BOB, pool

ALL = ("-S", "2025-06-01", "-E", "2025-06-10")


def refuse(ledger: Ledger, task: str, gpus: int) -> None:
    """Ask for what there is not."""
    with pytest.raises(Refused):
        ledger.allocate(task, gpus)


@pytest.fixture
def told(ledger_path: Path) -> Path:
    """8 GPUs, all bob's until 2 June 11:40; ada asks again and again.

    `train` 3 GPUs at 10:00, 10:00:30 (not recorded again), 10:30 and 11:20, granted at 11:50;
    `train` again at 13:00 and, after more than an hour of silence, at 14:30 (bob has it all).
    """
    clock = Clock("2025-06-01T00:00")
    ledger_from(ledger_path, pool(), clock).close()
    ada, bob = (as_actor(ledger_path, clock, who) for who in (ADA, BOB))
    bob.allocate("all", 8, 8, servers=2)
    for time in ("10:00", "10:00:30", "10:30", "11:20"):
        clock.to(f"2025-06-02T{time}")
        refuse(ada, "train", 3)
    clock.to("2025-06-02T11:40")
    bob.release("all")
    clock.to("2025-06-02T11:50")
    ada.allocate("train", 3)
    ada.release("train")
    bob.allocate("all", 8, 8, servers=2)
    for time in ("13:00", "14:30"):
        clock.to(f"2025-06-02T{time}")
        refuse(ada, "train", 3)
    refuse(ada, "huge", 40)
    ada.close()
    bob.close()
    return ledger_path


def test_a_grant_ends_an_episode(told: Path, run_cli: RunCli) -> None:
    """The same ask is one episode from first to last refusal, with the grant that met it."""
    first, *_ = document(run_cli, told, "audit", "refusals", *ALL)["episodes"]
    assert (first["user"], first["act"], first["reason"]) == ("ada", "allocate", "no_gpus")
    assert (first["first"][11:16], first["last"][11:16]) == ("10:00", "11:20")
    assert first["times"] == 3
    assert first["granted"] == 7
    assert (first["asked"]["task"], first["asked"]["gpus"]) == ("train", 3)


def test_an_hour_of_silence_ends_an_episode(told: Path, run_cli: RunCli) -> None:
    """After more than an hour the same ask begins a new episode; neither has a grant."""
    episodes = document(run_cli, told, "audit", "refusals", *ALL)["episodes"]
    later = [(one["first"][11:16], one["times"], one["granted"]) for one in episodes[1:3]]
    assert later == [("13:00", 1, None), ("14:30", 1, None)]


def test_other_asks_are_other_episodes(told: Path, run_cli: RunCli) -> None:
    """Another ask is another episode with its own reason."""
    last = document(run_cli, told, "audit", "refusals", *ALL)["episodes"][-1]
    assert (last["asked"]["task"], last["reason"]) == ("huge", "never")


def test_a_window_takes_whole_episodes(told: Path, run_cli: RunCli) -> None:
    """An episode that reaches into the window is there with its true beginning."""
    inside = ("-S", "2025-06-02T11:00", "-E", "2025-06-02T12:00")
    (only,) = document(run_cli, told, "audit", "refusals", *inside)["episodes"]
    assert (only["first"][11:16], only["times"]) == ("10:00", 3)
    outside = ("-S", "2025-06-02T15:00", "-E", "2025-06-03")
    assert document(run_cli, told, "audit", "refusals", *outside)["episodes"] == []


def test_text_and_csv(told: Path, run_cli: RunCli) -> None:
    """Text tells the ask as it would be typed and why not, and ends with the head."""
    text = run_cli("--ledger", told, "audit", "refusals", *ALL).stdout.splitlines()
    assert "allocate train 3" in text[2]
    assert "too few GPUs are free" in text[2]
    assert "@7" in text[2]
    assert text[-1].startswith("head 12:")
    csv = run_cli("--ledger", told, "audit", "refusals", "--csv", *ALL).stdout.splitlines()
    assert csv[0] == "user,act,asked,reason,first,last,times,granted"
    assert len(csv) == 5


def test_a_release_that_was_refused(told: Path, run_cli: RunCli) -> None:
    """An attempt at another's task is an episode too, and says what it was."""
    with as_actor(told, Clock("2025-06-03T09:00"), ADA) as ada, pytest.raises(Refused):
        ada.release("all", user="bob")
    last = document(run_cli, told, "audit", "refusals", *ALL)["episodes"][-1]
    assert (last["act"], last["reason"]) == ("release", "not_permitted")
    assert last["asked"]["tasks"] == ["all"]
    check("audit-refusals", document(run_cli, told, "audit", "refusals", *ALL))


def test_rows_tell_apart_what_differs(ledger_path: Path, run_cli: RunCli) -> None:
    """Lease and project are told as well, and of an extend the task and the time."""
    clock = Clock("2025-06-01T00:00")
    ledger_from(ledger_path, Pool(pool().servers, Limits(task=Cap(lease=7_200))), clock).close()
    with as_actor(ledger_path, clock, ADA) as ada:
        ada.allocate("held", 8, servers=2)
        for more in ({"lease": 60}, {"lease": 90}, {"project": "p"}):
            with pytest.raises(Refused):
                ada.allocate("train", 3, **more)
        for lease in (3_600, 7_200):
            with pytest.raises(Refused):
                ada.extend("held", lease=lease)
    found = document(run_cli, ledger_path, "audit", "refusals", *ALL)
    check("audit-refusals", found)
    assert [one["asked"].get("lease") for one in found["episodes"]] == [60, 90, None, 3_600, 7_200]
    csv = run_cli("--ledger", ledger_path, "audit", "refusals", "--csv", *ALL).stdout.splitlines()
    assert [row.split(",")[2] for row in csv[1:]] == [
        "allocate train 3 --lease 1m",
        "allocate train 3 --lease 1m30s",
        "allocate train 3 --project p",
        "extend held --by 1h",
        "extend held --by 2h",
    ]


def test_two_drains_refused_are_two_refusals(ledger_path: Path) -> None:
    """What an admin's act asked for stands in its refusal, so another place is another request."""
    clock = Clock("2025-06-01T00:00")
    ledger_from(ledger_path, pool(), clock).close()
    with as_actor(ledger_path, clock, BOB) as bob:
        for gpus in ((0,), (1,), (1,)):
            with pytest.raises(Refused):
                bob.drain((Placed(pool().servers[0].name, gpus),), "smoke")
        found, _ = bob.refusals(Window(0, 1 << 60))
    name = pool().servers[0].name
    asked = [one.asked_change for one in found]
    assert asked == [AskedChange((f"{name}:{gpu}",), reason="smoke") for gpu in (0, 1)]


def test_an_episode_is_whole_wherever_the_window_begins(ledger_path: Path) -> None:
    """One refusal every half hour is one episode, from its first on, for every window."""
    clock = Clock("2025-06-01T00:00")
    ledger_from(ledger_path, pool(), clock).close()
    with as_actor(ledger_path, clock, BOB) as bob:
        for half in range(8):
            clock.to(f"2025-06-01T{half // 2:02}:{half % 2 * 30:02}")
            refuse(bob, "train", 40)
        last, hour = clock(), 3_600_000_000
        for back in range(4):
            (one,) = bob.refusals(Window(last - back * hour, last + 1))[0]
            assert (one.first, one.times) == (last - 7 * hour // 2, 8)
