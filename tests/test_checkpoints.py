"""Checkpoints: a head kept elsewhere proves that nobody changed the past, and finds who did."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import forging
from conftest import RunCli
from gpuledger.cli.anchoring import anchors
from gpuledger.handle import Ledger
from gpuledger.ledger import signed_note
from gpuledger.ledger.checkpoint import Checkpoint, read
from gpuledger.ledger.signed_note import BadNote, Verifier, parse, parse_verifier, sign
from gpuledger.ledger.tiles import digest
from gpuledger.replay.checked_tree import Anchor
from lively_team import Lively
from plain_tree import plain_root
from small_pools import ROOT, ledger

GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_TEXT = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
)
GO_NOTE = (
    GO_TEXT + "\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZ"
    "SNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
"""The example of the signed-note specification's reference implementation."""


def test_the_note_of_the_specification_is_accepted() -> None:
    """Text, key and signature that others made; and with one letter changed it is not."""
    verifier = parse_verifier(GO_KEY)
    assert verifier.text() == GO_KEY
    note = parse(GO_NOTE)
    assert note.text == GO_TEXT
    assert note.signed_by(verifier) is True
    assert parse(GO_NOTE.replace("problem is", "problem was")).signed_by(verifier) is False
    other = Verifier("PeterNeumann", bytes(32))
    assert note.signed_by(other) is None


@pytest.mark.parametrize(
    "text",
    ["", "a\n", "a\n\n", "a\n\n— b\n", "a\n\n— b c!\n", "a\n\nb c2ln\n", "a\n\n— a+b c2lnbmF0\n",
     "a\x07\n\n— b c2lnbmF0\n", "a\n\n— b c2lnbmF0"],
)  # fmt: skip
def test_what_is_no_note(text: str) -> None:
    """Bad base64, no signature line, control characters: none of it is taken for a note."""
    with pytest.raises(BadNote):
        parse(text)


@pytest.mark.parametrize(
    "text", ["", "a", "a+b+c", GO_KEY.replace("c74f", "c74e"), "PeterNeumann+c74f20a3+AA=="]
)
def test_what_is_no_verifier_key(text: str) -> None:
    """Its hash must fit name and key."""
    with pytest.raises(BadNote):
        parse_verifier(text)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, rng_seed: int) -> Path:
    """A closed ledger of some six hundred events: two full tiles, and a tail."""
    path = tmp_path_factory.mktemp("told") / "ledger.db"
    team = Lively(path, rng_seed)
    while team.root.head().seq < 600:
        team.act()
    team.root.rebuild()
    for one in (team.root, team.ada, team.bob):
        one.close()
    return path


@pytest.fixture
def copy(told: Path, tmp_path: Path) -> Path:
    """A copy of it with no note beside, as a forger would leave it who knows of that."""
    return Path(shutil.copyfile(told, tmp_path / "copy.db"))


def kept(path: Path, size: int | None = None) -> Anchor:
    """A checkpoint of the ledger, as it was when it had so many events."""
    with Ledger(str(path), actor=ROOT) as book:
        origin, whole, root, *_ = book.tree()
        rows = forging.rows(path)
    if size is None or size == whole:
        return Anchor(origin, whole, root)
    return Anchor(origin, size, plain_root([row.hash for row in rows[:size]]))


def found(path: Path, *against: Anchor) -> list[tuple[int | None, str]]:
    """What a verification against checkpoints finds."""
    with Ledger(str(path), actor=ROOT) as book:
        outcome = book.verify(None, against)
        assert outcome.anchored == (bool(against) and outcome.ok)
        return [(one.seq, one.what) for one in outcome.problems]


def test_a_ledger_extends_all_its_checkpoints(told: Path) -> None:
    """Of every size, over tiles and edges; what the API says is what RFC 6962 says."""
    sizes = (1, 2, 255, 256, 257, 511, 512, 513, 600)
    assert found(told, *(kept(told, size) for size in sizes)) == []
    whole = kept(told)
    assert whole.root == plain_root([row.hash for row in forging.rows(told)])


