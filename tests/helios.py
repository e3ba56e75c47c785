"""The real cluster's ledger for tests: its pool, its trace, imported by whole commands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forging import rows

BEGINS = "2020-03-31T15:00:00Z"
SERVERS = [f"venus{number:03d}" for number in range(1, 122)]
WHOLE = ("-S", "2020-03-31T15:00:00Z", "-E", "2020-06-01T00:00:00Z")
"""A window that all of the trace lies in."""

Span = tuple[int, int]


@dataclass(frozen=True)
class Helios:
    """A ledger that the trace was imported into, and what the import said in JSON and in text."""

    path: Path
    document: dict[str, Any]
    told: str


def command(*args: str | os.PathLike[str]) -> list[str]:
    """The words of a whole command."""
    return [sys.executable, "-m", "gpuledger", *map(os.fspath, args)]


def run(*args: str | os.PathLike[str]) -> subprocess.CompletedProcess[str]:
    """A whole command that must succeed; TZ is UTC."""
    done = subprocess.run(
        command(*args),
        env={**os.environ, "TZ": "UTC"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


def document(*args: str | os.PathLike[str]) -> dict[str, Any]:
    """The JSON document of a whole command that must succeed."""
    answer: dict[str, Any] = json.loads(run(*args, "--json").stdout)
    return answer


def empty(path: Path, traces: Path) -> Path:
    """A ledger with the cluster's pool and nothing in it yet."""
    run("--ledger", path, "init", "--pool", traces / "helios.pool.toml", "--at", BEGINS)
    return path


def imported(path: Path, traces: Path) -> Helios:
    """A ledger that the whole trace was imported into."""
    empty(path, traces)
    done = run("--ledger", path, "import", traces / "helios.csv.gz", "--json")
    return Helios(path, json.loads(done.stdout), done.stderr)


def intervals(path: Path) -> dict[tuple[str, int], list[Span]]:
    """Each GPU's intervals in seconds, from the events' own JSON and nothing else."""
    start: dict[int, tuple[int, list[tuple[str, int]]]] = {}
    found: dict[tuple[str, int], list[Span]] = defaultdict(list)
    for row in rows(path):
        data = json.loads(row.data)
        if row.kind == "allocation.granted":
            gpus = [(share["server"], gpu) for share in data["servers"] for gpu in share["gpus"]]
            start[row.seq] = row.at, gpus
        for ended in data.get("allocations", ()):
            began, gpus = start.pop(ended)
            for gpu in gpus:
                found[gpu].append((began // 1_000_000, row.at // 1_000_000))
    assert not start
    return {gpu: sorted(spans) for gpu, spans in found.items()}


def most_held(path: Path) -> int:
    """The greatest number of GPUs held behind any event."""
    held, most = 0, 0
    sizes: dict[int, int] = {}
    for row in rows(path):
        data = json.loads(row.data)
        if row.kind == "allocation.granted":
            sizes[row.seq] = sum(len(share["gpus"]) for share in data["servers"])
            held += sizes[row.seq]
        held -= sum(sizes.pop(ended) for ended in data.get("allocations", ()))
        most = max(most, held)
    return most


def but_for_its_own(path: Path) -> list[tuple[object, ...]]:
    """The events without hashes, ledger id, and what only the moment of an import decides."""
    told: list[tuple[object, ...]] = []
    for row in rows(path):
        data = json.loads(row.data)
        if row.kind in ("ledger.created", "import.recorded"):
            data.pop("ledger", None)
            data.pop("clock", None)
        told.append((row.seq, row.at, row.kind, row.version, row.actor, row.key, data))
    return told
