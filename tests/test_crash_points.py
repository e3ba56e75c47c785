"""Crash points: every call that writes, syncs, renames or unlinks is killed once, and fails twice.

After each: what was acknowledged is there, what was not is wholly there or wholly absent, the next
command works, the same command works again, and the verifier finds nothing.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest

import forging
from faults import Ended, Point, Strace
from forging import Raw
from gpuledger.handle import Ledger, init
from gpuledger.ledger.segment import BLOCK
from gpuledger.ledger.source import source_at
from gpuledger.recovery import restore
from gpuledger.replay.batch import Batch
from gpuledger.replay.catalogue import PoolDrained, PoolResumed
from gpuledger.replay.facts import Place, Placed
from gpuledger.replay.rights import by
from small_pools import ROOT, ledger, pool

Record = Callable[[str, object], None]
Chosen = Callable[[list[Point]], list[Point]]
STORAGE = 74
SAMPLED = 2
NAME = "ledger.db"
COPY = "copy.db"
MIRROR = "mirror"


class Scene(NamedTuple):
    """A command in a folder made by `prepare`, and what must hold after it, whatever struck it.

    `check` gets the folder, the rows of before, and the answer where there was one.
    """

    words: tuple[str, ...]
    prepare: Callable[[Path], None]
    check: Callable[[Path, list[Raw], Ended], None]


def mirrored(folder: Path) -> None:
    """A ledger with a mirror."""
    a_few(folder)
    with Ledger(str(folder / NAME), actor=ROOT) as book:
        (folder / MIRROR).mkdir()
        book.mirror_add(str(folder / MIRROR))


def before_a_seal(folder: Path) -> None:
    """A ledger whose next event fills a segment of its mirror."""
    mirrored(folder)
    with Ledger(str(folder / NAME), actor=ROOT) as book:
        book._allocator.batch(lambda batch: fill(batch, BLOCK - 1))


def fill(batch: Batch, upto: int) -> None:
    """Append events up to a seq, all in one turn."""
    while batch.state.seq < upto:
        drained = "s0" in [one.facts.name for one in batch.state.servers() if one.drained]
        payload = (PoolResumed if drained else PoolDrained)(by(ROOT), (Place("s0", (0,)),))
        batch.append(payload, ROOT.identity)


def lagging(folder: Path) -> None:
    """A ledger whose mirror was away for some events, the last line of it torn."""
    mirrored(folder)
    there = folder / MIRROR
    away = there.rename(folder / "away")
    with Ledger(str(folder / NAME), actor=ROOT) as book:
        for number in range(3):
            book.allocate(f"unseen{number}", 1)
    away.rename(there)
    (open_file,) = there.glob("*/*-open.jsonl")
    open_file.write_bytes(open_file.read_bytes()[:-20])


def nothing(folder: Path) -> None:
    """No ledger yet."""
    del folder


def a_few(folder: Path, *, events: int = 5, copied: bool = False) -> None:
    """A ledger as a killed process leaves it: the end of its -wal is not written back.

    Where it is `copied`, it went on by one event since.
    """
    aside = folder / "open"
    aside.mkdir()
    with ledger(aside / NAME, pool(2, 8, 64), actor=ROOT) as book:
        book.allocate("kept", 1)
        while book.head().seq < events - 1:
            book.allocate("t", 1)
            book.release("t")
        if copied:
            book.backup(folder / COPY)
        book.allocate("later", 1)
        for suffix in ("", "-wal", "-shm", ".lock"):
            shutil.copy(f"{aside / NAME}{suffix}", folder)
    shutil.rmtree(aside)


def just_before_a_tile(folder: Path) -> None:
    """A ledger whose next event completes a row of the tree."""
    a_few(folder, events=255)


def without_a_snapshot(folder: Path) -> None:
    """A ledger that saves all of its snapshot anew."""
    a_few(folder)
    with forging.opened(folder / NAME) as connection:
        for table in ("snapshot", "pieces", "holdings", "capacity"):
            connection.execute(f"DELETE FROM {table}")


def with_a_copy(folder: Path) -> None:
    """A ledger that went on behind its backup."""
    a_few(folder, copied=True)


def rows(path: Path) -> list[Raw]:
    """The rows of a copy of the ledger, so that looking changes nothing."""
    if not path.exists():
        return []
    looked = path.parent / "looked"
    looked.mkdir()
    try:
        for suffix in ("", "-wal"):
            if Path(f"{path}{suffix}").exists():
                shutil.copy(f"{path}{suffix}", looked)
        return forging.rows(looked / path.name)
    finally:
        shutil.rmtree(looked)


def works(path: Path) -> None:
    """The verifier finds nothing, the next command works, and nothing is found again."""
    with Ledger(str(path), actor=ROOT, lock_timeout_s=0.0) as book:
        assert book.verify().problems == ()
        if any(server.drained for server in book.state().servers()):
            book.resume(tuple(map(Placed, book.state().pool.servers)))
        with book.allocate("next", 1):
            pass
        assert book.verify().problems == ()


def one_event(kind: str) -> Callable[[Path, list[Raw], Ended], None]:
    """All of before is there, and behind it at most one event, of that kind; if told, surely."""

    def check(folder: Path, before: list[Raw], ended: Ended) -> None:
        there = rows(folder / NAME)
        assert there[: len(before)] == before
        assert [row.kind for row in there[len(before) :]] in ([], [kind])
        if ended.answer is not None:
            told = ended.answer.get("seq", ended.answer.get("allocation"))
            assert there[-1].seq == told == len(before) + 1
        works(folder / NAME)

    return check


def mirrored_event(folder: Path, before: list[Raw], ended: Ended) -> None:
    """As for any event; the mirror is a prefix, has what was told, and is whole with the next."""
    there = rows(folder / NAME)
    found = seen(folder)
    assert found == [row.hash for row in there][: len(found)]
    assert ended.answer is None or len(found) == len(there) or MIRROR in ended.err
    one_event("allocation.granted")(folder, before, ended)
    assert seen(folder) == [row.hash for row in rows(folder / NAME)]


def seen(folder: Path) -> list[bytes]:
    """The hashes in the mirror."""
    source = source_at(str(folder / MIRROR))
    found = {event.seq: event.hash for event in source.events()}
    return [found[seq] for seq in sorted(found)]


def made(folder: Path, before: list[Raw], ended: Ended) -> None:
    """There is a ledger of one event or none; if none, it can be made."""
    del before
    there = rows(folder / NAME)
    assert [row.kind for row in there] in ([], ["ledger.created"])
    if not there:
        assert ended.answer is None
        init(folder / NAME, pool(), actor=ROOT)
    works(folder / NAME)
    assert sorted(os.listdir(folder)) == [NAME, f"{NAME}.lock"]


def copied(folder: Path, before: list[Raw], ended: Ended) -> None:
    """The ledger is as before, and the copy is whole or not there; it can be made again."""
    assert rows(folder / NAME) == before
    there = rows(folder / COPY)
    assert there in ([], before)
    if ended.answer is not None:
        assert there == before
    with Ledger(str(folder / NAME), actor=ROOT) as book:
        assert book.backup(folder / COPY, over=True).problems == ()
    assert not list(folder.glob("*.part*"))
    works(folder / NAME)


def copied_over(folder: Path, before: list[Raw], ended: Ended) -> None:
    """The same where a copy was before: it is the old one or the new one, whole."""
    there = rows(folder / COPY)
    assert there in (before, before[:-1])
    assert ended.answer is None or there == before
    copied_again = folder / "again.db"
    with Ledger(str(folder / NAME), actor=ROOT) as book:
        assert book.backup(copied_again).problems == ()
        assert book.backup(folder / COPY, over=True).problems == ()
    assert rows(copied_again) == rows(folder / COPY) == before
    assert not list(folder.glob("*.part*"))
    works(folder / NAME)


def replaced(folder: Path, before: list[Raw], ended: Ended) -> None:
    """The old ledger is in place, or the restored one with the old one aside; both again work."""
    there, path = rows(folder / NAME), folder / NAME
    restored = before[:-1]
    if there != before:
        assert there[:-1] == restored
        assert there[-1].kind == "pool.drained"
        (old,) = folder.glob(f"{NAME}.aside-*")
        assert rows(old / NAME) == before
    assert ended.answer is None or there != before
    works(path)
    assert path.stat().st_nlink == 1
    restore(path, [folder / COPY], replace=True, actor=ROOT)
    assert rows(path)[:-1] == restored
    assert not list(folder.glob("*.new*"))
    works(path)


def restored_anew(folder: Path, before: list[Raw], ended: Ended) -> None:
    """The new file is whole or not there, and can be made again; the ledger is as before."""
    new = folder / "new.db"
    there = rows(new)
    assert there == [] or there[:-1] == before[:-1]
    assert ended.answer is None or there
    if not there:
        restore(new, [folder / COPY], actor=ROOT)
    works(new)
    assert not list(folder.glob("*.new*"))
    assert rows(folder / NAME) == before
    works(folder / NAME)


def as_before(folder: Path, before: list[Raw], ended: Ended) -> None:
    """Nothing but what can be made anew has changed."""
    del ended
    assert rows(folder / NAME) == before
    works(folder / NAME)


ALLOCATE = ("allocate", "new", "2")
SCENES = {
    "init": Scene(("init", "--servers", "2"), nothing, made),
    "allocate": Scene(ALLOCATE, a_few, one_event("allocation.granted")),
    "allocate, a row of the tree": Scene(
        ALLOCATE, just_before_a_tile, one_event("allocation.granted")
    ),
    "release": Scene(("release", "kept"), a_few, one_event("allocation.released")),
    "snapshot": Scene(ALLOCATE, without_a_snapshot, one_event("allocation.granted")),
    "rebuild": Scene(("rebuild",), a_few, as_before),
    "mirror": Scene(ALLOCATE, mirrored, mirrored_event),
    "mirror, a segment sealed": Scene(ALLOCATE, before_a_seal, mirrored_event),
    "mirror, behind": Scene(ALLOCATE, lagging, mirrored_event),
    "backup": Scene(("backup", COPY), a_few, copied),
    "backup --overwrite": Scene(("backup", "--overwrite", COPY), with_a_copy, copied_over),
    "restore --replace": Scene(("restore", COPY, "--replace"), with_a_copy, replaced),
    "restore -o": Scene(("restore", COPY, "-o", "new.db"), with_a_copy, restored_anew),
}


@pytest.fixture
def strace(cli_command: Sequence[str], cli_env: dict[str, str], tmp_path: Path) -> Strace:
    return Strace(cli_command, cli_env, tmp_path / "trace")


@pytest.fixture
def chosen(full: bool, rng_seed: int, request: pytest.FixtureRequest) -> Chosen:
    """All points, or the sample of this test."""
    random = Random(f"{rng_seed} {request.node.name}")
    return lambda points: points if full else random.sample(points, SAMPLED)


@pytest.mark.needs("strace")
@pytest.mark.parametrize("name", SCENES)
def test_each_call_of_the_kernel(
    name: str, strace: Strace, tmp_path: Path, chosen: Chosen, record_property: Record
) -> None:
    """Killed, failing or without room at each call, a command leaves all or nothing."""
    scene, template, folder = SCENES[name], tmp_path / "template", tmp_path / "folder"
    folder.mkdir()
    scene.prepare(folder)
    before = rows(folder / NAME)
    words = (*scene.words, "--ledger", NAME, "--json")
    shutil.copytree(folder, template)
    points = strace.points(words, folder)
    record_property(f"crash points of {name}", len(points))
    codes: list[int] = []
    for point in chosen(points):
        shutil.rmtree(folder)
        shutil.copytree(template, folder)
        ended = strace.hit(words, folder, point)
        assert ended.struck, point
        _ended_well(point, ended)
        codes.append(ended.code)
        try:
            scene.check(folder, before, ended)
        except BaseException as error:
            error.add_note(f"{name}: {point}, {ended}")
            raise
    record_property(f"{name}: killed, told, done all the same", _sums(codes))


def _ended_well(point: Point, ended: Ended) -> None:
    """Killed, or told as what it is, or done without: no other end will do."""
    expected = (-9,) if point.fault == "killed" else (0, STORAGE)
    assert ended.code in expected, (point, ended)
    assert "Traceback" not in ended.err
    assert "should not have happened" not in ended.out + ended.err


def _sums(codes: list[int]) -> tuple[int, int, int]:
    return codes.count(-9), codes.count(STORAGE), codes.count(0)