def forged(path: Path, at: int) -> None:
    """Rewrite one event, and everything after it that is computed from it: hashes, stores, tree."""
    rows = forging.rows(path)
    with forging.unguarded(path) as connection:
        connection.execute(
            "UPDATE events SET actor = ? WHERE seq = ?", (rows[at - 1].actor + "x", at)
        )
    forging.rehash_from(path, at)
    with Ledger(str(path), actor=ROOT) as book:
        book.rebuild()


def test_a_forger_is_caught(told: Path, copy: Path, full: bool) -> None:
    """Whatever one event says now, and however well all else was made to fit it."""
    before = kept(told)
    rows = forging.rows(told)
    for at in range(2, 600, 37) if full else (2, 300, 600):
        shutil.copyfile(told, copy)
        kind = rows[at - 1].kind
        assert kind
        forged(copy, at)
        assert found(copy) == []
        assert found(copy, before) == [(600, "rewritten")]
        assert found(copy, kept(told, at)) == [(at, "rewritten")]
        assert found(copy, kept(told, at - 1)) == []
        assert sorted(what for _, what in found(copy, kept(told, at - 1), before)) == [
            "fork", "rewritten",
        ]  # fmt: skip


@pytest.mark.parametrize("lost", [1, 2, 7, 50])
def test_a_truncation_is_caught(told: Path, copy: Path, lost: int, full: bool) -> None:
    """The last events gone, and the file otherwise in order: k from 1 to 50."""
    before = kept(told)
    for k in range(1, 51) if full and lost == 50 else (lost,):
        shutil.copyfile(told, copy)
        with forging.unguarded(copy) as connection:
            connection.execute("DELETE FROM events WHERE seq > ?", (600 - k,))
        with Ledger(str(copy), actor=ROOT) as book:
            book.rebuild()
        assert found(copy) == []
        assert found(copy, before) == [(601 - k, "truncated")]
        assert found(copy, kept(told, 600 - k)) == []


def test_a_fork_is_shown_from_the_two_checkpoints(told: Path, copy: Path) -> None:
    """Two heads of one size and two roots need no ledger; of two sizes, one that has either."""
    theirs = kept(told)
    forged(copy, 600)
    ours = kept(copy)
    assert (None, "fork") in found(told, theirs, ours)
    assert found(copy, ours) == []
    assert sorted(what for _, what in found(copy, ours, theirs)) == ["fork", "rewritten"]


def test_another_ledgers_checkpoint_is_told(told: Path, tmp_path: Path) -> None:
    """By its origin, before any root is compared."""
    ledger(tmp_path / "other.db").close()
    other = kept(tmp_path / "other.db")
    assert found(told, other) == [(None, "other_ledger")]


def test_a_signature_of_another_key_is_told(told: Path) -> None:
    """It says nothing of the ledger, and counts as no anchor."""
    key, other = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    one = kept(told)
    checkpoint = Checkpoint(one.origin, one.size, one.root)
    verifier = Verifier(one.origin, key.public_key().public_bytes_raw())
    text = sign(checkpoint.text(), verifier, key)
    assert read(text).checkpoint == checkpoint
    assert anchors([read(text)], verifier.text(), None) == ([one], [])
    for bad in (sign(checkpoint.text(), verifier, other), text.replace("\n600\n", "\n601\n")):
        good, problems = anchors([read(bad)], verifier.text(), None)
        assert (good, [problem.what for problem in problems]) == ([], ["signature"])
    assert signed_note.parse(text).signatures


@pytest.fixture
def tiles(copy: Path) -> Iterator[Path]:
    """A copy whose stored tree may be harmed; afterwards a rebuild has mended it."""
    yield copy
    assert (None, "tree") in found(copy)
    with Ledger(str(copy), actor=ROOT) as book:
        book.rebuild()
    assert found(copy) == []


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE tiles SET hash = zeroblob(32) WHERE n = 1",
        "UPDATE tiles SET digest = zeroblob(32) WHERE n = 0",
        "DELETE FROM tiles WHERE n = 0",
        "UPDATE tiles SET n = 7 WHERE n = 1",
        "INSERT INTO tiles SELECT 2, n, hash, digest FROM tiles WHERE n = 0",
    ],
)
def test_a_harmed_tree_is_named_and_mended(told: Path, tiles: Path, harm: str) -> None:
    """Roots are right all the same where a row's own digest tells that it was changed."""
    with forging.opened(tiles) as connection:
        connection.execute(harm)
    assert kept(tiles) == kept(told)


