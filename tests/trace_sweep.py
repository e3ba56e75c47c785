"""A trace as its file tells it, by csv and datetime alone: what an import must amount to.

Nothing here is the program's: sums and counts come straight from the rows.
"""

from __future__ import annotations

import csv
import gzip
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate
from pathlib import Path


@dataclass(frozen=True)
class Job:
    """One row: times in seconds since 1970 UTC, `gpus` and `cpus` totals over `nodes`."""

    name: str
    user: str
    start: int
    end: int
    gpus: int
    cpus: int
    nodes: int


@dataclass(frozen=True)
class Held:
    """What is held at one instant."""

    gpus: int
    cpus: int
    tasks: int


def read_jobs(path: Path) -> list[Job]:
    """Every row of a trace, in the order of the file."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        return [
            Job(
                row["job_id"],
                row["user"],
                _seconds(row["start"]),
                _seconds(row["end"]),
                int(row["gpus"]),
                int(row["cpus"]),
                int(row["nodes"]),
            )
            for row in csv.DictReader(file)
        ]


def _seconds(text: str) -> int:
    moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    return int(moment.timestamp())


def gpu_seconds(jobs: list[Job]) -> dict[str, int]:
    """GPU-seconds of each user who asked for GPUs."""
    sums: Counter[str] = Counter()
    for job in jobs:
        if job.gpus:
            sums[job.user] += job.gpus * (job.end - job.start)
    return dict(sums)


def cpu_seconds(jobs: list[Job]) -> dict[str, int]:
    """CPU-seconds of each user in the jobs that asked for GPUs."""
    sums: Counter[str] = Counter()
    for job in jobs:
        if job.gpus:
            sums[job.user] += job.cpus * (job.end - job.start)
    return dict(sums)


def held_at(jobs: list[Job], second: int) -> Held:
    """What the jobs with GPUs hold at an instant: a job holds its GPUs in `[start, end)`."""
    running = [job for job in jobs if job.gpus and job.start <= second < job.end]
    return Held(sum(job.gpus for job in running), sum(job.cpus for job in running), len(running))


def most_held(jobs: list[Job]) -> int:
    """The greatest number of GPUs held at once; at one instant ends come before starts."""
    steps = [(job.start, 1, job.gpus) for job in jobs if job.start < job.end]
    steps += [(job.end, 0, -job.gpus) for job in jobs if job.start < job.end]
    return max(accumulate(change for _, _, change in sorted(steps)))
