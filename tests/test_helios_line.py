"""A real cluster's month on a half and a quarter of its servers, with leases and a line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import forging
from helios_line import Run, in_minutes, length_s, played, start_alone
from trace_sweep import Job, read_jobs

Record = Callable[[str, object], None]
HALF, QUARTER = 60, 30
SAMPLE = 700
"""Jobs in a sample: enough for a line of dozens on a quarter of the servers."""
CLASSES = (1, 2, 4, 8)


@pytest.fixture(scope="module")
def jobs(traces: Path, full: bool) -> list[Job]:
    """The jobs with GPUs, by their starts; all of them, or the first in a sample."""
    every = sorted((job for job in read_jobs(traces / "helios.csv.gz") if job.gpus), key=_start)
    return every if full else every[:SAMPLE]


def _start(job: Job) -> int:
    return job.start


def no_lease(job: Job) -> None:
    """Nobody tells how long he will stay, so nobody may pass whom he could hinder."""
    del job


def size(job: Job) -> str:
    """The class of a job by its GPUs."""
    return next((str(most) for most in CLASSES if job.gpus <= most), "more")


def longest_waits_h(jobs: list[Job], run: Run) -> dict[str, float]:
    """The longest wait of each class of size, in hours."""
    waits: dict[str, float] = {}
    for job in jobs:
        if job.name in run.started:
            hours = (run.started[job.name] - job.start) / 3600
            waits[size(job)] = max(waits.get(size(job), 0.0), round(hours, 2))
    return dict(sorted(waits.items()))


def held_share(jobs: list[Job], run: Run) -> float:
    """The share of all GPU time that was held while jobs still came, in percent."""
    first, last = jobs[0].start, jobs[-1].start
    held = sum(
        job.gpus * max(0, min(run.ended[job.name], last) - max(run.started[job.name], first))
        for job in jobs
        if job.name in run.started
    )
    return round(100 * held / (8 * run.servers * max(1, last - first)), 2)


def mean_wait_min(jobs: list[Job], run: Run) -> float:
    """The mean wait in minutes."""
    waits = [run.started[job.name] - job.start for job in jobs if job.name in run.started]
    return round(sum(waits) / len(waits) / 60, 2)


def events(path: Path) -> list[tuple[object, ...]]:
    """The events without what differs from ledger to ledger: its id, its making, the hashes."""
    told = []
    for row in forging.rows(path):
        data = json.loads(row.data)
        if data.pop("ledger", None):
            del data["clock"]  # when it was made, which is no part of the month
        told.append((row.seq, row.at, row.kind, row.version, row.actor, row.key, data))
    return told


@pytest.mark.parametrize("servers", [HALF, QUARTER])
def test_nobody_starves(
    tmp_path: Path, jobs: list[Job], servers: int, record_property: Record
) -> None:
    """Every job that fits gets its GPUs in the end; those who pass leave more of them in use."""
    passing = played(tmp_path / "passing.db", jobs, servers, in_minutes)
    waiting = played(tmp_path / "waiting.db", jobs, servers, no_lease)
    for run in (passing, waiting):
        assert len(run.started) == len(run.ended) == len(jobs) - len(run.too_big)
        assert all(run.started[job.name] >= job.start for job in jobs if job.name in run.started)
    told = f"on {servers} servers"
    record_property(f"{told}: jobs, too big, longest line", (
        len(passing.started), len(passing.too_big), passing.longest_line
    ))  # fmt: skip
    record_property(f"{told}: longest wait in hours by GPUs", longest_waits_h(jobs, passing))
    record_property(f"{told}, without passing", longest_waits_h(jobs, waiting))
    record_property(f"{told}: % held, with and without passing", (
        held_share(jobs, passing), held_share(jobs, waiting)
    ))  # fmt: skip
    record_property(f"{told}: mean wait in minutes, with and without", (
        mean_wait_min(jobs, passing), mean_wait_min(jobs, waiting)
    ))  # fmt: skip


@pytest.mark.parametrize("servers", [HALF, QUARTER])
def test_the_first_in_line_is_never_delayed(
    tmp_path: Path, jobs: list[Job], servers: int, record_property: Record
) -> None:
    """Whoever becomes first starts no later than he would if nobody else began any more."""
    run = played(tmp_path / "ledger.db", jobs, servers, length_s, exact=True)
    by_name = {job.name: job for job in jobs}
    for first in run.firsts:
        alone = start_alone(first, by_name[first.job], servers)
        assert run.started[first.job] <= alone, first.job
    assert run.firsts or servers == HALF
    record_property(f"first in line on {servers} servers, times", len(run.firsts))


def test_the_same_jobs_are_the_same_events(tmp_path: Path, jobs: list[Job]) -> None:
    """Nothing but the ledger's id, and the hashes with it, differs from one run to the next."""
    paths = [tmp_path / name for name in ("one.db", "two.db")]
    for path in paths:
        played(path, jobs[: len(jobs) // 3], QUARTER, in_minutes)
    assert events(paths[0]) == events(paths[1])
