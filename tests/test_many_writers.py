"""Many writers at once: threads, forked children, processes and whole commands on one ledger."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any

import forging
from conftest import RunCli
from gpuledger.handle import Ledger
from prefixes import Booked
from small_pools import ledger, pool

PROGRAM = Path(__file__).with_name("random_writer.py")
KINDS = ("plain", "forks", "threads", "plain")
TIMEOUT_S = 60.0
Record = Callable[[str, object], None]


def data_of(row: forging.Raw) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(row.data)
    return found


def ended_in(rows: list[forging.Raw]) -> list[int]:
    """The ids that releases ended, in order of seq."""
    releases = [data_of(row) for row in rows if row.kind == "allocation.released"]
    return [number for release in releases for number in release["allocations"]]


def run_together(path: Path, writers: int, acts: int) -> list[dict[str, Any]]:
    """Start the programs, let them all go at once, and gather their reports."""
    reports = []
    with ExitStack() as stack:
        running = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, PROGRAM, path, f"w{at}", str(acts), KINDS[at % len(KINDS)]],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
            for at in range(writers)
        ]
        for program in running:
            stack.callback(program.kill)
        for program in running:
            assert program.stdin is not None
            program.stdin.write("go\n")
            program.stdin.flush()
        for program in running:
            said, complaint = program.communicate(timeout=600)
            assert (program.returncode, complaint) == (0, "")
            reports += [json.loads(line) for line in said.splitlines()]
    return reports


def test_processes_threads_and_forked_children(
    ledger_path: Path, full: bool, record_property: Record
) -> None:
    """What was answered is what the log holds; no prefix double-books; nobody waits too long."""
    ledger(ledger_path, pool(4, 8, 64)).close()
    acts = 200 if full else 24
    reports = run_together(ledger_path, 16, acts)
    rows = forging.rows(ledger_path)
    Booked().follow(rows)
    granted = [number for report in reports for number in report["granted"]]
    ended = [number for report in reports for number in report["ended"]]
    refused = sum((Counter(report["refused"]) for report in reports), Counter[str]())
    assert sorted(granted) == [row.seq for row in rows if row.kind == "allocation.granted"]
    assert sorted(ended) == sorted(ended_in(rows))
    assert set(refused) <= {"no_gpus", "no_cpus", "fragmented"}
    assert max(report["slowest_s"] for report in reports) < TIMEOUT_S
    with Ledger(str(ledger_path)) as book:
        assert book.verify().problems == ()
        assert book.rebuild().matches
    record_property("events", len(rows))
    record_property("granted, ended, refused", (len(granted), len(ended), refused.total()))
    record_property("slowest act, s", round(max(r["slowest_s"] for r in reports), 3))


def test_whole_commands(
    ledger_path: Path, full: bool, rng_seed: int, run_cli: RunCli, record_property: Record
) -> None:
    """Of commands run at once each exits 0, 3, 4 or 5, and what exited 0 is what the log holds."""
    ledger(ledger_path, pool(4, 8, 64)).close()
    people, commands = (16, 25) if full else (6, 5)

    def run(who: int) -> list[tuple[str, int, str]]:
        random, done = Random(f"{rng_seed}-{who}"), []
        for _ in range(commands):
            task = f"task-{random.randint(0, 19)}"
            words = ["release", task]
            if random.random() < 0.6:
                words = ["allocate", task, str(random.randint(1, 8))]
            answer = run_cli("--ledger", ledger_path, *words, "--json")
            done.append((words[0], answer.returncode, answer.stdout + answer.stderr))
        return done

    with ThreadPoolExecutor(people) as crowd:
        answers = [one for done in crowd.map(run, range(people)) for one in done]
    codes = Counter((act, code) for act, code, _ in answers)
    assert {code for _, code in codes} <= {0, 3, 4, 5}, answers
    rows = forging.rows(ledger_path)
    Booked().follow(rows)
    told = [json.loads(said) for act, code, said in answers if act == "allocate" and code == 0]
    given = sorted(one["allocation"] for one in told)
    assert given == [row.seq for row in rows if row.kind == "allocation.granted"]
    assert len(ended_in(rows)) == codes["release", 0]
    with Ledger(str(ledger_path)) as book:
        assert book.verify().problems == ()
    record_property("commands by exit code", sorted(codes.items()))
