"""Mirrors in company: several writers, readers in between, Ctrl-C, kills, imports, gaps, a team."""

from __future__ import annotations

import os
import random
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import gapping
from chosen_times import us
from gpuledger.cli.tracefile import read
from gpuledger.handle import Ledger, init
from gpuledger.ledger.cloudevent import to_line
from gpuledger.ledger.mirror_check import check
from people import GROUP, Program, Team
from small_pools import ROOT, ledger, pool
from test_team import program, team  # noqa: F401 - fixtures

Record = Callable[[str, object], None]
HERE = Path(__file__).parent


def start(path: Path, *words: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(HERE / "mirror_writer.py"), str(path), *map(str, words)],
        env={**os.environ, "PYTHONPATH": str(HERE)}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def text(disk: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(disk.glob("*/*.jsonl")))


def lines(book: Ledger) -> bytes:
    return b"".join(line + b"\n" for line in book.export())


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    made = tmp_path / "disk"
    made.mkdir()
    return made


def test_writers_and_readers_at_once(ledger_path: Path, disk: Path, full: bool) -> None:
    """While several write, no reader takes a mirror for late, and it holds all at the end."""
    times = 600 if full else 40
    with ledger(ledger_path, pool(1, 8, 64)) as book:
        book.mirror_add(str(disk))
        several = [start(ledger_path, times, kind) for kind in ("acts", "acts", "looks", "looks")]
        told = [one.communicate()[0] for one in several]
        assert [one.returncode for one in several] == [0] * 4
        assert told == [""] * 4
        assert text(disk) == lines(book)
    assert check(str(disk)).faults == ()


def test_struck_by_ctrl_c(
    ledger_path: Path, disk: Path, full: bool, rng_seed: int, record_property: Record
) -> None:
    """Ctrl-C anywhere leaves a prefix of the log, which the next writer completes."""
    with ledger(ledger_path, pool(1, 8, 64)) as book:
        book.mirror_add(str(disk))
        with start(ledger_path, 1000 if full else 60, "struck", rng_seed) as writer:
            hits, _ = writer.communicate()
        assert writer.returncode == 0
        book.catch_up_mirrors()
        assert book.notices == []
        assert text(disk) == lines(book)
    record_property("struck", hits.strip())


def test_killed_at_random(ledger_path: Path, disk: Path, full: bool, rng_seed: int) -> None:
    """So does a kill."""
    dice = random.Random(rng_seed)
    with ledger(ledger_path, pool(1, 8, 64)) as book:
        book.mirror_add(str(disk))
        for _ in range(60 if full else 4):
            with start(ledger_path, 10_000, "acts") as writer:
                before = book.head().seq
                while book.head().seq < before + dice.randrange(1, 40):
                    assert writer.poll() is None
                writer.kill()
            assert lines(book).startswith(text(disk))
            book.release(mine=True, if_held=True)
            assert text(disk) == lines(book)
    assert check(str(disk)).faults == ()


def test_an_import_is_mirrored(ledger_path: Path, disk: Path, tmp_path: Path) -> None:
    """All of it is there with the answer."""
    jobs = [f"j{n},ada,2020-01-{1 + n % 28:02}T10:00Z,2020-01-{1 + n % 28:02}T11:00Z,1,1"
            for n in range(28)]  # fmt: skip
    file = tmp_path / "jobs.csv"
    file.write_text("\n".join(["job_id,user,start,end,gpus,cpus", *jobs]), encoding="utf-8")
    then = us("2020-01-01T00:00:00Z")
    init(ledger_path, pool(1, 8, 64), at=then, actor=ROOT)
    with Ledger(str(ledger_path), actor=ROOT, clock_us=lambda: then) as book:
        book.mirror_add(str(disk))
    with Ledger(str(ledger_path), actor=ROOT) as book:
        assert book.import_trace(read(str(file))).granted == 28
        assert book.notices == []
        assert text(disk) == lines(book)


def test_a_log_with_a_gap(ledger_path: Path, disk: Path) -> None:
    """What is lost is missing in the mirror too; a check asks for the event that names it."""
    with ledger(ledger_path, pool(1, 8, 64)) as book:
        for _ in range(4):
            book.allocate("train", 1)
            book.release("train")
        name, events = book.ledger_id(), list(book.log.read(0))
    left = gapping.without(events, {4, 5})
    folder = disk / name
    folder.mkdir()
    tail = folder / "000000000001-open.jsonl"
    tail.write_bytes(b"".join(to_line(one, name) + b"\n" for one in left))
    assert check(str(disk)).faults == ()
    tail.write_bytes(b"".join(to_line(one, name) + b"\n" for one in left[:-1]))
    assert [(one.seq, one.why) for one in check(str(disk)).faults] == [(6, "missing")]


@pytest.mark.needs("root", "linux", "useradd")
@pytest.mark.xdist_group("team")
def test_a_team_grows_one_mirror(program: Program, team: Team) -> None:  # noqa: F811
    """Root adds it; every member's acts grow it, whatever his umask; others cannot change it."""
    path, disk = program.folder / "shared" / "ledger.db", program.folder / "second"
    disk.mkdir()
    assert program.run(None, "--ledger", path, "init", "--group", GROUP).returncode == 0
    added = program.run(None, "--ledger", path, "mirror", "add", disk)
    assert added.returncode == 0, added.stderr
    for person in team.members:
        done = program.run(person, "--ledger", path, "allocate", "a", "1", "1", umask=0o077)
        assert (done.returncode, done.stderr) == (0, "")
    refused = program.run(team.members[0], "--ledger", path, "mirror", "remove", disk)
    assert refused.returncode == 77
    with Ledger(str(path)) as book:
        assert text(disk) == lines(book)
    (folder,) = disk.iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o2770
    (tail,) = folder.iterdir()
    assert stat.S_IMODE(tail.stat().st_mode) == 0o660
    assert not program.can(team.outsider, "rb", tail)
