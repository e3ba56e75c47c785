"""`restore`: the longest history that verifies, in a new file or in the ledger's own place."""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import forging
from conftest import RunCli
from gapping import punch
from gpuledger.handle import Ledger
from gpuledger.ledger.errors import LedgerExists, NoHistory, OtherLedger, StorageFailed
from gpuledger.ledger.note import Note, read_note
from gpuledger.ledger.source import source_at
from gpuledger.recovery import restore
from gpuledger.replay.errors import NotWaiting, ReasonNeeded
from gpuledger.replay.facts import Placed
from small_pools import ADA, BOB, ROOT, ledger, pool

RESTORED = "restored to seq {}; later grants unknown"


@pytest.fixture
def book(ledger_path: Path) -> Ledger:
    """A ledger in which ada and bob hold something."""
    made = ledger(ledger_path, actor=ADA)
    made.allocate("a", 1)
    made.allocate("b", 2)
    return made


def aside(path: Path) -> list[Path]:
    return sorted(path.parent.glob(f"{path.name}.aside-*"))


def rows(path: Path) -> list[forging.Raw]:
    return forging.rows(path)


def export(run_cli: RunCli, path: Path, file: Path, *words: str) -> Path:
    file.write_text(run_cli("--ledger", path, "export", *words).stdout)
    return file


def test_into_a_new_file(book: Ledger, ledger_path: Path, tmp_path: Path, run_cli: RunCli) -> None:
    """Same rows as the backup's, then one drain of all servers; no file but ledger and lock."""
    book.backup(tmp_path / "b.db")
    new = tmp_path / "new" / "n.db"
    done = run_cli("restore", tmp_path / "b.db", "-o", new, "--reason", "the disk died")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[1].startswith(f"{new} is restored to event 3 of ")
    assert rows(new)[:3] == rows(ledger_path)
    (drained,) = rows(new)[3:]
    assert drained.kind == "pool.drained"
    told = json.loads(drained.data)
    assert told["reason"] == RESTORED.format(3) + ": the disk died"
    assert [(place["server"], place["gpus"]) for place in told["places"]] == [
        ("s0", [0, 1, 2, 3]),
        ("s1", [0, 1, 2, 3]),
    ]
    assert sorted(os.listdir(new.parent)) == ["n.db", "n.db.lock"]
    assert stat.S_IMODE(new.stat().st_mode) == 0o600
    assert run_cli("--ledger", new, "audit", "verify").returncode == 0
    assert run_cli("--ledger", new, "allocate", "c", "1").returncode == 4
    assert run_cli("--ledger", new, "resume", "s[0-1]").returncode == 0
    assert run_cli("--ledger", new, "allocate", "c", "1").returncode == 0


def test_in_the_ledgers_place(book: Ledger, ledger_path: Path, tmp_path: Path) -> None:
    """The old file lies aside whole; its mode is kept; what is lost is counted; the note is new."""
    book.backup(tmp_path / "b.db")
    book.allocate("c", 1)
    book.release("a")
    old = rows(ledger_path)
    ledger_path.chmod(0o640)
    made = restore(ledger_path, [tmp_path / "b.db"], replace=True, actor=ROOT)
    assert (made.restored.seq, made.head.seq, made.lost, made.differs) == (3, 4, (4, 5), None)
    assert made.problems == ()
    assert stat.S_IMODE(ledger_path.stat().st_mode) == 0o640
    (folder,) = aside(ledger_path)
    assert made.aside == str(folder)
    assert rows(folder / ledger_path.name) == old
    assert rows(ledger_path)[:3] == old[:3]
    noted = read_note(f"{ledger_path}.lock")
    assert isinstance(noted, Note)
    assert (noted.seq, noted.hash) == (4, rows(ledger_path)[3].hash)


def test_who_had_the_old_one_open_notices(book: Ledger, ledger_path: Path, tmp_path: Path) -> None:
    """A handle that has read and written before reads and writes the new one from then on."""
    book.backup(tmp_path / "b.db")
    gone = book.allocate("c", 1)
    assert book.head().seq == 4
    restore(ledger_path, [tmp_path / "b.db"], replace=True, actor=ROOT)
    assert [piece.task for piece in book.state().allocations()] == ["a", "b"]
    with Ledger(str(ledger_path), actor=ROOT) as root:
        root.resume((Placed("s0"), Placed("s1")))
    held = book.allocate("d", 1)
    assert held.id == 6
    book.allocate("e", 1)
    with gone:
        pass  # it is not in this ledger, and nobody else's is ended in its place
    assert {piece.task for piece in book.state().allocations()} == {"a", "b", "d", "e"}
    assert book.verify().ok
    book.close()
    (folder,) = aside(ledger_path)
    assert len(rows(folder / ledger_path.name)) == 4