def test_a_tree_forged_with_its_digest_is_named(told: Path, tiles: Path) -> None:
    """Such a row is in no root, since whoever signs makes all of them from the events."""
    with forging.opened(tiles) as connection:
        connection.execute(
            "UPDATE tiles SET hash = ?, digest = ? WHERE n = 1",
            (bytes(32), digest(1, 1, bytes(32))),
        )
    assert kept(tiles) == kept(told)


def test_what_an_independent_program_makes_of_them(told: Path) -> None:
    """pymerkle accepts the ledger's roots and both kinds of proof."""
    from pymerkle import InclusionProof, InmemoryTree, verify_consistency, verify_inclusion

    rows = forging.rows(told)
    other = InmemoryTree(algorithm="sha256")
    for row in rows:
        other.append_entry(row.covered())
    with Ledger(str(told), actor=ROOT) as book:
        for seq in (1, 256, 257, 599):
            theirs = other.prove_inclusion(seq, 600)
            ours = [rows[seq - 1].hash, *book.proof(book.tree(), seq)]
            proof = InclusionProof("sha256", True, 600, seq, theirs.rule, ours)
            verify_inclusion(rows[seq - 1].hash, book.tree()[2], proof)
            old = kept(told, seq).root
            consistent = other.prove_consistency(seq, 600)
            verify_consistency(old, book.tree()[2], consistent)


