"""`salvage`: all that is left of a damaged ledger in a new one, and what is lost named as lost."""

from __future__ import annotations

import json
import os
import shutil
import stat
from pathlib import Path

import pytest

import forging
from conftest import RunCli
from damage import Files
from gpuledger.handle import Ledger
from gpuledger.ledger.chain import seal
from gpuledger.ledger.cloudevent import to_line
from gpuledger.ledger.errors import LedgerExists, NothingLeft, OtherLedger
from gpuledger.ledger.event import Draft, Head
from gpuledger.ledger.note import Note, encode_note, read_note
from gpuledger.recovery import restore
from gpuledger.salvaging import salvage
from page_places import PAGE, Tree
from small_pools import ADA, BOB, ROOT, ledger

EVENTS = 201


@pytest.fixture
def book(ledger_path: Path) -> Ledger:
    """A ledger of many pages, closed; ada holds @EVENTS, and @2 since the beginning."""
    made = ledger(ledger_path, actor=ADA)
    made.allocate("first", 1)
    while made.head().seq < EVENTS - 1:
        made.allocate("next", 1, key=f"k{made.head().seq}").release()
    made.allocate("last", 1)
    made.close()
    return made


def without(path: Path, *lost: int) -> Path:
    """The ledger with the pages zeroed on which these events lie."""
    main = path.read_bytes()
    with forging.opened(path) as connection:
        asked = "SELECT rootpage FROM sqlite_schema WHERE name = 'events'"
        (root,) = connection.execute(asked).fetchone()
    places = Tree(main, b"", root).places
    for place in {one for seq in lost for one in places[seq]}:
        main = main[: place.start] + bytes(PAGE) + main[place.end :]
    path.write_bytes(main)
    return path


def beside(path: Path) -> dict[str, tuple[bytes, int, int]]:
    """Every file in the folder of a ledger: its bytes and when it changed."""
    found = {one.name: (one.read_bytes(), one.stat()) for one in path.parent.iterdir()}
    return {name: (raw, st.st_mtime_ns, st.st_ctime_ns) for name, (raw, st) in found.items()}


def test_nothing_is_lost_of_a_whole_one(
    book: Ledger, ledger_path: Path, tmp_path: Path, run_cli: RunCli
) -> None:
    """All rows as they were, nothing behind them, and exit 0; the old files are not touched."""
    os.chmod(ledger_path, 0o640)
    before = beside(ledger_path)
    new = tmp_path / "n" / "new.db"
    done = run_cli("salvage", ledger_path, "-o", new)
    assert (done.returncode, done.stderr) == (0, "")
    first, *_, step, head = done.stdout.splitlines()
    assert first == f"{new} holds {EVENTS} of {EVENTS} events"
    assert step.endswith(f"gpuledger --ledger {ledger_path} restore {new} --replace")
    assert head.startswith(f"head {EVENTS}:")
    assert beside(ledger_path) == before
    assert forging.rows(new) == forging.rows(ledger_path)
    assert stat.S_IMODE(new.stat().st_mode) == 0o640
    assert sorted(os.listdir(new.parent)) == ["new.db", "new.db.lock"]
    assert read_note(f"{new}.lock") == read_note(f"{ledger_path}.lock")
    assert run_cli("--ledger", new, "audit", "verify").returncode == 0


def test_what_is_lost_is_named(
    book: Ledger, ledger_path: Path, tmp_path: Path, run_cli: RunCli
) -> None:
    """A page lost in the middle: its seqs, exit 1, one event that records it, and it goes on."""
    truth = forging.rows(ledger_path)
    new = tmp_path / "new.db"
    done = run_cli("salvage", without(ledger_path, 100), "-o", new, "--reason", "a bad disk")
    assert (done.returncode, done.stderr) == (1, "")
    *kept, told = forging.rows(new)
    assert [row for row in truth if row in kept] == kept
    lost = [row.seq for row in truth if row not in kept]
    assert lost == list(range(lost[0], lost[-1] + 1))
    assert 100 in lost
    assert f"events {lost[0]} to {lost[-1]} are lost, written between 20" in done.stdout
    assert f"event {EVENTS + 1} records that" in done.stdout
    assert (told.seq, told.prev, told.kind) == (EVENTS + 1, truth[-1].hash, "gap.recorded")
    data = json.loads(told.data)
    before, after = truth[lost[0] - 2].hash.hex(), truth[lost[-1] - 1].hash.hex()
    gap = {"first": lost[0], "last": lost[-1], "before": before, "after": after}
    assert data["gaps"] == [gap]
    assert data["known"] == [{"seq": lost[-1], "hash": after}]
    assert (data["sources"], data["reason"]) == ([str(ledger_path)], "a bad disk")
    verified = run_cli("--ledger", new, "audit", "verify")
    assert verified.returncode == 0
    assert f"{len(lost)} events are lost: seq {lost[0]} to {lost[-1]}" in verified.stdout
    granted = json.loads(run_cli("--ledger", new, "allocate", "more", "1", "--json").stdout)
    assert granted["seq"] == EVENTS + 2


