"""Forged stores beside the log: nothing of them is signed, nor does it prove a rewritten past."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import msgspec
import pytest

import forging
from conftest import RunCli
from gapping import punch
from gpuledger.cli.keyfile import make, signed
from gpuledger.handle import Ledger
from gpuledger.ledger.checkpoint import Checkpoint, Proof
from gpuledger.ledger.errors import BrokenChain, HeadMoved
from gpuledger.ledger.tiles import digest
from gpuledger.replay.checked_tree import Anchor
from gpuledger.replay.piece import GAPS, GapsPiece, Loss
from plain_tree import plain_root
from small_pools import ledger

TILE = 256


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed ledger of exactly as many events as a tile has, with the tile's row."""
    path = tmp_path_factory.mktemp("told") / "ledger.db"
    with ledger(path) as book:
        for at in range(127):
            book.allocate(f"t{at}", 1)
            book.release(f"t{at}")
        book.allocate("last", 1)
        assert book.head().seq == TILE
        book.rebuild()
    with forging.opened(path) as connection:
        assert connection.execute("SELECT count(*) FROM tiles").fetchone() == (1,)
    return path


@pytest.fixture
def copy(told: Path, tmp_path: Path) -> Path:
    """A copy with no note beside, as a forger would leave it who knows of that."""
    return Path(shutil.copyfile(told, tmp_path / "copy.db"))


def test_a_kept_tile_does_not_hide_a_rewritten_event(
    told: Path, copy: Path, tmp_path: Path, run_cli: RunCli
) -> None:
    """The old tile's row over new events: no proof that the newer checkpoint extends the older."""

    def ours(path: Path, *words: str, code: int = 0) -> str:
        done = run_cli("--ledger", path, *words)
        assert done.returncode == code, done.stderr
        return done.stdout

    ours(told, "keys", "new")
    files = {name: tmp_path / name for name in ("key", "monday", "tuesday", "since")}
    files["key"].write_text(ours(told, "keys", "show"))
    files["monday"].write_text(ours(told, "audit", "checkpoint"))
    with forging.unguarded(copy) as connection:
        connection.execute(
            "UPDATE events SET data = replace(data, '\"t0\"', '\"x0\"') WHERE seq = 2"
        )
    forging.rehash_from(copy, 2)
    ours(copy, "allocate", "more", "1")
    files["tuesday"].write_text(ours(copy, "audit", "checkpoint"))
    assert ours(copy, "audit", "prove", "--from", str(files["monday"]), code=2) == ""
    with Ledger(str(copy)) as book:
        path = tuple(book.proof(book.tree(), TILE, consistency=True))
    proof = Proof(TILE, path, files["tuesday"].read_text(), consistency=True)
    files["since"].write_text(proof.text())
    names = (str(files[name]) for name in ("since", "monday", "tuesday"))
    found = ours(copy, "audit", "check", *names, "--signed-by", str(files["key"]), code=1)
    assert found == "the proof does not lead from one checkpoint to the other\n"


@pytest.mark.parametrize("size", [0, TILE + 1, TILE])
def test_nothing_is_proved_from_what_the_log_does_not_extend(
    told: Path, tmp_path: Path, run_cli: RunCli, size: int
) -> None:
    """A checkpoint of nothing, of more than there is, or of another past is refused."""
    key = make(str(tmp_path / "key"))
    with Ledger(str(told)) as book:
        old = Checkpoint(book.tree().origin, size, bytes(32))
    (tmp_path / "old").write_text(signed(old, key))
    done = run_cli("--ledger", told, "audit", "prove", "--from", "old", "--key-file", "key")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("gpuledger: --from cannot be 'old'; give a checkpoint ")


def test_a_forged_tile_is_not_signed(told: Path, copy: Path) -> None:
    """A tile's row with the digest that fits it: root and proofs are those of the true log."""
    with forging.opened(copy) as connection:
        connection.execute(
            "UPDATE tiles SET hash = ?, digest = ?", (bytes(32), digest(1, 0, bytes(32)))
        )
    honest, harmed = proofs(told), proofs(copy)
    assert harmed == honest
    assert harmed[0] == [plain_root([row.hash for row in forging.rows(told)])]


