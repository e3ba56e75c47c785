"""`audit usage` beside limits: how much of what a user or a project may have is in use now."""

from __future__ import annotations

from pathlib import Path

import pytest

from chosen_times import Clock, as_actor, ledger_from
from conftest import RunCli
from console import Console
from gpuledger.handle import Ledger
from gpuledger.replay.facts import Cap, Limits, Member, Pool, Project
from gpuledger.replay.interval import Window
from gpuledger.replay.usage import Allowance
from json_shapes import check
from small_pools import ADA, BOB, pool

HOUR, DAY = 3_600, 86_400
LIMITS = Limits(user=Cap(6, 48, 100, DAY), project=Cap(gpus=7))
OWN = (Member("bob", "uid:1002", None, Cap(gpus=3)),)
PROJECTS = (Project("vision", 0, Cap(gpu_hours=10, window=2 * DAY)), Project("sound"))


@pytest.fixture
def told(ledger_path: Path) -> tuple[Ledger, Clock]:
    """On 1 June 2025: ada held 4 GPUs for vision from 10:00 to 11:30, and holds 2 from 12:00 on
    with a lease of 5 hours, bob 1 GPU for sound from 13:00 on without one.
    """
    clock = Clock("2025-06-01T00:00")
    of = Pool(pool().servers, LIMITS, projects=PROJECTS, members=OWN)
    root = ledger_from(ledger_path, of, clock)
    ada, bob = (as_actor(ledger_path, clock, who) for who in (ADA, BOB))
    clock.to("2025-06-01T10:00")
    ada.allocate("a", 4, 8, project="vision")
    clock.to("2025-06-01T11:30")
    ada.release("a")
    clock.to("2025-06-01T12:00")
    ada.allocate("b", 2, 8, lease=5 * HOUR, project="sound")
    clock.to("2025-06-01T13:00")
    bob.allocate("c", 1, 4, project="sound")
    clock.to("2025-06-01T14:00")
    for one in (ada, bob):
        one.close()
    return root, clock


def allowances(ledger: Ledger, clock: Clock, by: str) -> dict[str | None, tuple[Allowance, ...]]:
    """The allowances of each row, of a window that ends now."""
    used, _ = ledger.usage(
        Window(0, clock() + 1), (by,), limits=True, identify={"ada": "uid:1001"}.get
    )
    return {row.values[0]: row.limits for row in used.rows}


def test_each_user_is_held_against_his_limits(told: tuple[Ledger, Clock]) -> None:
    """GPUs and CPUs at once, and GPU time with running leases to their ends; own limits first."""
    assert allowances(*told, "user") == {
        "ada": (
            Allowance("gpus", 2, 6),
            Allowance("cpus", 8, 48),
            Allowance("gpu_hours", 6 * HOUR + 10 * HOUR, 100 * HOUR, DAY),
        ),
        "bob": (
            Allowance("gpus", 1, 3),
            Allowance("cpus", 4, 48),
            Allowance("gpu_hours", HOUR, 100 * HOUR, DAY),
        ),
    }


def test_each_project_is_held_against_its_limits(told: tuple[Ledger, Clock]) -> None:
    """The same of projects, whoever's the allocations are."""
    assert allowances(*told, "project") == {
        "vision": (
            Allowance("gpus", 0, 7),
            Allowance("gpu_hours", 6 * HOUR, 10 * HOUR, 2 * DAY),
        ),
        "sound": (Allowance("gpus", 3, 7),),
    }


def test_what_is_out_of_the_window_counts_no_more(told: tuple[Ledger, Clock]) -> None:
    """A lease that has ended counts though nobody recorded its end, until the window is past it."""
    ledger, clock = told
    clock.to("2025-06-02T12:30")
    gpus, _, hours = allowances(ledger, clock, "user")["ada"]
    assert (gpus.used, hours.used) == (0, 10 * HOUR)
    clock.to("2025-06-02T18:01")
    assert allowances(ledger, clock, "user")["ada"][2].used == 0


def test_a_user_who_runs_nothing_is_known_by_the_machine(told: tuple[Ledger, Clock]) -> None:
    """Where the ledger does not tell a user's identity, and nobody else, nothing was spent."""
    ledger, clock = told
    clock.to("2025-06-01T18:00")
    window = Window(0, clock())
    spent = {}
    for identify in ({"ada": "uid:1001"}.get, None):
        used, _ = ledger.usage(window, limits=True, identify=identify)
        spent[identify is None] = next(r for r in used.rows if r.values == ("ada",)).limits[2].used
    assert spent == {False: 16 * HOUR, True: 0}


@pytest.mark.parametrize("by", [("server",), ("task",), ("user", "project")])
def test_other_rows_have_no_limits(told: tuple[Ledger, Clock], by: tuple[str, ...]) -> None:
    """Rows of servers, of tasks, or of several dimensions are nobody's whose limit it is."""
    used, _ = told[0].usage(Window(0, told[1]()), by, limits=True)
    assert not any(row.limits for row in used.rows)


FILE = """\
[[server]]
name = "s[0-1]"
gpus = 4
cpus = 32
[limits.user]
gpus = 6
gpu_hours = 500
[[project]]
name = "vision"
cpus = 60
"""


@pytest.fixture
def console(run_cli: RunCli, ledger_path: Path, tmp_path: Path) -> Console:
    (tmp_path / "pool.toml").write_text(FILE)
    made = Console(run_cli, ledger_path)
    made.says("init --pool pool.toml")
    made.says("allocate train 2 16 --lease 2h --project vision")
    return made


def test_the_table_tells_what_is_used_of_what_is_allowed(console: Console) -> None:
    """A column for each limit that anybody has, and none in a window that ended before."""
    head, _, row, *_ = console.ends(0, "audit usage")[0].splitlines()
    assert head.split("of capacity")[1].split() == ["GPUs", "now", "of", "GPU-hours"]
    assert row.split()[-4:] == ["2/6", "4/500", "in", "7d"]
    head, _, row, *_ = console.ends(0, "audit usage --by project")[0].splitlines()
    assert (head.split("of capacity")[1].split(), row.split()[-1]) == (["CPUs", "now"], "16/60")
    past, _ = console.ends(0, "audit usage -S now-7days -E now-1second")
    assert "GPUs now" not in past


def test_the_document_tells_it_to_programs(console: Console) -> None:
    """The key `limits` of a row, exact, and only where something is limited."""
    document = console.document("audit usage")
    check("audit-usage", document)
    assert document["rows"][0]["limits"] == {
        "gpus": {"used": 2, "allowed": 6},
        "gpu_hours": {"used_s": 4 * HOUR, "allowed_s": 500 * HOUR, "window_s": 7 * DAY},
    }
    assert "limits" not in console.document("audit usage --by task")["rows"][0]
