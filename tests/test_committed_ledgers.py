"""A ledger that a release wrote opens with every later one, says the same, and can be written on.

Until 1.0 a change of the format is made in the open: a release that writes other events than the
one before has a ledger and a script of its own, and those before stay as they are.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import sqlite3
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import forging
from foreign import foreign
from gpuledger.handle import Ledger
from gpuledger.ledger.cloudevent import from_line
from gpuledger.ledger.note import Note, read_note
from gpuledger.replay import catalogue
from gpuledger.replay.errors import TaskInUse
from gpuledger.replay.fold import FOLD_VERSION

HERE = Path(__file__).resolve().parent / "ledgers"
RELEASES = sorted(path.stem for path in HERE.glob("*.db"))
NEWEST = RELEASES[-1]
"""The release whose events are those that this one writes."""
LOST = {"0.3": [[60, 62]]}
"""The seqs of events that a committed ledger lacks for good."""


def maker() -> ModuleType:
    """The script that makes the ledger of this release."""
    path = HERE / "make_0_3.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def told(release: str) -> dict[str, Any]:
    """What is recorded beside the ledger of a release."""
    known: dict[str, Any] = json.loads((HERE / f"{release}.json").read_text(encoding="utf-8"))
    return known


@pytest.fixture(params=RELEASES)
def release(request: pytest.FixtureRequest) -> str:
    """The name of each release that has a committed ledger."""
    return str(request.param)


@pytest.fixture
def copy(release: str, ledger_path: Path) -> Path:
    """A copy of the committed ledger and of its lock file."""
    for suffix in ("", ".lock"):
        shutil.copyfile(HERE / f"{release}.db{suffix}", f"{ledger_path}{suffix}")
    return ledger_path


def test_there_is_one_of_each_release() -> None:
    """Each release has its ledger, whole in one file, with the note of its head."""
    assert RELEASES == ["0.1", "0.2", "0.3"]
    assert [path.name for path in HERE.glob("*-wal")] == []


def test_it_verifies(release: str, copy: Path) -> None:
    """Chain, stores and note hold, against the head recorded beside it; a stranger agrees."""
    head = told(release)["head"]
    with Ledger(str(copy)) as ledger:
        verified = ledger.verify((head["seq"], head["hash"]))
    assert verified.problems == ()
    assert verified.anchored
    nothing = {"wrong": [], "held": {}, "lost": LOST.get(release, [])}
    assert foreign(copy) == (0, {"head": [head["seq"], head["hash"]], **nothing})


def test_it_says_what_it_said(release: str, copy: Path) -> None:
    """Head, state hash, sums, capacity and what runs are those recorded beside it."""
    assert maker().facts(copy) == told(release)


def test_a_replay_says_the_same(release: str, copy: Path) -> None:
    """With its snapshot and projections made anew the state hash is the recorded one."""
    with Ledger(str(copy)) as ledger:
        rebuilt = ledger.rebuild()
    assert rebuilt.state_hash.hex() == told(release)["state_hash"]
    assert maker().facts(copy) == told(release)


def test_its_note_is_read(release: str, copy: Path) -> None:
    """The lock file beside it remembers the head."""
    head = told(release)["head"]
    noted = read_note(f"{copy}.lock")
    assert isinstance(noted, Note)
    assert (noted.seq, noted.hash.hex()) == (head["seq"], head["hash"])


def test_it_can_be_written_on(release: str, copy: Path) -> None:
    """Grants and releases follow its head; retry keys and names of then still count."""
    module, head = maker(), told(release)["head"]
    with Ledger(str(copy), actor=module.ADA) as ledger:
        again = ledger.allocate(
            "train", 2, 16, key="night-7", project="vision", note="für Zoë — 2×"
        )
        assert again.id < head["seq"]
        granted = ledger.allocate("next", 1)
        assert granted.id == head["seq"] + 1
        ledger.release("next")
        assert ledger.verify((head["seq"], head["hash"])).ok
    with Ledger(str(copy), actor=module.BOB) as ledger, pytest.raises(TaskInUse):
        ledger.allocate("second", 1)
    assert foreign(copy)[0] == 0


def test_it_is_exported_bit_by_bit(copy: Path) -> None:
    """Each exported line gives its row back."""
    with Ledger(str(copy)) as ledger:
        events = [from_line(line) for line in ledger.export()]
    assert [(event.seq, event.hash, event.data.decode()) for event in events] == [
        (row.seq, row.hash, row.data) for row in forging.rows(copy)
    ]


def test_what_earlier_releases_wrote_is_of_earlier_versions() -> None:
    """Release 0.1 wrote the first version of each kind, also of those written anew since."""
    rows = forging.rows(HERE / "0.1.db")
    assert {row.version for row in rows} == {1}
    assert {row.kind for row in rows} > set(catalogue.VERSIONS)


def test_an_earlier_snapshot_is_made_anew(release: str, copy: Path) -> None:
    """The caches that an earlier release left are no problem; the first writer replaces them."""
    with Ledger(str(copy), actor=maker().ADA) as ledger:
        assert ledger.verify().problems == ()
        ledger.allocate("next", 1)
        assert ledger.verify().problems == ()
    connection = sqlite3.connect(copy)
    (fold,) = connection.execute("SELECT fold FROM snapshot").fetchone()
    connection.close()
    assert fold == FOLD_VERSION


def test_it_holds_every_kind_of_event() -> None:
    """Each kind of the catalogue stands in the newest, and each field that a kind can have."""
    rows = forging.rows(HERE / f"{NEWEST}.db")
    assert {row.kind for row in rows} == {kind.KIND for kind in catalogue.KINDS}
    for kind in catalogue.KINDS:
        said = {name for row in rows if row.kind == kind.KIND for name in json.loads(row.data)}
        assert set(kind.__struct_fields__) - said <= RARE.get(kind.KIND, set()) | {"clock"}
    assert any("clock" in json.loads(row.data) for row in rows if row.kind == "allocation.granted")


RARE = {
    "gap.recorded": {"ledger"},
    "pool.changed": {"admins"},
    "pool.resumed": {"reason"},
}


def test_the_same_acts_are_the_same_events(tmp_path: Path) -> None:
    """What this release writes for the same acts is what was committed, bit by bit."""
    maker().make(tmp_path / "again.db")
    assert forging.rows(tmp_path / "again.db") == forging.rows(HERE / f"{NEWEST}.db")