def proofs(path: Path) -> list[list[bytes]]:
    """The root over a ledger, and some proofs of both kinds."""
    with Ledger(str(path)) as book:
        tree = book.tree()
        wanted = [(number, kind) for number in (1, 128, 200, TILE) for kind in (False, True)]
        made = [book.proof(tree, number, consistency=kind) for number, kind in wanted]
    return [[tree.root], *made]


def test_a_forged_snapshot_is_not_signed(told: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces that tell of a gap, where no event is missing, make no tree begin behind it."""
    honest = proofs(told)
    with Ledger(str(told)) as book:
        state = book.state()
        state.pieces[GAPS] = GapsPiece((Loss(1, 100, 0, 0, recorded=7),))
        monkeypatch.setattr(Ledger, "state", lambda *_: state)
    assert proofs(told) == honest


@pytest.mark.parametrize("consistency", [False, True])
def test_a_proof_that_does_not_fit_is_not_handed_out(told: Path, *, consistency: bool) -> None:
    """An event's hash that changed since the root was made is named."""
    with Ledger(str(told)) as book:
        tree = book.tree()
        with pytest.raises(BrokenChain):
            book.proof(tree._replace(root=bytes(32)), 200, consistency=consistency)


def test_a_ledger_that_is_replaced_is_not_mixed(
    told: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hashes of two ledgers under one name, read run by run, are never under one root."""
    with Ledger(str(told)) as book:
        head = book.log.head()
        monkeypatch.setattr(book.log, "head", lambda: msgspec.structs.replace(head, hash=bytes(32)))
        with pytest.raises(HeadMoved):
            book.tree()


@pytest.mark.parametrize("harm", ["'x'", "x'00'", "7"])
def test_what_is_no_hash_is_named(copy: Path, harm: str) -> None:
    """A damaged file may hold anything in the column: its event is named, and nothing signed."""
    forging.reshape(copy, "replace(replace(sql, 'BLOB', 'ANY'), 'length(hash) = 32', '1')")
    with forging.unguarded(copy) as connection:
        connection.execute(f"UPDATE events SET hash = {harm} WHERE seq = 9")
    with Ledger(str(copy)) as book, pytest.raises(BrokenChain) as caught:
        book.tree()
    assert caught.value.seq == 9


STRANGE = ["/", "/0", "/1", "/01", "/-1", "/1/2", "/\N{SUPERSCRIPT TWO}", "/\u0663", "x"]
STRANGE += ["/" + "9" * 17, "/" + "9" * 5000]
"""What an origin of ours never ends with."""


@pytest.mark.parametrize("end", STRANGE, ids=range(len(STRANGE)))
def test_an_origin_that_is_none_of_ours(
    told: Path, tmp_path: Path, run_cli: RunCli, end: str
) -> None:
    """Signed or not, it names no tree of this ledger: not for verify, and not for check."""
    key = make(str(tmp_path / "key"))
    with Ledger(str(told)) as book:
        tree = book.tree()
        strange = Checkpoint(tree.origin + end, tree.size, tree.root)
        path = tuple(book.proof(tree, 9))
        assert [one.what for one in book.verify(None, [anchor(strange)]).problems] == [
            "other_ledger"
        ]
        (tmp_path / "event").write_bytes(list(book.export())[8])
    head = signed(strange, key)
    (tmp_path / "head").write_text(head)
    (tmp_path / "proof").write_text(Proof(8, path, head).text())
    done = run_cli("audit", "check", "proof", "head", "event", "--key-file", "key")
    assert (done.returncode, done.stdout) == (1, "the checkpoint is of no ledger's tree\n")


@pytest.mark.parametrize("origin", ["3", "gpuledger/3", ""])
def test_an_origin_without_its_ledger(told: Path, origin: str) -> None:
    """A bare number names no tree."""
    with Ledger(str(told)) as book:
        found = book.verify(None, [Anchor(origin, 1, bytes(32))])
    assert [one.what for one in found.problems] == ["other_ledger"]


@pytest.mark.parametrize("harm", ["[" * 100_000, "9" * 20, "9" * 6000])
def test_what_is_no_event_is_called_so(
    told: Path, tmp_path: Path, run_cli: RunCli, harm: str
) -> None:
    """However deep it is nested, and however long its numbers are."""
    key = make(str(tmp_path / "key"))
    with Ledger(str(told)) as book:
        tree = book.tree()
        line = next(iter(book.export())).decode()
    head = signed(Checkpoint(tree.origin, tree.size, tree.root), key)
    (tmp_path / "head").write_text(head)
    (tmp_path / "proof").write_text(Proof(0, (), head).text())
    told_so = (
        harm,
        line.replace('"version":1', f'"version":{harm}'),
        line.replace('"id":"1"', f'"id":"{harm}"'),
        line.replace('"data":{', f'"data":{{"a":{harm},'),
    )
    for text in told_so:
        (tmp_path / "event").write_text(text)
        done = run_cli("audit", "check", "proof", "head", "event", "--key-file", "key")
        assert done.returncode in (1, 2), (text[:50], done.stderr)
        assert "should not have happened" not in done.stderr


def anchor(of: Checkpoint) -> Anchor:
    """The checkpoint as the verifier takes it."""
    return Anchor(of.origin, of.size, of.root)


@pytest.mark.parametrize("harm", ["zz", "00", "\N{SUPERSCRIPT TWO}" * 64, "0" * 63 + " "])
def test_what_is_no_hash_of_a_lost_event(tmp_path: Path, run_cli: RunCli, harm: str) -> None:
    """It is not known then, and the tree begins anew behind the gap, where proofs begin as well."""
    path = tmp_path / "ledger.db"
    with ledger(path) as book:
        for at in range(5):
            book.allocate(f"t{at}", 1)
    punch(path, (3, 4))
    record = forging.rows(path)[-1]
    told = {**json.loads(record.data), "known": [{"seq": 3, "hash": harm}]}
    mended = record._replace(data=forging.spelled(told)).hashed()
    with forging.unguarded(path) as connection:
        change = "UPDATE events SET data = ?, hash = ? WHERE seq = ?"
        connection.execute(change, (mended.data, mended.hash, mended.seq))
    make(str(tmp_path / "key"))
    with Ledger(str(path)) as book:
        tree = book.tree()
    assert (tree.first, tree.size) == (5, 3)
    assert tree.root == plain_root([row.hash for row in forging.rows(path)[-3:]])
    for seq, code in ((4, 2), (5, 0), (7, 0), (8, 2)):
        prove = ("audit", "prove", str(seq), "--key-file", "key")
        done = run_cli("--ledger", path, *prove)
        assert done.returncode == code
        assert ("give 5 to 7" in done.stderr) == (code == 2)


def test_the_tree_goes_on_where_all_that_is_lost_is_known(tmp_path: Path) -> None:
    """Over a gap of one event, whose hash the next one names, and as the verifier makes it."""
    path = tmp_path / "ledger.db"
    with ledger(path) as book:
        for at in range(5):
            book.allocate(f"t{at}", 1)
    hashes = [row.hash for row in forging.rows(path)]
    punch(path, (3,))
    hashes.append(forging.rows(path)[-1].hash)
    with Ledger(str(path)) as book:
        tree = book.tree()
        assert (tree.first, tree.root) == (1, plain_root(hashes))
        assert book.verify(None, [Anchor(tree.origin, tree.size, tree.root)]).anchored


def test_nothing_is_signed_where_an_event_is_missing(copy: Path) -> None:
    """A hole that no gap names: the first seq that is missing is told."""
    with forging.unguarded(copy) as connection:
        connection.execute("DELETE FROM events WHERE seq = 77")
    with Ledger(str(copy)) as book, pytest.raises(BrokenChain) as caught:
        book.tree()
    assert caught.value.seq == 77
