"""A real cluster's 15,000 jobs, imported, and every answer held against the file itself."""

from __future__ import annotations

import random
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

import gpuledger
import helios
from forging import rows
from gpuledger.handle import Ledger
from helios import Helios
from trace_sweep import Held, Job, cpu_seconds, gpu_seconds, held_at, most_held, read_jobs

Record = Callable[[str, object], None]


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory, traces: Path) -> Helios:
    """The trace, imported once for all tests of this module."""
    return helios.imported(tmp_path_factory.mktemp("helios") / "ledger.db", traces)


@pytest.fixture(scope="module")
def jobs(traces: Path) -> list[Job]:
    """The rows of the file, read by csv and datetime alone."""
    return read_jobs(traces / "helios.csv.gz")


@pytest.fixture
def ledger(real: Helios) -> Iterator[Ledger]:
    """The ledger, opened in this process."""
    with gpuledger.open(real.path) as opened:
        yield opened


def instants(jobs: list[Job], count: int, seed: int) -> list[int]:
    """Random seconds of the time that the jobs cover; every third one is a start or an end."""
    chosen = random.Random(seed)
    first, last = min(job.start for job in jobs), max(job.end for job in jobs)
    edges = [moment for job in jobs if job.gpus for moment in (job.start, job.end)]
    return [
        chosen.choice(edges) if at % 3 == 0 else chosen.randrange(first, last)
        for at in range(count)
    ]


def test_every_job_with_gpus_is_granted(real: Helios) -> None:
    """10,796 jobs are granted, none is refused, 4,204 are skipped as GPU-less."""
    changes = real.document["changes"]
    assert (changes["granted"], changes["refused"], changes["skipped"]) == (10_796, 0, 4_204)
    assert (changes["rows"], changes["released"], changes["unusable"]) == (15_000, 10_796, 0)
    assert changes["not_granted"] == []
    assert len(rows(real.path)) == 2 + 2 * 10_796


def test_usage_is_the_sum_of_the_rows(real: Helios, jobs: list[Job]) -> None:
    """`audit usage --by user` equals, to the second, sums computed straight from the file."""
    told = helios.document("--ledger", real.path, "audit", "usage", "--by", "user", *helios.WHOLE)
    assert {row["user"]: row["gpu_seconds"] for row in told["rows"]} == gpu_seconds(jobs)
    assert {row["user"]: row["cpu_seconds"] for row in told["rows"]} == cpu_seconds(jobs)
    assert told["totals"]["gpu_seconds"] == sum(gpu_seconds(jobs).values())
    assert told["totals"]["allocations"] == 10_796
    days = 61 + 9 / 24
    assert told["totals"]["capacity_gpu_seconds"] == 968 * days * 86_400


def test_at_most_958_are_held_at_once(real: Helios, jobs: list[Job]) -> None:
    """The greatest number of GPUs held at once is 958, by the events and by the file."""
    assert helios.most_held(real.path) == 958
    assert most_held(jobs) == 958


def test_states_of_the_past_equal_a_sweep(
    ledger: Ledger, jobs: list[Job], full: bool, rng_seed: int
) -> None:
    """At random instants GPUs held, CPUs held and tasks are those of a sweep of the file."""
    for second in instants(jobs, 200 if full else 25, rng_seed):
        state = ledger.state(at=second * 1_000_000)
        held = sum(holder > 0 for server in state.servers() for holder in server.holders)
        cpus = sum(server.facts.cpus - server.cpus_free for server in state.servers())
        assert Held(held, cpus, len(state.allocations())) == held_at(jobs, second), second


def test_status_of_the_past_equals_a_sweep(
    real: Helios, jobs: list[Job], full: bool, rng_seed: int
) -> None:
    """The same by whole `status --at` commands."""
    for second in instants(jobs, 10 if full else 3, rng_seed + 1):
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(second))
        totals = helios.document("--ledger", real.path, "status", "--at", at)["totals"]
        gpus = totals["gpus_total"] - totals["gpus_free"]
        cpus = totals["cpus_total"] - totals["cpus_free"]
        assert Held(gpus, cpus, totals["tasks"]) == held_at(jobs, second), at


def test_who_held_a_gpu_never_overlaps(real: Helios, ledger: Ledger, rng_seed: int) -> None:
    """For 200 random GPUs the intervals are disjoint and are those that the events' JSON tells."""
    told = helios.intervals(real.path)
    every = [(server, gpu) for server in helios.SERVERS for gpu in range(8)]
    for server, gpu in random.Random(rng_seed).sample(every, 200):
        pairs, _ = ledger.who(server, (gpu,))
        spans = [(held.start, held.end or 0) for _, held in pairs]
        assert all(before[1] <= after[0] for before, after in pairwise(spans)), (server, gpu)
        assert [(start // 10**6, end // 10**6) for start, end in spans] == told[server, gpu]


def test_who_held_all_gpus_adds_up(ledger: Ledger, jobs: list[Job]) -> None:
    """The intervals of all 968 GPUs add up to the GPU-seconds in the file."""
    summed = sum(
        (held.end or 0) - held.start
        for server in helios.SERVERS
        for _, held in ledger.who(server)[0]
    )
    assert summed == sum(gpu_seconds(jobs).values()) * 1_000_000


def test_the_imported_ledger_verifies(real: Helios) -> None:
    """`audit verify` finds nothing in 21,594 events."""
    told = helios.document("--ledger", real.path, "audit", "verify")
    assert (told["ok"], told["events"], told["problems"]) == (True, 21_594, [])


def test_a_killed_import_leaves_nothing(
    *,
    real: Helios,
    traces: Path,
    tmp_path: Path,
    full: bool,
    rng_seed: int,
    record_property: Record,
) -> None:
    """Killed at any moment it leaves nothing, and run again it gives the same events."""
    made = helios.empty(tmp_path / "empty" / "ledger.db", traces)
    words = ("import", traces / "helios.csv.gz")
    began = time.monotonic()
    whole = shutil.copytree(made.parent, tmp_path / "whole") / made.name
    helios.run("--ledger", whole, *words)
    lasts_s = time.monotonic() - began
    same = helios.but_for_its_own(real.path)
    assert helios.but_for_its_own(whole) == same
    chosen, cut = random.Random(rng_seed), 0
    for at in range(20 if full else 3):
        path = shutil.copytree(made.parent, tmp_path / f"killed-{at}") / made.name
        cut += killed_within(helios.command("--ledger", path, *words), chosen.random() * lasts_s)
        left = len(rows(path))
        assert left in (1, len(same)), "an import is there whole or not at all"
        if left == 1:
            helios.run("--ledger", path, *words)
        assert helios.but_for_its_own(path) == same
        shutil.rmtree(path.parent)
    record_property("imports killed before their end", cut)
    assert cut


def killed_within(words: list[str], after_s: float) -> bool:
    """Start a command and kill it after a while; whether it was still running."""
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as child:
        try:
            child.communicate(timeout=after_s)
        except subprocess.TimeoutExpired:
            child.kill()
            return True
    assert child.returncode == 0
    return False