def test_who_waits_in_line_notices(book: Ledger, ledger_path: Path, tmp_path: Path) -> None:
    """One who waits is told that the request stands in no line any more; its id is given anew."""
    book.backup(tmp_path / "b.db")
    told: list[int] = []
    failures: list[BaseException] = []
    there = threading.Event()

    def number(request: int) -> None:
        told.append(request)
        there.set()

    def wait() -> None:
        with Ledger(str(ledger_path), actor=BOB) as bob:
            try:
                bob.allocate("big", 8, servers=2, wait_s=60.0, told=number)
            except NotWaiting as error:
                failures.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    assert there.wait(30)
    restore(ledger_path, [tmp_path / "b.db"], replace=True, actor=ROOT)
    waiting.join(30)
    assert [type(error) for error in failures] == [NotWaiting]
    assert told == [4]
    book.close()


@pytest.mark.parametrize("how", ["-o", "--replace"])
def test_a_ledger_that_is_gone(
    book: Ledger, ledger_path: Path, tmp_path: Path, run_cli: RunCli, how: str
) -> None:
    """With the file gone and its lock file left, -o and --replace both work, and count the lost."""
    book.backup(tmp_path / "b.db")
    book.allocate("c", 1)
    book.close()
    ledger_path.unlink()
    assert run_cli("--ledger", ledger_path, "init").returncode == 5
    words = [how, str(ledger_path)] if how == "-o" else [how]
    done = run_cli("--ledger", ledger_path, "restore", tmp_path / "b.db", *words)
    assert done.returncode == 0, done
    assert "event 4, which was written and acknowledged, is not in it" in done.stdout
    assert run_cli("--ledger", ledger_path, "audit", "verify").returncode == 0


def test_an_old_wal_never_meets_the_new_file(
    book: Ledger, ledger_path: Path, tmp_path: Path
) -> None:
    """A -wal that lies there without its file, or with a damaged one, goes aside."""
    book.backup(tmp_path / "b.db")
    book.allocate("c", 1)
    for suffix in ("", "-wal"):
        shutil.copyfile(f"{ledger_path}{suffix}", tmp_path / f"left.db{suffix}")
    (tmp_path / "left.db").unlink()
    made = restore(tmp_path / "left.db", [tmp_path / "b.db"], actor=ROOT)
    assert len(rows(tmp_path / "left.db")) == 4
    assert made.aside is not None
    assert os.path.getsize(f"{made.aside}/left.db-wal") > 0
    book.close()


def test_a_lost_tail_is_put_aside_as_it_is(
    book: Ledger, ledger_path: Path, tmp_path: Path, run_cli: RunCli
) -> None:
    """A ledger behind its note is evidence: its bytes lie aside; other sources fill the loss."""
    book.allocate("c", 1)
    lines = export(run_cli, ledger_path, tmp_path / "all.jsonl")
    book.close()
    with forging.opened(ledger_path) as connection:
        connection.execute("DROP TRIGGER events_delete")
        connection.execute("DELETE FROM events WHERE seq = 4")
    before = ledger_path.read_bytes()
    assert run_cli("--ledger", ledger_path, "allocate", "d", "1").returncode == 1
    made = restore(ledger_path, [ledger_path, lines], replace=True, actor=ROOT)
    assert (made.restored.seq, made.lost) == (4, None)
    assert Path(str(made.aside), ledger_path.name).read_bytes() == before
    assert run_cli("--ledger", ledger_path, "audit", "verify").returncode == 0


