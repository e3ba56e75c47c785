"""The benchmarks: each stands beside its floor, measured in the same run.

`pytest benchmarks` measures and prints one table; `pytest benchmarks --benchmark-disable` only
shows that each still runs, on small inputs. A figure never fails, whatever it says; a benchmark
that breaks does.
"""

from __future__ import annotations

import os
import platform
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import sample_ledgers as ledgers
from absence import lacking
from figure import TIME, Compare, Figure, Goal, Side, figure, table
from floors import BareInserts

FIGURES = pytest.StashKey[list[Figure]]()
BATCH = 27
"""Grants in a row; the small pool has 32 GPUs."""


def pytest_configure(config: pytest.Config) -> None:
    config.stash[FIGURES] = []
    # Times of whole rounds beside no floor say little; --benchmark-verbose shows them.
    config.option.benchmark_quiet = True
    # How tests are dealt out is told for all of pytest; where there are no workers to deal them
    # to, pytest-benchmark must not take it for their presence and measure nothing.
    if not config.getoption("numprocesses", None):
        config.option.dist = "no"


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    figures = terminalreporter.config.stash[FIGURES]
    if not figures:
        return
    terminalreporter.section("figures: ours beside its floor, medians of pairs in turns")
    terminalreporter.write_line(
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version},"
        f" {os.cpu_count()} processors, {platform.system()} {platform.machine()}"
    )
    for line in table(figures):
        terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def small(request: pytest.FixtureRequest) -> bool:
    """Whether this run only shows that everything still runs."""
    return bool(request.config.getoption("benchmark_disable"))


@pytest.fixture
def batch(small: bool) -> int:
    """How many grants in a row."""
    return 3 if small else BATCH


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[BareInserts]:
    """A table that takes rows as long as a grant."""
    with ledgers.empty(tmp_path / "like.db") as ledger:
        ledger.allocate("task-1", 1, 4)
        (*_, granted) = ledger.log.read(0)
    inserts = BareInserts(tmp_path / "bare.db", granted.data)
    yield inserts
    inserts.close()


@pytest.fixture
def compare(benchmark: BenchmarkFixture, request: pytest.FixtureRequest) -> Compare:
    """See Compare."""

    def measure(
        name: str,
        ours: Side,
        floor: Side,
        *,
        against: str,
        goal: Goal = TIME,
        units: tuple[int, int] = (1, 1),
        rounds: int = 20,
    ) -> None:
        ours_s: list[float] = []
        floors_s: list[float] = []

        def timed(side: Side) -> float:
            work = side()
            begun = perf_counter()
            work()
            return perf_counter() - begun

        def one_round(work: Callable[[], object]) -> None:
            begun = perf_counter()
            work()
            ours_s.append(perf_counter() - begun)

        def make_ready() -> tuple[tuple[Callable[[], object]], dict[str, object]]:
            floors_s.append(timed(floor))
            return (ours(),), {}

        benchmark.pedantic(one_round, setup=make_ready, rounds=rounds)  # type: ignore[no-untyped-call] # pytest-benchmark has no types here
        if benchmark.disabled:
            return
        floors_s.append(timed(floor))
        found = figure(name, against, ours_s=ours_s, floors_s=floors_s, units=units, goal=goal)
        benchmark.extra_info.update(found.facts())
        request.config.stash[FIGURES].append(found)

    return measure


@pytest.fixture(scope="session")
def traces() -> Path:
    """The folder with the real cluster's trace and its pool."""
    given = os.environ.get("GPULEDGER_TRACES")
    beside = Path(__file__).resolve().parents[2] / "shared" / "traces"
    folder = Path(given) if given else beside
    if not (folder / "helios.csv.gz").is_file():
        lacking(f"no helios.csv.gz in {folder}; set GPULEDGER_TRACES to the folder that has it")
    return folder
