"""Each write, sync, rename and removal of a mirror goes wrong: a kill, a full disk, an I/O error.

Segments are of eight events here, so that one command makes, fills and seals some.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest

import gpuledger.ledger.mirror as writing
import gpuledger.ledger.segment as segmenting
from gpuledger.handle import Ledger
from gpuledger.ledger.mirror_check import check
from small_pools import ledger, pool

Record = Callable[[str, object], None]

CALLS = ("pwrite64", "fdatasync", "fsync", "ftruncate", "rename", "unlink", "mkdir", "fchmod")
"""What a mirror's writer asks of the kernel that changes anything."""

HARMS = ("signal=SIGKILL", "error=EIO", "error=ENOSPC")

PROGRAM = """
import gpuledger.ledger.mirror as m, gpuledger.ledger.segment as s
m.BLOCK = s.BLOCK = 8
from gpuledger.cli.entry import main
main()
"""

SCENES = {
    "within a segment": (4, ("allocate", "b", "1")),
    "the last of a segment": (7, ("allocate", "b", "1")),
    "the first of a segment": (8, ("allocate", "b", "1")),
    "half a line stands there": (5, ("allocate", "b", "1")),
    "a new mirror": (21, ("mirror", "add", "disk")),
}
"""How many events lie there, and the command that is interrupted."""


class Point(NamedTuple):
    """A call on the mirror's files: the scene, and which call of its name it is."""

    scene: str
    call: str
    number: int


@pytest.fixture(autouse=True)
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (writing, segmenting):
        monkeypatch.setattr(module, "BLOCK", 8)


class Stage:
    """Scenes in folders, each made once and copied for every point."""

    def __init__(self, root: Path, env: dict[str, str]) -> None:
        self.root = root
        self.env = env | {"PYTHONDONTWRITEBYTECODE": "1"}  # its renames are no points
        self.place = root / "played"
        self.path = self.place / "ledger" / "ledger.db"
        self.disk = self.place / "disk"

    def make(self, scene: str) -> None:
        """Make a scene in the place itself, since a mirror is known by its path; put it by."""
        events, words = SCENES[scene]
        shutil.rmtree(self.place, ignore_errors=True)
        self.disk.mkdir(parents=True)
        with ledger(self.path, pool(1, 8, 64)) as book:
            if "mirror" not in words:
                book.mirror_add(str(self.disk))
            while book.head().seq < events:
                book.allocate("a", 1)
                if book.head().seq < events:
                    book.release("a")
        if scene.startswith("half"):
            (tail,) = self.disk.glob("*/*-open.jsonl")
            tail.write_bytes(tail.read_bytes()[:-100] + bytes(50))
        shutil.copytree(self.place, self.root / scene, dirs_exist_ok=True)

    def restore(self, scene: str) -> None:
        shutil.rmtree(self.place)
        shutil.copytree(self.root / scene, self.place)

    def play(self, scene: str, *inject: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
        """Run the scene's command below strace; what it said, and the calls with their paths."""
        trace = self.root / "trace"
        done = subprocess.run(
            ["strace", "-f", "-qq", "-y", "-o", trace, "-e", f"trace={','.join(CALLS)}", *inject,
             sys.executable, "-c", PROGRAM, "--ledger", self.path, *SCENES[scene][1]],
            env=self.env, cwd=self.place, capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done, re.findall(r"^\d+ +(\w+\(.*)$", trace.read_text(), re.MULTILINE)

    def points(self, scene: str) -> list[Point]:
        """Every call of the scene's command that touches the mirror."""
        self.restore(scene)
        done, calls = self.play(scene)
        assert done.returncode == 0, done.stderr
        counts = dict.fromkeys(CALLS, 0)
        found = []
        for call in calls:
            name = call.partition("(")[0]
            counts[name] += 1
            if str(self.disk) in call:
                found.append(Point(scene, name, counts[name]))
        return found

    def text(self) -> bytes:
        return b"".join(path.read_bytes() for path in sorted(self.disk.glob("*/*.jsonl")))


@pytest.fixture
def stage(tmp_path: Path, cli_env: dict[str, str]) -> Stage:
    made = Stage(tmp_path, cli_env | {"PYTHONPATH": os.pathsep.join(sys.path)})
    for scene in SCENES:
        made.make(scene)
    return made


def interrupted(stage: Stage, point: Point, harm: str) -> int:
    """Play a scene with one call that goes wrong, and look at what is left."""
    stage.restore(point.scene)
    done, calls = stage.play(point.scene, "-e", f"inject={point.call}:{harm}:when={point.number}")
    hit = [call for call in calls if "INJECTED" in call or "unfinished" in call or call[-1] == "?"]
    assert done.returncode == -9 or (hit and str(stage.disk) in hit[0]), (point, calls)
    assert "Traceback" not in done.stderr, done.stderr
    adds = point.scene == "a new mirror"
    with Ledger(str(stage.path), lock_timeout_s=0.0) as book:
        lines = b"".join(line + b"\n" for line in book.export())
        assert lines.startswith(stage.text().rstrip(b"\0"))
        if harm == "signal=SIGKILL":
            assert done.returncode == -9
        else:
            assert done.returncode in ((0, 78) if adds else (0,)), (point, done.stderr)
            assert done.stdout or adds
            whole = stage.text().rstrip(b"\0") == lines
            assert whole or "the mirror" in done.stderr or done.returncode == 78
        if not adds:  # it was committed, and acknowledged unless it was killed
            assert book.head().seq == SCENES[point.scene][0] + 1
        assert book.verify().problems == ()
        book.notices.clear()
        book.mirror_add(str(stage.disk))
        book.allocate("after", 1)
        lines = b"".join(line + b"\n" for line in book.export())
        assert book.notices == []
    assert stage.text() == lines
    found = check(str(stage.disk))
    assert (found.faults, found.torn) == ((), 0)
    return done.returncode


@pytest.mark.needs("strace", "linux")
def test_every_call_that_changes_a_mirror_goes_wrong_once(
    stage: Stage, full: bool, rng_seed: int, record_property: Record
) -> None:
    """Whatever fails, grants stand, the mirror is a prefix, and the next writer completes it."""
    points = [point for scene in SCENES for point in stage.points(scene)]
    random = Random(rng_seed)
    drawn = [
        (point, harm) for harm in HARMS for point in (points if full else random.sample(points, 3))
    ]
    codes = [interrupted(stage, point, harm) for point, harm in drawn]
    record_property("calls of a mirror's writer", len(points))
    record_property("interruptions", len(drawn))
    record_property("killed, turned down, answered", [codes.count(one) for one in (-9, 78, 0)])
    assert codes.count(-9) > 0