def test_several_sources(book: Ledger, ledger_path: Path, tmp_path: Path, run_cli: RunCli) -> None:
    """Each gives what it has; what does not prove itself is told and passed over."""
    book.backup(tmp_path / "b.db")
    book.allocate("c", 1)
    later = export(run_cli, ledger_path, tmp_path / "later.jsonl", "--after", "2")
    later.write_text(later.read_text() + "torn\n")
    done = run_cli("restore", later, tmp_path / "b.db", "-o", tmp_path / "n.db", "--json")
    told = json.loads(done.stdout)
    assert (told["restored"]["seq"], told["drained"], told["lost"]) == (4, 5, None)
    assert [(one["kind"], one["events"], one["skipped"]) for one in told["sources"]] == [
        ("export", 2, 1),
        ("ledger", 3, 0),
    ]
    nothing = run_cli("restore", later, "-o", tmp_path / "m.db")
    assert nothing.returncode == 65
    assert "event 1 is missing" in nothing.stderr
    assert not list(tmp_path.glob("m.db*"))
    book.close()


READING = """
import sys
from gpuledger.handle import Ledger
with Ledger(sys.argv[1]) as book:
    print(flush=True)
    while True:
        for piece in book.state().allocations():
            assert piece.task in ("a", "b")
        head = book.head().seq
        print(head if len(list(book.log.read(0, head))) == head else -1, flush=True)
"""


