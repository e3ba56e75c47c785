"""What a gap leaves open is marked in every report, in words and in JSON, with the next step."""

from __future__ import annotations

from pathlib import Path

import pytest

from chosen_times import Clock, document
from conftest import RunCli
from gapping import punch
from gpuledger.handle import Ledger, init
from gpuledger.replay import request as requests
from gpuledger.replay.facts import Asked, Placed
from json_shapes import check
from small_pools import ADA, ROOT, pool

HOUR = 3_600
NOON = "2026-03-02T12:00"
LOST = "2 events are lost (seq 4 to 5, between 2026-03-02T10:10:00+00:00 and "


@pytest.fixture
def torn(ledger_path: Path) -> Path:
    """a and b run, and w waits, before events 4 and 5 are lost; then d takes the GPU of b."""
    clock = Clock("2026-03-02T10:00")
    init(ledger_path, pool(), actor=ROOT, at=clock.now_us)
    with Ledger(str(ledger_path), actor=ADA, clock_us=clock) as ada:
        ada.allocate("a", 1, 1, on=(Placed("s0", (0,)),), lease=9 * HOUR)
        clock.to("2026-03-02T10:10")
        ada.allocate("b", 2, 1, on=(Placed("s0", (1, 2)),))
        clock.to("2026-03-02T10:20")
        ada.release("b")
        ada.allocate("c", 1, 1, on=(Placed("s1", (0,)),), lease=HOUR)
        clock.to("2026-03-02T11:00")
        ada.allocate("d", 1, 1, on=(Placed("s0", (1,)),))
        ada.extend("c", lease=HOUR)
    punch(ledger_path, (4, 5))
    return ledger_path


def run(run_cli: RunCli, path: Path, *words: str) -> tuple[list[str], str]:
    """The lines of an answer, and all that was said beside it."""
    done = run_cli("--ledger", path, *words, env={"TZ": "UTC"})
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines(), done.stderr


def row(lines: list[str], of: str) -> list[str]:
    """The cells of the row in which a word stands."""
    return next(line.split() for line in lines if of in line.split())


def test_list_marks_what_may_have_ended(torn: Path, run_cli: RunCli) -> None:
    """With the time up to which it certainly ran, and what somebody who knows better does."""
    lines, said = run(run_cli, torn, "list")
    assert row(lines, "a")[-1] == "2026-03-02T10:10:00+00:00"
    assert "?" in row(lines, "a")[-2]
    assert "?" not in "".join(row(lines, "d"))
    assert LOST in said
    assert "@2 may have ended then" in said
    assert "gpuledger release @2 --force --reason TEXT" in said
    assert "@5 was granted then and runs; what it holds nobody can tell" in said
    told = document(run_cli, torn, "list")
    check("list", told)
    assert [(one["task"], one["uncertain"], one["sure_until"]) for one in told["allocations"]] == [
        ("a", 4, "2026-03-02T10:10:00.000000Z"), ("d", None, None),
    ]  # fmt: skip


def test_status_marks_gpus(torn: Path, run_cli: RunCli) -> None:
    """GPU by GPU, and how many a server; before the gap nothing is in doubt."""
    lines, said = run(run_cli, torn, "status")
    assert "3 in doubt?" in next(line for line in lines if line.startswith("s0"))
    assert "gpuledger drain s0:2-3 s1:0-3, and resume what is free" in said
    lines, _ = run(run_cli, torn, "status", "--gpus")
    marks = {line.split()[0]: line.split()[1] for line in lines[2:]}
    assert (marks["s0:0"], marks["s0:1"], marks["s0:2"]) == ("held?", "held", "free?")
    told = document(run_cli, torn, "status")
    check("status", told)
    first = told["servers"][0]
    assert [seat["doubtful"] for seat in first["gpus"]] == [True, False, True, True]
    assert first["uncertain"] == 4
    assert [(gap["first"], gap["last"]) for gap in told["gaps"]] == [(4, 5)]
    lines, said = run(run_cli, torn, "status", "--at", "2026-03-02T10:15")
    assert "?" not in "".join(lines) + said


def test_history_and_who_mark_ends(torn: Path, run_cli: RunCli) -> None:
    """What evidence ended is said to be lost in a gap; what may run is marked as well."""
    month = ("--month", "2026-03")
    lines, said = run(run_cli, torn, "history", *month)
    assert "ended?" in row(lines, "b")
    assert " ".join(row(lines, "b")).endswith("lost in a gap")
    assert "running?" in row(lines, "a")
    assert "running" in row(lines, "d")
    assert LOST in said
    told = document(run_cli, torn, "history", *month)
    check("history", told)
    by = {one["task"]: one for one in told["allocations"]}
    assert (by["b"]["cause"], by["b"]["uncertain"]) == ("gap", 4)
    assert by["b"]["sure_until"] == "2026-03-02T10:10:00.000000Z"
    assert by["b"]["end"] == "2026-03-02T11:00:00.000000Z"
    lines, _ = run(run_cli, torn, "audit", "who", "s0:1", *month)
    assert row(lines, "b")[-1].endswith("?")
    assert "?" not in "".join(row(lines, "d"))
    told = document(run_cli, torn, "audit", "who", "s0", *month)
    check("audit-who", told)
    assert {one["task"]: one["uncertain"] for one in told["intervals"]} == {
        "a": 4, "b": 4, "d": None,
    }  # fmt: skip
    _, said = run(run_cli, torn, "history", "-S", "2026-03-01", "-E", "2026-03-02")
    assert "lost" not in said


