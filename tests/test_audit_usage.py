"""`audit usage`: sums against what there was, exact, in any window and any zone."""

from __future__ import annotations

import random
from itertools import pairwise
from pathlib import Path

import pytest

from chosen_times import Clock, as_actor, document, ledger_from, us
from conftest import RunCli
from gpuledger.handle import Ledger
from gpuledger.replay.facts import Placed, Pool
from gpuledger.replay.interval import Window
from small_pools import ADA, BOB, pool, server

DAY = ("-S", "2025-06-02T00:00:00Z", "-E", "2025-06-03T00:00:00Z")
HOUR = 3_600


@pytest.fixture
def told(ledger_path: Path) -> Path:
    """Two servers of 4 GPUs and 32 CPUs on 2 June 2025, a third from noon on.

    ada holds s0:0-1 with 8 CPUs from the evening before to 06:00 for `vision`, bob s0 and s1
    with 2 GPUs and 4 CPUs on each from 03:00:00.5 to 09:00. s1:3 is drained from 12:00 on,
    s0:2 from 04:00 to 10:00, of which bob holds it until 09:00.
    """
    clock = Clock("2025-06-01T00:00")
    root = ledger_from(ledger_path, pool(), clock)
    ada, bob = (as_actor(ledger_path, clock, who) for who in (ADA, BOB))
    clock.to("2025-06-01T20:00")
    ada.allocate("a", 2, 8, on=(Placed("s0", (0, 1)),), project="vision")
    clock.to("2025-06-02T03:00:00.500000")
    bob.allocate("b", 4, 8, on=(Placed("s0", (2, 3)), Placed("s1", (0, 1))), servers=2)
    clock.to("2025-06-02T04:00")
    root.drain((Placed("s0", (2,)),))
    clock.to("2025-06-02T06:00")
    ada.release("a")
    clock.to("2025-06-02T09:00")
    bob.release("b")
    clock.to("2025-06-02T10:00")
    root.resume((Placed("s0", (2,)),))
    clock.to("2025-06-02T12:00")
    root.drain((Placed("s1", (3,)),))
    root.pool_apply(Pool((*pool().servers, server("s2", 8, 16))))
    for one in (root, ada, bob):
        one.close()
    return ledger_path


def test_sums_are_exact(told: Path, run_cli: RunCli) -> None:
    """Each user's sums are those of the clipped intervals, whole ones as integers."""
    answer = document(run_cli, told, "audit", "usage", *DAY)
    assert answer["by"] == ["user"]
    assert answer["rows"] == [
        {"user": "bob", "allocations": 1,
         "gpu_seconds": 4 * (6 * HOUR - 0.5), "cpu_seconds": 8 * (6 * HOUR - 0.5),
         "uncertain_gpu_seconds": 0},
        {"user": "ada", "allocations": 1,
         "gpu_seconds": 2 * 6 * HOUR, "cpu_seconds": 8 * 6 * HOUR,
         "uncertain_gpu_seconds": 0},
    ]  # fmt: skip
    assert isinstance(answer["rows"][1]["gpu_seconds"], int)


def test_capacity_is_what_the_pool_had_then(told: Path, run_cli: RunCli) -> None:
    """Capacity counts s2 from noon on, drained what nobody held; the share is of capacity."""
    totals = document(run_cli, told, "audit", "usage", *DAY)["totals"]
    capacity = 8 * 24 * HOUR + 8 * 12 * HOUR
    held = 4 * (6 * HOUR - 0.5) + 2 * 6 * HOUR
    drained = 1 * HOUR + 12 * HOUR
    assert totals["capacity_gpu_seconds"] == capacity
    assert totals["gpu_seconds"] == held
    assert totals["drained_gpu_seconds"] == drained
    assert totals["held_share"] == pytest.approx(held / capacity, abs=1e-15)
    assert totals["allocations"] == 2


