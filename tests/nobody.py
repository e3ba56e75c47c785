"""A user who owns nothing, and the programs that read a ledger as that user."""

from __future__ import annotations

import subprocess
from pathlib import Path

from people import Program

NOBODY = 64_322
HEAD = """
import sys
from gpuledger.ledger.sqlite_log import SqliteLog
from gpuledger.ledger.errors import GpuledgerError
log = SqliteLog(sys.argv[1])
try:
    head = log.head()
    assert [event.seq for event in log.read(0)] == list(range(1, head.seq + 1))
    print(head.seq, end="")
except GpuledgerError as error:
    print(error.code, end="")
log.close()
"""
WHILE_WRITTEN = """
import sys
from gpuledger.ledger.sqlite_log import SqliteLog
log, last, times = SqliteLog(sys.argv[1]), 0, 0
while last < int(sys.argv[2]):
    head = log.head()
    assert head.seq >= last
    last, times = head.seq, times + 1
print(last, times)
log.close()
"""

TWICE = """
import sys
from gpuledger.ledger.sqlite_log import SqliteLog
log = SqliteLog(sys.argv[1])
for _ in range(2):
    print(log.head().seq, flush=True)
    sys.stdin.readline()
log.close()
"""


def by_nobody(program: Program, text: str, *args: str | Path) -> subprocess.Popen[str]:
    """Run a program as a user who owns nothing."""
    return subprocess.Popen(
        [str(program.python), "-c", text, *map(str, args)],
        cwd="/", env={"PYTHONPATH": str(program.site), "PYTHONDONTWRITEBYTECODE": "1"},
        user=NOBODY, group=NOBODY, extra_groups=[],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def head_for_nobody(program: Program, path: Path) -> str:
    """What a user who owns nothing reads as the head's seq, or the code of the error."""
    with by_nobody(program, HEAD, path) as process:
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return said


def beside(path: Path) -> dict[str, int]:
    """The files in a ledger's folder and their sizes."""
    return {p.name: p.stat().st_size for p in path.parent.iterdir()}


def readable(path: Path) -> None:
    """Let everybody read what lies in a ledger's folder, and nobody else write it."""
    for each in path.parent.iterdir():
        each.chmod(0o644)
    path.parent.chmod(0o755)