def test_usage_tells_how_much_of_it_is_certain(torn: Path, run_cli: RunCli) -> None:
    """GPU time that a gap leaves open stands beside the sum that it is part of."""
    window = ("-S", "2026-03-02T10:00", "-E", "2026-03-02T11:00")
    told = document(run_cli, torn, "audit", "usage", *window)
    check("audit-usage", told)
    assert told["totals"]["gpu_seconds"] == 3600 + 2 * 3000
    assert told["totals"]["uncertain_gpu_seconds"] == 3000 + 2 * 3000
    lines, said = run(run_cli, torn, "audit", "usage", *window)
    assert row(lines, "ada")[-1] == "2.50?"
    assert LOST in said


def test_diff_marks_what_ended_in_a_gap(torn: Path, run_cli: RunCli) -> None:
    """That it ended is certain by then, when is not."""
    words = ("audit", "diff", "2026-03-02T10:15", NOON)
    lines, _ = run(run_cli, torn, *words)
    assert row(lines, "b")[0] == "ended?"
    told = document(run_cli, torn, *words)
    check("audit-diff", told)
    assert [(one["task"], one["uncertain"]) for one in told["ended"]] == [("b", True)]


def test_before_the_first_event_there_is_no_time(ledger_path: Path, run_cli: RunCli) -> None:
    """Where the beginning is lost, only the end of it is told."""
    clock = Clock("2026-03-02T10:00")
    init(ledger_path, pool(), actor=ROOT, at=clock.now_us)
    with Ledger(str(ledger_path), actor=ADA, clock_us=clock) as ada:
        born = ada.ledger_id()
        ada.allocate("a", 1)
    punch(ledger_path, (1,), born)
    _, said = run(run_cli, ledger_path, "history", "--month", "2026-03")
    assert "1 event is lost (seq 1, at or before 2026-03-02T10:00:00+00:00)" in said


def test_what_lies_in_a_gap_is_not_said_to_have_ended(torn: Path, run_cli: RunCli) -> None:
    """Whether there was an allocation of a lost number nobody can tell."""
    done = run_cli("--ledger", torn, "release", "@4")
    assert done.returncode == 3
    assert "the event @4 is lost, and nobody can tell what it was" in done.stderr


def test_the_queue_marks_who_may_have_left(ledger_path: Path, run_cli: RunCli) -> None:
    """A request of before a gap is marked, and can be cancelled by somebody who knows."""
    with Ledger(made(ledger_path), actor=ADA) as ada:
        ada.allocate("whole", 4, on=(Placed("s0"),))
        for name in ("x", "y"):
            asked = Asked(name, 4, on=("s0",))
            ada._allocator.join(requests.allocate(asked, (Placed("s0"),)), ADA)
        ada.allocate("more", 1, on=(Placed("s1"),))
        ada.release("more")
    punch(ledger_path, (5,))
    told = document(run_cli, ledger_path, "queue")
    check("queue", told)
    assert [(one["task"], one["uncertain"]) for one in told["requests"]] == [("x", 5), ("y", 5)]
    lines, said = run(run_cli, ledger_path, "queue")
    assert "?" in "".join(row(lines, "x"))
    assert "gpuledger cancel @3 @4 --force --reason TEXT" in said


def made(path: Path) -> str:
    """A ledger of root's."""
    init(path, pool(), actor=ROOT)
    return str(path)


def test_who_looks_takes_the_doubt_away(torn: Path, run_cli: RunCli) -> None:
    """What is released, and what is drained and resumed once somebody has looked, is certain."""
    with Ledger(str(torn), actor=ROOT) as root:
        root.release("@2", force=True, reason="nobody was there")
        root.drain((Placed("s0"), Placed("s1")))
        root.resume((Placed("s0"), Placed("s1")))
    told = document(run_cli, torn, "status")
    seats = [seat for one in told["servers"] for seat in one["gpus"]]
    assert not any(seat["doubtful"] for seat in seats)
    assert [one["uncertain"] for one in told["servers"]] == [None, None]
    ended = document(run_cli, torn, "history", "-j", "2")["allocations"][0]
    assert (ended["cause"], ended["uncertain"]) == ("admin", 4)


def test_an_own_release_tells_that_it_ran_until_then(torn: Path, run_cli: RunCli) -> None:
    """Whose it is knows; an admin may only know that it is over."""
    with Ledger(str(torn), actor=ADA) as ada:
        ada.release("a")
    ended = document(run_cli, torn, "history", "-j", "2")["allocations"][0]
    assert (ended["cause"], ended["uncertain"]) == ("owner", None)


def test_a_refusal_says_that_the_holder_may_have_ended(torn: Path, run_cli: RunCli) -> None:
    """Whoever asks for such a GPU hears that it is in doubt."""
    done = run_cli("--ledger", torn, "allocate", "e", "1", "--on", "s0:0")
    assert done.returncode == 4
    assert "s0:0 may be held by ada for a (@2), which a gap leaves open" in done.stderr
