"""Faults at system calls: a command's calls are counted once, then each is hit in its turn.

strace does both: it kills the process at the call, or answers with an error in the kernel's place.
Only calls that change something count, and those that make it last.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

WRITES = "write pwrite64 writev pwritev pwritev2 sendfile copy_file_range ftruncate fallocate"
SYNCS = "fsync fdatasync sync_file_range msync syncfs"
NAMES = "rename renameat renameat2 link linkat symlink unlink unlinkat mkdir mkdirat rmdir"
CALLS = f"{WRITES} {SYNCS} {NAMES} flock".split()

FAULTS = {"killed": "signal=SIGKILL", "EIO": "error=EIO", "ENOSPC": "error=ENOSPC"}

QUICK = ["--seccomp-bpf"]
"""Only the traced calls stop the process; a signal that is to strike at one is lost that way."""


class Point(NamedTuple):
    """The `number`th call of that name (from 1), and the fault that strikes there."""

    call: str
    number: int
    fault: str


class Ended(NamedTuple):
    """How a command ended; `struck` where it came to the call at all."""

    code: int
    out: str
    err: str
    struck: bool

    @property
    def answer(self) -> dict[str, Any] | None:
        """What the command acknowledged, were it the last words of a killed one."""
        try:
            told: dict[str, Any] = json.loads(self.out)
        except json.JSONDecodeError:
            return None
        return None if "error" in told else told


class Strace:
    """Runs commands below strace, `trace` being its file."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], trace: Path) -> None:
        self._command = command
        self._env = {**env, "PYTHONDONTWRITEBYTECODE": "1"}
        self._trace = trace

    def points(self, words: Sequence[str], at: Path) -> list[Point]:
        """All points of a command, which is run once in the folder `at`, and must end well."""
        ended = self._run(words, at, QUICK)
        assert ended.code == 0, ended
        told = self._trace.read_text(errors="replace")
        counts = Counter(re.findall(r"^\d+ +(\w+)\(", told, re.MULTILINE))
        assert counts
        return [
            Point(call, number, fault)
            for call in CALLS
            for number in range(1, counts[call] + 1)
            for fault in FAULTS
        ]

    def hit(self, words: Sequence[str], at: Path, point: Point) -> Ended:
        """Run a command with the fault of a point."""
        inject = f"inject={point.call}:{FAULTS[point.fault]}:when={point.number}"
        quick = [] if point.fault == "killed" else QUICK
        return self._run(words, at, [*quick, "-e", inject])

    def _run(self, words: Sequence[str], at: Path, options: list[str]) -> Ended:
        strace = ["strace", "-f", "-qq", "-o", str(self._trace)]
        traced = f"trace={','.join(CALLS)}"
        done = subprocess.run(
            [*strace, "-e", traced, *options, *self._command, *words],
            cwd=at, env=self._env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip
        struck = done.returncode < 0 or "INJECTED" in self._trace.read_text(errors="replace")
        return Ended(done.returncode, done.stdout, done.stderr, struck)