def test_the_documents_script_checks_the_same(
    told: Path, tmp_path: Path, run_cli: RunCli, root: Path
) -> None:
    """Under a hundred lines that share nothing with the program, and find what it finds."""
    import subprocess
    import sys

    script = root / "docs" / "check_proof.py"
    assert len(script.read_text(encoding="utf-8").splitlines()) < 100

    def ours(*words: str) -> str:
        done = run_cli("--ledger", told, *words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def theirs(*files: str) -> str:
        done = subprocess.run(
            [sys.executable, str(script), "key", *files],
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.stdout.strip() + done.stderr.strip()[-200:]

    ours("keys", "new")
    (tmp_path / "key").write_text(ours("keys", "show"))
    (tmp_path / "head").write_text(ours("audit", "checkpoint"))
    lines = ours("export").splitlines(keepends=True)
    for seq in (1, 257, 600):
        (tmp_path / "proof").write_text(ours("audit", "prove", str(seq)))
        (tmp_path / "event").write_text(lines[seq - 1])
        assert theirs("proof", "head", "event") == "ok"
        (tmp_path / "event").write_text(lines[seq - 2])
        assert theirs("proof", "head", "event") != "ok"
    wrong = json.loads(lines[599])
    wrong["actor"] = "uid:9"
    (tmp_path / "event").write_text(json.dumps(wrong))
    assert theirs("proof", "head", "event") != "ok"
    for forged in told_otherwise(lines[599]):
        (tmp_path / "event").write_text(forged)
        assert theirs("proof", "head", "event") != "ok", forged
    (tmp_path / "since").write_text(ours("audit", "prove", "--from", str(tmp_path / "head")))
    assert theirs("since", "head", "head") == "ok"


def told_otherwise(line: str) -> list[str]:
    """An exported line as a forger writes it who has the true one: no hash covers what is told
    twice, what is told besides, or whose ledger it is.
    """
    envelope, comma, data = line.strip().partition(',"datacontenttype"')
    return [
        line.replace('"source":"gpuledger:', '"source":"gpuledger:0', 1),
        line.replace("{", '{"actor":"uid:9",', 1),
        f'{envelope},"data":{{"task":"mine"}}{comma}{data}',
        f'{envelope},"data":{{"task":"mine"}}{comma}{data[:-1]},"data_base64":"e30="}}',
        f'{envelope},"data_base64":"e30="{comma}{data}',
        line.replace(",", ", ", 1),
    ]


def test_only_the_exported_line_is_proved(told: Path, tmp_path: Path, run_cli: RunCli) -> None:
    """A line that readers of JSON understand in two ways is not the event that a proof is for."""

    def ours(*words: str) -> str:
        done = run_cli("--ledger", told, *words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    key, head, proof, event = (str(tmp_path / one) for one in ("key", "head", "proof", "event"))
    ours("keys", "new", "--key-file", key)
    Path(head).write_text(ours("audit", "checkpoint", "--key-file", key))
    Path(proof).write_text(ours("audit", "prove", "600", "--key-file", key))
    line = ours("export").splitlines(keepends=True)[599]
    for text in (line, line.strip(), line.replace("\n", "\r\n")):
        Path(event).write_text(text, newline="")
        assert "proved" in ours("audit", "check", proof, head, event, "--key-file", key)
    for text in told_otherwise(line):
        Path(event).write_text(text)
        done = run_cli("audit", "check", proof, head, event, "--key-file", key)
        assert done.returncode == 1, (text, done.stdout)
        assert done.stdout == "the line is not the one that gpuledger export writes of that event\n"


def test_a_damaged_proof_is_called_by_its_name(told: Path, tmp_path: Path, run_cli: RunCli) -> None:
    """What is behind its hashes is told with the file that it stands in."""
    key, head, proof = (str(tmp_path / one) for one in ("key", "head", "proof"))
    run_cli("--ledger", told, "keys", "new", "--key-file", key)
    for path, words in ((head, ("checkpoint",)), (proof, ("prove", "600"))):
        done = run_cli("--ledger", told, "audit", *words, "--key-file", key)
        Path(path).write_text(done.stdout)
    with open(proof, "a") as file:
        file.write("junk\n")
    event = str(tmp_path / "event")
    Path(event).write_text(run_cli("--ledger", told, "export").stdout.splitlines()[599])
    done = run_cli("audit", "check", proof, head, event, "--key-file", key)
    assert done.returncode == 2
    assert f"PROOF cannot be '{proof[:20]}" in done.stderr


def test_line_ends_that_a_mail_program_changed(told: Path, tmp_path: Path, run_cli: RunCli) -> None:
    """A checkpoint or a proof with CR LF is refused with the reason and what takes them out."""
    key, head, proof = (str(tmp_path / one) for one in ("key", "head", "proof"))
    run_cli("--ledger", told, "keys", "new", "--key-file", key)
    event = str(tmp_path / "event")
    Path(event).write_text(run_cli("--ledger", told, "export").stdout.splitlines()[599])
    verify = ("--ledger", told, "audit", "verify", "--key-file", key, "--against")
    check = ("audit", "check", proof, head, event, "--key-file", key)
    for path, words in ((head, ("checkpoint",)), (proof, ("prove", "600"))):
        done = run_cli("--ledger", told, "audit", *words, "--key-file", key)
        Path(path).write_text(done.stdout)
    for path, asked in ((head, (*verify, head)), (head, check), (proof, check)):
        plain = Path(path).read_bytes()
        Path(path).write_bytes(plain.replace(b"\n", b"\r\n"))
        done = run_cli(*asked)
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
        assert "line feeds alone" in done.stderr
        Path(path).write_bytes(Path(path).read_bytes().replace(b"\r", b""))
        assert run_cli(*asked).returncode == 0


@pytest.mark.parametrize("words", ["keys new", "keys show", "audit checkpoint", "audit prove 1"])
def test_a_key_file_without_a_name_is_not_ones_own(run_cli: RunCli, told: Path, words: str) -> None:
    """A script's variable that is not set names no key, and makes none."""
    done = run_cli("--ledger", told, *words.split(), "--key-file", "")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--key-file" in done.stderr