def test_any_dimensions(told: Path, run_cli: RunCli) -> None:
    """`--by` takes several dimensions, a key for each, and every split adds up to the same."""
    answer = document(run_cli, told, "audit", "usage", "--by", "project,server", *DAY)
    rows = {(row["project"], row["server"]): row["gpu_seconds"] for row in answer["rows"]}
    half = 2 * (6 * HOUR - 0.5)
    assert rows == {("vision", "s0"): 12 * HOUR, (None, "s0"): half, (None, "s1"): half}
    assert sum(rows.values()) == answer["totals"]["gpu_seconds"]


def test_windows_add_up(told: Path, run_cli: RunCli) -> None:
    """The parts of a day add up to the day, wherever it is cut."""
    cuts = ["00:00:00", "03:00:00.25", "05:59:59.999999", "09:00:00", "23:00:00"]
    stops = [f"2025-06-02T{cut}Z" for cut in cuts] + ["2025-06-03T00:00:00Z"]
    sums = {"gpu_seconds": 0.0, "capacity_gpu_seconds": 0.0, "drained_gpu_seconds": 0.0}
    for start, end in pairwise(stops):
        part = document(run_cli, told, "audit", "usage", "-S", start, "-E", end)
        sums = {name: sums[name] + part["totals"][name] for name in sums}
    whole = document(run_cli, told, "audit", "usage", *DAY)["totals"]
    assert sums == pytest.approx({name: whole[name] for name in sums}, abs=1e-5)


def test_text_speaks_in_hours(told: Path, run_cli: RunCli) -> None:
    """For people there are hours with two digits, the shares of the capacity, window and head."""
    done = run_cli("--ledger", told, "audit", "usage", *DAY)
    lines = done.stdout.splitlines()
    assert [line.split() for line in lines[2:4]] == [
        ["bob", "1", "24.00", "48.00", "8.3", "%"],
        ["ada", "1", "12.00", "48.00", "4.2", "%"],
    ]
    assert lines[-2] == "capacity 288.00 GPU-hours: 12.5 % held, 4.5 % drained, 83.0 % free"
    assert lines[-1].startswith("head 9:")
    assert len(lines[-1].rpartition(":")[2]) == 16
    assert "2025-06-02T00:00:00+00:00 up to 2025-06-03T00:00:00+00:00" in done.stderr


def test_csv_is_exact_and_alone(told: Path, run_cli: RunCli) -> None:
    """CSV has a header and exact seconds; head and window stand on stderr."""
    done = run_cli("--ledger", told, "audit", "usage", "--csv", *DAY)
    assert done.stdout.splitlines() == [
        "user,allocations,gpu_seconds,cpu_seconds",
        "bob,1,86398,172796",
        "ada,1,43200,172800",
    ]
    assert "head 9:" in done.stderr


@pytest.mark.parametrize("by", ["", "user,user", "colour", "user,"])
def test_unknown_dimensions_are_named(told: Path, run_cli: RunCli, by: str) -> None:
    """A dimension that there is not is an error that lists those that there are."""
    done = run_cli("--ledger", told, "audit", "usage", "--by", by)
    assert (done.returncode, done.stdout) == (2, "")
    assert "user,project,server,task" in done.stderr


def held_through(path: Path, year: int) -> None:
    """A pool of 8 GPUs of which ada holds one all year."""
    clock = Clock(f"{year - 1}-12-01T00:00")
    ledger_from(path, pool(), clock).close()
    with as_actor(path, clock, ADA) as ada:
        ada.allocate("all-year", 1, 1)


@pytest.mark.parametrize(
    ("day", "after", "hours"),
    [("2025-03-30", "2025-03-31", 23), ("2025-10-26", "2025-10-27", 25)],
)
def test_days_of_23_and_25_hours(
    ledger_path: Path, run_cli: RunCli, day: str, after: str, hours: int
) -> None:
    """A day on which the clock is changed has 23 or 25 hours of use and of capacity."""
    held_through(ledger_path, 2025)
    answer = document(
        run_cli, ledger_path, "audit", "usage", "-S", day, "-E", after, zone="Europe/Berlin"
    )
    assert answer["totals"]["gpu_seconds"] == hours * HOUR
    assert answer["totals"]["capacity_gpu_seconds"] == 8 * hours * HOUR
    assert answer["totals"]["held_share"] == 1 / 8


