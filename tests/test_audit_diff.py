"""`audit diff`: what the later state has and the earlier had not, and the other way round."""

from __future__ import annotations

from pathlib import Path

import pytest

from chosen_times import Clock, as_actor, document, ledger_from
from conftest import RunCli
from gpuledger.replay.facts import Placed, Pool
from small_pools import ADA, BOB, server


@pytest.fixture
def told(ledger_path: Path) -> Path:
    """1 June: s0, s1 and s2, ada runs `old`. 2 June: `old` ends, bob's `new` starts, `brief` both.

    At noon s3 comes, s2 goes and s1 grows; s0:2-3 was drained at nine and s0:3 resumed at ten.
    """
    clock = Clock("2025-06-01T00:00")
    servers = (server("s0"), server("s1"), server("s2"))
    root = ledger_from(ledger_path, Pool(servers), clock)
    ada, bob = (as_actor(ledger_path, clock, who) for who in (ADA, BOB))
    ada.allocate("old", 1, 2, on=(Placed("s0", (0,)),), project="vision")
    clock.to("2025-06-02T08:00")
    ada.release("old")
    bob.allocate("brief", 1, 1, on=(Placed("s2", (0,)),))
    bob.release("brief")
    bob.allocate("new", 2, 4, on=(Placed("s1", (0, 1)),))
    clock.to("2025-06-02T09:00")
    root.drain((Placed("s0", (2, 3)),))
    clock.to("2025-06-02T10:00")
    root.resume((Placed("s0", (3,)),))
    clock.to("2025-06-02T12:00")
    root.pool_apply(Pool((servers[0], server("s1", 8, 64), server("s3", 2, 8))), remove=True)
    for one in (root, ada, bob):
        one.close()
    return ledger_path


def test_everything_that_changed(told: Path, run_cli: RunCli) -> None:
    """Servers, allocations and drains as of a day's two ends; what came and went is not there."""
    answer = document(run_cli, told, "audit", "diff", "2025-06-02", "2025-06-03")
    assert answer["from"] == "2025-06-02T00:00:00.000000Z"
    assert answer["to"] == "2025-06-03T00:00:00.000000Z"
    servers = answer["servers"]
    assert [one["server"] for one in servers["added"]] == ["s3"]
    assert [(one["server"], len(one["gpus"]), one["cpus"]) for one in servers["changed"]] == [
        ("s1", 8, 64)
    ]
    assert servers["removed"] == ["s2"]
    assert [one["task"] for one in answer["started"]] == ["new"]
    assert [(one["task"], one["project"]) for one in answer["ended"]] == [("old", "vision")]
    assert answer["drained"] == [{"server": "s0", "gpus": [2]}]
    assert answer["resumed"] == []
    assert answer["head"]["seq"] == 9


def test_a_resume_by_itself(told: Path, run_cli: RunCli) -> None:
    """Between nine and ten o'clock one GPU was taken back."""
    answer = document(run_cli, told, "audit", "diff", "2025-06-02T09:00", "2025-06-02T10:00")
    assert (answer["drained"], answer["resumed"]) == ([], [{"server": "s0", "gpus": [3]}])


def test_events_of_the_instant_count(told: Path, run_cli: RunCli) -> None:
    """The state at an instant has the events of that instant."""
    before = ("2025-06-02T07:59:59.999999", "2025-06-02T08:00")
    assert len(document(run_cli, told, "audit", "diff", *before)["started"]) == 1
    after = ("2025-06-02T08:00", "2025-06-02T08:30")
    assert document(run_cli, told, "audit", "diff", *after)["started"] == []


def test_from_before_the_ledger(told: Path, run_cli: RunCli) -> None:
    """Before its first event a ledger has nothing, so that everything was added since."""
    answer = document(run_cli, told, "audit", "diff", "2020-01-01", "2025-06-01T00:00")
    assert [one["server"] for one in answer["servers"]["added"]] == ["s0", "s1", "s2"]
    assert [one["task"] for one in answer["started"]] == ["old"]


@pytest.mark.parametrize("args", [(), ("--csv",), ("--json",)])
def test_differences_are_no_failure(told: Path, run_cli: RunCli, args: tuple[str, ...]) -> None:
    """The exit code is 0 whether something changed or not."""
    for span in (("2025-06-02", "2025-06-03"), ("2025-06-03", "2025-06-03")):
        assert run_cli("--ledger", told, "audit", "diff", *span, *args).returncode == 0


def test_text_and_csv(told: Path, run_cli: RunCli) -> None:
    """A line a change for people and for programs; the head ends the text."""
    span = ("2025-06-02", "2025-06-03")
    text = run_cli("--ledger", told, "audit", "diff", *span).stdout
    for line in ("server added", "s3:0-1", "server removed", "@2", "@6", "new", "s1:0-1", "s0:2"):
        assert line in text
    assert text.splitlines()[-1].startswith("head 9:")
    header, *rows = run_cli("--ledger", told, "audit", "diff", "--csv", *span).stdout.splitlines()
    assert header == "change,allocation,task,user,project,where,start"
    assert [row.split(",")[0] for row in rows] == [
        "server added", "server changed", "server removed", "started", "ended", "drained",
    ]  # fmt: skip
    nothing = run_cli("--ledger", told, "audit", "diff", "2025-06-03", "2025-06-04").stdout
    assert nothing.splitlines()[0] == "nothing changed"


@pytest.mark.parametrize(
    "span", [("2025-06-03", "2025-06-02"), ("soon", "2025-06-02"), ("2025-06-02", "2025-13-02")]
)
def test_bad_times(told: Path, run_cli: RunCli, span: tuple[str, str]) -> None:
    """An instant that is none, or a later one before the earlier, is exit 2 and one sentence."""
    done = run_cli("--ledger", told, "audit", "diff", *span)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
