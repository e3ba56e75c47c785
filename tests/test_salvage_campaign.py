"""Damaged in every way: salvage gets back all that lies on undamaged pages, with a mirror all."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest

from damage import Files, flipped, overwritten
from forging import Raw, rows
from gpuledger.ledger.errors import NothingLeft
from gpuledger.ledger.event import Event
from gpuledger.ledger.source import source_at
from gpuledger.replay.facts import Pool
from gpuledger.salvaging import Salvaged, salvage
from lively_team import Lively
from page_places import PAGE, Place, Tree
from small_pools import ROOT, server

Record = Callable[[str, object], None]


class Grown(Lively):
    """A team whose pool has pages of servers now and then, so that some events overflow theirs."""

    def apply(self) -> None:
        """As it comes, or a pool that fills several pages."""
        if self.chosen.random() < 0.5:
            super().apply()
            return
        many = (server(f"b{at}", 8, 64, uuids=f"GPU-{at:032x}") for at in range(16))
        self.root.pool_apply(Pool(tuple(many)), remove=True, force=True, reason="a hall")


class Truth(NamedTuple):
    """An undamaged ledger: its files, its events, where each lies, and a mirror of it."""

    files: Files
    events: dict[int, Raw]
    places: dict[int, set[Place]]
    mirror: Path


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory, rng_seed: int, full: bool) -> Truth:
    """A mirrored ledger of which a part lies in the -wal alone, copied while it is open."""
    folder = tmp_path_factory.mktemp("truth")
    path, mirror = folder / "ledger.db", folder / "mirror"
    mirror.mkdir()
    events = 2_000 if full else 700
    team = Grown(path, rng_seed)
    while team.root.head().seq < events * 3 // 4:
        team.act()
    for book in (team.root, team.ada, team.bob):
        book.close()
    team.root.mirror_add(str(mirror))
    while team.root.head().seq < events:
        team.act()
    raw = (path.with_name(path.name + suffix).read_bytes() for suffix in ("", "-wal", ".lock"))
    files = Files(*raw)
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        asked = "SELECT rootpage FROM sqlite_schema WHERE name = 'events'"
        (root,) = connection.execute(asked).fetchone()
    told = {row.seq: row for row in rows(path)}
    tree = Tree(files.main, files.wal, root)
    assert tree.places.keys() == told.keys()
    assert max(map(len, tree.places.values())) > 2
    return Truth(files, told, tree.places, mirror)


def harmed(files: Files, random: Random) -> Files:
    """The files with something of them gone: bytes, pages, an end, the header, or all of one."""
    kind = random.randrange(8)
    if kind == 0:
        return files._replace(main=bytes(PAGE) + files.main[PAGE:])
    if kind == 1:
        return files._replace(main=random.choice([b"", random.randbytes(PAGE)]))
    if kind == 2:
        return files._replace(wal=random.choice([b"", bytes(32) + files.wal[32:]]))
    harm = flipped if kind == 3 else overwritten
    main, wal = files.main, files.wal
    for _ in range(random.choice([1, 1, 3, 20])):
        if main and wal and random.randrange(len(main) + len(wal)) < len(main):
            main = harm(main, random) if len(main) >= PAGE else main
        elif len(wal) >= PAGE:
            wal = harm(wal, random)
    return files._replace(main=main, wal=wal)


def untouched(truth: Truth, case: Files) -> set[int]:
    """The seqs of the events all of whose pages are as they were."""
    before = {"main": truth.files.main, "wal": truth.files.wal}
    after = {"main": case.main, "wal": case.wal}

    def whole(place: Place) -> bool:
        there = after[place.name][place.start : place.end]
        return there == before[place.name][place.start : place.end]

    places = {place: whole(place) for every in truth.places.values() for place in every}
    return {seq for seq, every in truth.places.items() if all(places[one] for one in every)}


def told(path: Path) -> dict[int, Raw]:
    """All events of a ledger, by plain sqlite3."""
    return {row.seq: row for row in rows(path)}


def salvaged(folder: Path, case: Files, *copies: Path) -> tuple[Salvaged, dict[int, Raw]]:
    """What is salvaged of a damaged ledger, which is as it was afterwards."""
    damaged, new = folder / "damaged.db", folder / "new.db"
    case.put(damaged)
    for suffix in ("", "-wal", "-shm", ".lock"):
        new.with_name(new.name + suffix).unlink(missing_ok=True)
    made = salvage(damaged, new, copies=copies, actor=ROOT)
    found = (damaged.with_name(damaged.name + suffix) for suffix in ("", "-wal", ".lock"))
    assert Files(*(one.read_bytes() for one in found)) == case
    assert not damaged.with_name("damaged.db-shm").exists()
    return made, told(new)


def given_by_sqlite(path: Path) -> set[int]:
    """The seqs of the events that SQLite still gives, each by its own hash."""
    try:
        found: list[Event] = list(source_at(str(path)).events())
    except Exception:  # noqa: BLE001 - nothing, whatever it says
        return set()
    return {event.seq for event in found}


def test_all_on_undamaged_pages_comes_back(
    truth: Truth, tmp_path: Path, full: bool, rng_seed: int, record_property: Record
) -> None:
    """Each event whose pages are whole, or that SQLite still gives, is there, and no other."""
    kept = lost = beyond = 0
    slowest = 0.0
    for number in range(500 if full else 12):
        case = harmed(truth.files, Random(f"{rng_seed} {number}"))
        wanted = untouched(truth, case)
        began = time.process_time()
        try:
            made, events = salvaged(tmp_path, case)
        except NothingLeft:
            assert not wanted | given_by_sqlite(tmp_path / "damaged.db"), number
            lost += len(truth.events)
            continue
        slowest = max(slowest, time.process_time() - began)
        wanted |= given_by_sqlite(tmp_path / "damaged.db")
        history = {seq: row for seq, row in events.items() if seq != made.gap}
        assert wanted <= history.keys(), (number, wanted - history.keys())
        assert history.items() <= truth.events.items(), number
        assert made.problems == (), number
        assert made.recovered == len(history)
        missing = {seq for hole in made.lost for seq in range(hole.first, hole.last + 1)}
        assert missing == truth.events.keys() - history.keys(), number
        assert (made.gap is None) == (not missing)
        kept += len(history)
        lost += len(missing)
        beyond += len(history.keys() - wanted)
    record_property("events back, lost, back from damaged pages", (kept, lost, beyond))
    record_property("slowest salvage, CPU seconds", round(slowest, 2))


def test_with_a_mirror_all_comes_back(
    truth: Truth, tmp_path: Path, full: bool, rng_seed: int
) -> None:
    """Whatever is damaged, with the mirror every event is there as it was, and nothing else."""
    for number in range(500 if full else 6):
        case = harmed(truth.files, Random(f"{rng_seed} {number}"))
        made, events = salvaged(tmp_path, case, truth.mirror)
        assert events == truth.events, number
        assert (made.lost, made.gap, made.problems) == ((), None, ()), number