@pytest.mark.parametrize(
    ("month", "zone", "hours"),
    [
        ("2025-03", "Europe/Berlin", 31 * 24 - 1),
        ("2025-10", "Europe/Berlin", 31 * 24 + 1),
        ("2025-03", "Asia/Shanghai", 31 * 24),
    ],
)
def test_months_are_local(
    ledger_path: Path, run_cli: RunCli, month: str, zone: str, hours: int
) -> None:
    """A month begins and ends at local midnights, so that its hours are those of its days."""
    held_through(ledger_path, 2025)
    totals = document(run_cli, ledger_path, "audit", "usage", "--month", month, zone=zone)["totals"]
    assert totals["gpu_seconds"] == hours * HOUR


def test_usage_is_the_integral_of_the_states(ledger_path: Path, rng_seed: int) -> None:
    """Second by second the states' held, drained and offered GPUs sum up to the report."""
    chosen, clock = random.Random(rng_seed), Clock("2025-06-01T00:00")
    root = ledger_from(ledger_path, pool(), clock)
    begins = clock.now_us
    for second in range(120):
        clock.now_us = begins + second * 1_000_000
        _some_act(root, chosen)
    window = Window(begins + 10_000_000, begins + 110_000_000)
    held = drained = offered = 0
    for second in range(10, 110):
        state = root.state(at=begins + second * 1_000_000)
        for piece in state.servers():
            held += sum(holder > 0 for holder in piece.holders)
            drained += sum(piece.holder(gpu) == 0 for gpu in piece.drained)
            offered += len(piece.facts.gpus)
    used, _ = root.usage(window)
    sums = (used.gpu_us, used.drained_us, used.capacity_us)
    assert sums == (held * 1_000_000, drained * 1_000_000, offered * 1_000_000)
    assert drained
    root.close()


def _some_act(root: Ledger, chosen: random.Random) -> None:
    """Allocate, release, drain, resume or change the pool, whatever is possible."""
    state = root.state()
    running = state.allocations()
    act = chosen.choice(["allocate", "allocate", "release", "drain", "resume", "pool"])
    place = Placed(chosen.choice(["s0", "s1"]), (chosen.randrange(4),))
    if act == "allocate" and state.server("s0") and any(s.free_count() for s in state.servers()):
        root.allocate(f"t{state.seq}", 1, 1)
    elif act == "release" and running:
        root.release(f"@{chosen.choice(running).id}", force=True, reason="a test")
    elif act == "drain":
        root.drain((place,))
    elif act == "resume":
        root.resume((place,))
    elif act == "pool" and not any(
        share.server == "s2" for one in running for share in one.servers
    ):
        more = () if state.server("s2") else (server("s2", chosen.choice([1, 8]), 8),)
        root.pool_apply(Pool((*pool().servers, *more)), remove=True)


def test_nothing_is_used_before_now(ledger_path: Path) -> None:
    """A window that reaches into the future ends now, so that nobody has used what is to come."""
    clock = Clock("2025-06-01T00:00")
    ledger_from(ledger_path, pool(), clock).close()
    with as_actor(ledger_path, clock, ADA) as ada:
        ada.allocate("a", 2, 2)
        clock.to("2025-06-01T01:00")
        used, _ = ada.usage(Window(us("2025-06-01"), us("2025-07-01")))
    assert used.window.to_us == us("2025-06-01T01:00")
    assert used.gpu_us == 2 * HOUR * 1_000_000
    assert used.capacity_us == 8 * HOUR * 1_000_000