def test_beside_readers_that_never_pause(book: Ledger, ledger_path: Path, tmp_path: Path) -> None:
    """While one ledger replaces the other again and again, nobody sees anything between them."""
    book.backup(tmp_path / "b.db")
    book.close()
    words = [sys.executable, "-c", READING, str(ledger_path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdout is not None
        reader.stdout.readline()
        for _ in range(12):
            restore(ledger_path, [tmp_path / "b.db"], replace=True, actor=ROOT)
        assert reader.poll() is None
        reader.kill()
        assert {line.strip() for line in reader.stdout.read().splitlines()[:-1]} <= {"3", "4"}


@pytest.mark.parametrize("lost", [(3, 4), (1, 2)])
def test_a_ledger_with_a_gap(
    book: Ledger, ledger_path: Path, tmp_path: Path, lost: tuple[int, int]
) -> None:
    """It is backed up and restored with its hole; where another source fills it, it is whole."""
    for name in ("c", "d", "e"):
        book.allocate(name, 1)
    book.backup(tmp_path / "whole.db")
    punch(ledger_path, lost, book.ledger_id())
    left = rows(ledger_path)
    with Ledger(str(ledger_path), actor=ROOT) as torn:
        assert torn.backup(tmp_path / "b.db").problems == ()
    assert rows(tmp_path / "b.db") == left
    made = restore(tmp_path / "n.db", [tmp_path / "b.db"], actor=ROOT)
    assert rows(tmp_path / "n.db")[: len(left)] == left
    assert (made.ledger, made.restored.seq, made.problems) == (book.ledger_id(), 7, ())
    restore(ledger_path, [tmp_path / "b.db", tmp_path / "whole.db"], replace=True, actor=ROOT)
    assert [row.seq for row in rows(ledger_path)] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert book.verify().problems == ()
    book.close()


def test_mirrors_belong_to_the_ledger_in_its_place(
    book: Ledger, ledger_path: Path, tmp_path: Path
) -> None:
    """A ledger restored elsewhere gives up the mirrors; in its place it goes on with them."""
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    with Ledger(str(ledger_path), actor=ROOT) as root:
        root.mirror_add(str(mirror))
    restore(tmp_path / "n.db", [mirror], actor=ROOT)
    assert [row.kind for row in rows(tmp_path / "n.db")[4:]] == ["mirror.removed", "pool.drained"]
    restore(ledger_path, [mirror], replace=True, actor=ROOT)
    with Ledger(str(ledger_path), actor=ROOT) as root:
        root.resume((Placed("s0"), Placed("s1")))
    told = [event.hash for event in source_at(str(mirror)).events()]
    assert told == [row.hash for row in rows(ledger_path)]
    assert len(told) == 6
    book.close()


def test_another_ledger(book: Ledger, ledger_path: Path, tmp_path: Path) -> None:
    """Sources of two ledgers, or another's place, are refused; the place may be forced."""
    other = tmp_path / "other.db"
    ledger(other, pool(1)).close()
    before = ledger_path.read_bytes()
    for where, sources in ((tmp_path / "n.db", [ledger_path, other]), (ledger_path, [other])):
        with pytest.raises(OtherLedger) as told:
            restore(where, sources, replace=True, actor=ROOT)
        assert told.value.place == (where == ledger_path)
    with pytest.raises(ReasonNeeded):
        restore(ledger_path, [other], replace=True, force=True, actor=ROOT)
    with pytest.raises(LedgerExists):
        restore(ledger_path, [other], actor=ROOT)
    (tmp_path / "empty.jsonl").write_text("{}\n")
    with pytest.raises(NoHistory):
        restore(tmp_path / "n.db", [tmp_path / "empty.jsonl"], actor=ROOT)
    assert ledger_path.read_bytes() == before
    assert aside(ledger_path) == []
    restore(ledger_path, [other], replace=True, force=True, reason="meant", actor=ROOT)
    assert book.ledger_id() == Ledger(str(other)).ledger_id()
    book.close()


def test_behind_a_checkpoint(
    book: Ledger, ledger_path: Path, tmp_path: Path, run_cli: RunCli
) -> None:
    """What is shorter than a checkpoint, or another past, is refused, unless it is said why."""
    key = tmp_path / "key"
    run_cli("keys", "new", "--key-file", key)
    asked = ("restore", "b.db", "--replace", "--against", "point", "--key-file", key)
    for named in ("point", "later"):
        told = run_cli("--ledger", ledger_path, "audit", "checkpoint", "--key-file", key).stdout
        (tmp_path / named).write_text(told)
        if named == "point":
            book.backup(tmp_path / "b.db")
            book.allocate("c", 1)
    other = tmp_path / "other"
    run_cli("keys", "new", "--key-file", other)
    before = ledger_path.read_bytes()
    for words, sentence in (
        (("--against", "later"), "the checkpoint has 4 events"),
        (("--key-file", other), "not signed by that key"),
    ):
        done = run_cli("--ledger", ledger_path, *asked, *words)
        assert done.returncode == 5
        assert sentence in done.stderr
    assert ledger_path.read_bytes() == before
    assert aside(ledger_path) == []
    assert run_cli("--ledger", ledger_path, *asked).returncode == 0
    again = run_cli("--ledger", ledger_path, *asked[:3], "--against", "later", *asked[5:])
    assert again.returncode == 5
    assert "the checkpoint has 4 events" in again.stderr
    forced = (*asked, "--against", "later", "--force", "--reason", "no other copy", "--json")
    told = json.loads(run_cli("--ledger", ledger_path, *forced).stdout)
    assert [one["problem"] for one in told["behind"]] == ["truncated"]
    assert told["problems"] == []
    book.close()


def test_what_is_to_be_said(ledger_path: Path, run_cli: RunCli) -> None:
    """Where it goes to must be said, and once; a source must be there."""
    for words in ((), ("-o", "x", "--replace")):
        assert run_cli("restore", ledger_path, *words).returncode == 2
    done = run_cli("restore", ledger_path, "-o", "x")
    assert done.returncode == 2
    assert "SOURCE cannot be" in done.stderr


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes a call of `os` fail, as a disk does."""

    def refuse(call: str) -> None:
        def refused(*_args: object, **_more: object) -> object:
            raise OSError(errno.EIO, "Input/output error")

        monkeypatch.setattr(os, call, refused)

    return refuse


def test_a_place_that_cannot_be_taken(
    book: Ledger, ledger_path: Path, tmp_path: Path, refusing: Callable[[str], None]
) -> None:
    """Where the last step fails the old ledger stays, with its note, and goes on."""
    book.backup(tmp_path / "b.db")
    book.allocate("c", 1)
    noted = read_note(f"{ledger_path}.lock")
    refusing("replace")
    with pytest.raises(StorageFailed):
        restore(ledger_path, [tmp_path / "b.db"], replace=True, actor=ROOT)
    assert read_note(f"{ledger_path}.lock") == noted
    assert aside(ledger_path) == []
    assert book.allocate("d", 1).id == 5
    assert book.verify().problems == ()
    book.close()


def test_where_there_are_no_hard_links(
    book: Ledger, ledger_path: Path, tmp_path: Path, refusing: Callable[[str], None]
) -> None:
    """The old file is moved aside instead, and the new one takes its place all the same."""
    book.backup(tmp_path / "b.db")
    refusing("link")
    made = restore(ledger_path, [tmp_path / "b.db"], replace=True, actor=ROOT)
    assert len(rows(Path(str(made.aside), ledger_path.name))) == 3
    assert len(rows(ledger_path)) == 4
    book.close()