def test_a_lost_tail_keeps_its_seqs(book: Ledger, ledger_path: Path, tmp_path: Path) -> None:
    """What the lock file's note knows to have been is a gap; no id of it is given again."""
    truth = forging.rows(ledger_path)
    made = salvage(without(ledger_path, EVENTS), tmp_path / "new.db", actor=ROOT)
    *kept, told = forging.rows(tmp_path / "new.db")
    assert kept == truth[: len(kept)]
    assert [(hole.first, hole.last) for hole in made.lost] == [(len(kept) + 1, EVENTS)]
    assert (told.seq, told.prev) == (EVENTS + 1, truth[-1].hash)
    assert made.noted
    note = read_note(str(tmp_path / "new.db.lock"))
    assert isinstance(note, Note)
    assert (note.seq, note.hash) == (told.seq, told.hash)
    with Ledger(str(tmp_path / "new.db"), actor=ROOT) as found:
        verified = found.verify((EVENTS, truth[-1].hash.hex()))
        assert (verified.ok, verified.anchored) == (True, True), "a head kept elsewhere still fits"
        assert found.allocate("more", 1).id == EVENTS + 2


def test_without_a_note_the_end_is_unknown(
    book: Ledger, ledger_path: Path, tmp_path: Path, run_cli: RunCli
) -> None:
    """Where no lock file tells how far the log went, that is said, and the log goes on there."""
    without(ledger_path, EVENTS)
    Path(f"{ledger_path}.lock").unlink()
    done = run_cli("salvage", ledger_path, "-o", tmp_path / "new.db")
    assert done.returncode == 0
    assert "no lock file tells where the log ended, so more may be lost at its end" in done.stdout
    assert "is lost" not in done.stdout


@pytest.mark.parametrize("noted", [True, False])
def test_the_first_event_may_be_lost(
    book: Ledger, ledger_path: Path, tmp_path: Path, noted: bool
) -> None:
    """The id comes from the lock file then; where nothing tells it, all salvages give the same."""
    name = book.ledger_id()
    without(ledger_path, 1)
    if not noted:
        Path(f"{ledger_path}.lock").unlink()
    made = salvage(ledger_path, tmp_path / "new.db", actor=ROOT)
    again = salvage(ledger_path, tmp_path / "again.db", actor=ROOT)
    assert made.ledger == again.ledger
    assert (made.ledger == name) == noted
    assert made.problems == ()
    with Ledger(str(tmp_path / "new.db"), actor=ROOT) as found:
        assert found.ledger_id() == made.ledger
        assert found.verify().ok


def test_copies_fill_what_is_lost(
    book: Ledger, ledger_path: Path, tmp_path: Path, run_cli: RunCli
) -> None:
    """A backup and an export, both older or torn, together with the file give all events back."""
    truth = forging.rows(ledger_path)
    book.backup(tmp_path / "b.db")
    lines = run_cli("--ledger", ledger_path, "export").stdout.splitlines()
    torn = [*lines[:50], lines[50][:-9], "{}", *lines[150:]]
    (tmp_path / "e.jsonl").write_text("\n".join(torn))
    without(tmp_path / "b.db", 30, 31)
    raw = (tmp_path / "b.db").read_bytes()
    (tmp_path / "b.db").write_bytes(bytes(PAGE) + raw[PAGE:])
    without(ledger_path, 30, EVENTS)
    done = run_cli(
        "salvage", ledger_path, "-o", tmp_path / "new.db", "--backup", tmp_path / "b.db",
        "--backup", tmp_path / "e.jsonl", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert forging.rows(tmp_path / "new.db") == truth
    told = json.loads(done.stdout)
    assert (told["recovered"], told["missing"], told["gap"]) == (EVENTS, 0, None)
    backup, lines_told = told["sources"]
    assert backup["events"] < EVENTS
    assert backup["alone"] == 0
    assert (lines_told["events"], lines_told["skipped"]) == (101, 2)
    assert lines_told["alone"] > 0


def test_the_branch_that_the_note_names_is_taken(
    book: Ledger, ledger_path: Path, tmp_path: Path, run_cli: RunCli
) -> None:
    """A ledger that went on from an old copy: the old branch is told as forked, and not taken."""
    book.backup(tmp_path / "early.db")
    book.allocate("old", 1)
    book.backup(tmp_path / "old.db")
    restore(ledger_path, [tmp_path / "early.db"], replace=True, actor=ROOT)
    with Ledger(str(ledger_path), actor=ROOT) as new:
        new.release(servers=("s0",), force=True, reason="over")
    done = run_cli(
        "salvage", ledger_path, "-o", tmp_path / "new.db", "--backup", tmp_path / "old.db"
    )
    assert done.returncode == 0
    assert forging.rows(tmp_path / "new.db") == forging.rows(ledger_path)
    assert (
        f"1 event stands on another branch and is left out: seq {EVENTS + 1};"
        " the branch that was taken leads to the head that the lock file names\n" in done.stdout
    )


def test_salvaged_again_it_is_the_same(book: Ledger, ledger_path: Path, tmp_path: Path) -> None:
    """A gap that is recorded is not recorded again; a copy that turns up later fills it."""
    truth = forging.rows(ledger_path)
    book.backup(tmp_path / "b.db")
    salvage(without(ledger_path, 100), tmp_path / "one.db", actor=ROOT)
    made = salvage(tmp_path / "one.db", tmp_path / "two.db", actor=ROOT)
    assert made.gap is None
    assert made.lost
    assert forging.rows(tmp_path / "two.db") == forging.rows(tmp_path / "one.db")
    whole = salvage(
        tmp_path / "two.db", tmp_path / "three.db", copies=[tmp_path / "b.db"], actor=ROOT
    )
    assert (whole.lost, whole.gap, whole.problems) == ((), None, ())
    assert forging.rows(tmp_path / "three.db")[:-1] == truth


def test_what_was_acknowledged_behind_a_flipped_byte_is_there(
    book: Ledger, ledger_path: Path, tmp_path: Path
) -> None:
    """Commits that SQLite forgets since one byte of the -wal is wrong come back."""
    for number in range(20):
        book.allocate(f"wal-{number}", 1, 1).release()
    wal = Path(f"{ledger_path}-wal").read_bytes()
    files = Files(
        ledger_path.read_bytes(),
        wal[:60] + b"\xff" + wal[61:],
        Path(f"{ledger_path}.lock").read_bytes(),
    )
    files.put(tmp_path / "x.db")
    made = salvage(tmp_path / "x.db", tmp_path / "new.db", actor=ROOT)
    assert (made.recovered, made.lost) == (EVENTS + 40, ())


def test_it_takes_the_ledgers_place(
    book: Ledger, ledger_path: Path, tmp_path: Path, run_cli: RunCli
) -> None:
    """The step that it tells puts the new ledger where the damaged one lay, gap and all."""
    done = run_cli("salvage", without(ledger_path, 100, EVENTS), "-o", tmp_path / "new.db")
    step = next(line for line in done.stdout.splitlines() if "restore" in line)
    words = step.partition(": gpuledger ")[2].split()
    put = run_cli(*words)
    assert put.returncode == 0, put.stdout + put.stderr
    assert run_cli("--ledger", ledger_path, "audit", "verify").returncode == 0
    with Ledger(str(ledger_path), actor=BOB) as found:
        assert found.head().seq == EVENTS + 2
        assert found.state().allocation(2).uncertain is not None


def test_a_retry_key_still_answers(book: Ledger, ledger_path: Path, tmp_path: Path) -> None:
    """An act under a key whose event survived is answered by it, not done again."""
    salvage(without(ledger_path, 100), tmp_path / "new.db", actor=ROOT)
    with Ledger(str(tmp_path / "new.db"), actor=ADA) as found:
        assert found.allocate("next", 1, key="k2").id == 3
        assert found.head().seq == EVENTS + 1


@pytest.mark.parametrize("made", ["0.1", "0.2"])
def test_what_earlier_releases_wrote_is_found(made: str, tmp_path: Path) -> None:
    """The committed ledgers of earlier releases come back whole, also without their first page."""
    path = Path(__file__).parent / "ledgers" / f"{made}.db"
    raw = path.read_bytes()
    (tmp_path / "x.db").write_bytes(bytes(PAGE) + raw[PAGE:])
    made_of = salvage(tmp_path / "x.db", tmp_path / "new.db", actor=ROOT)
    assert (made_of.lost, made_of.problems) == ((), ())
    shutil.copyfile(path, tmp_path / "copy.db")
    assert forging.rows(tmp_path / "new.db") == forging.rows(tmp_path / "copy.db")


@pytest.mark.parametrize("seq", [2**53 - 1, 2**53, 2**63])
def test_a_note_beyond_all_seqs_tells_nothing(
    book: Ledger, ledger_path: Path, tmp_path: Path, seq: int
) -> None:
    """A forged lock file keeps nobody from the events."""
    lock = Path(f"{ledger_path}.lock")
    noted = read_note(str(lock))
    assert isinstance(noted, Note)
    lock.write_bytes(bytes(16) + encode_note(Note(noted.ledger, seq, noted.hash)))
    made = salvage(ledger_path, tmp_path / "new.db", actor=ROOT)
    assert (made.recovered, made.missing, made.problems) == (EVENTS, 0, ())


def test_an_event_far_beyond_all_others_costs_no_more(
    book: Ledger, ledger_path: Path, tmp_path: Path
) -> None:
    """A gap of more seqs than anybody can count is crossed, recorded and verified like any."""
    head, name = book.head(), book.ledger_id()
    (event,) = book.log.read(EVENTS - 1)
    draft = Draft(head.at, event.kind, event.version, event.actor, None, event.data)
    far = seal(draft, Head(2**53 - 100, bytes([1]) * 32, head.at))
    export = tmp_path / "export.jsonl"
    export.write_bytes(b"".join(line + b"\n" for line in (*book.export(), to_line(far, name))))
    Path(f"{ledger_path}.lock").unlink()
    made = salvage(ledger_path, tmp_path / "new.db", copies=[export], actor=ROOT)
    assert (made.recovered, made.missing) == (EVENTS + 1, far.seq - EVENTS - 1)
    assert made.problems == ()


@pytest.mark.parametrize("last", [2**53 - 1, 2**53, 10**18, 10**19 - 1])
def test_a_name_that_no_writer_gives_tells_nothing(
    book: Ledger, ledger_path: Path, tmp_path: Path, run_cli: RunCli, last: int
) -> None:
    """A file in a mirror that is called like the segment of a seq beyond all."""
    (tmp_path / "mirror").mkdir()
    with Ledger(str(ledger_path), actor=ROOT) as admin:
        admin.mirror_add(str(tmp_path / "mirror"))
        head, folder = admin.head(), tmp_path / "mirror" / admin.ledger_id()
    first = (last - 1) // 4096 * 4096 + 1
    for begins in {1, first}:
        (folder / f"{begins:012d}-{last:012d}-{'a' * 64}.jsonl").write_bytes(b"")
    done = run_cli(
        "salvage", ledger_path, "-o", tmp_path / "new.db", "--mirror", tmp_path / "mirror", "--json"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert (told["recovered"], told["missing"]) == (head.seq, 0)


def test_what_cannot_be_salvaged_is_refused(
    book: Ledger, ledger_path: Path, tmp_path: Path, run_cli: RunCli
) -> None:
    """Another ledger's copy, a place that is taken, no ledger at all: nothing is left behind."""
    other = tmp_path / "other.db"
    ledger(other).close()
    new = tmp_path / "new.db"
    with pytest.raises(OtherLedger):
        salvage(ledger_path, new, copies=[other], actor=ROOT)
    with pytest.raises(LedgerExists):
        salvage(ledger_path, other, actor=ROOT)
    with pytest.raises(LedgerExists):
        salvage(ledger_path, ledger_path, actor=ROOT)
    (tmp_path / "text.db").write_text("no ledger\n" * 1000)
    with pytest.raises(NothingLeft):
        salvage(tmp_path / "text.db", new, actor=ROOT)
    (tmp_path / "empty.db").write_bytes(b"")
    done = run_cli("salvage", tmp_path / "empty.db", "-o", new)
    assert (done.returncode, done.stdout) == (1, "")
    assert "no event of" in done.stderr
    done = run_cli("salvage", tmp_path / "none.db", "-o", new)
    assert (done.returncode, done.stdout) == (2, "")
    assert "gpuledger restore makes a ledger of mirrors and backups" in done.stderr
    done = run_cli("salvage", ledger_path, "-o", new, "--mirror", tmp_path / "none")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--mirror cannot be" in done.stderr
    assert run_cli("salvage", tmp_path, "-o", new).returncode == 65
    assert run_cli("salvage", ledger_path).returncode == 2
    assert not new.exists()
    assert not Path(f"{new}.lock").exists()
