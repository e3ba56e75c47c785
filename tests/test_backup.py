"""`backup`: a verified copy of all events, made while others write, and never over anything."""

from __future__ import annotations

import fcntl
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

import forging
from conftest import RunCli
from gpuledger.handle import Ledger
from gpuledger.ledger import row
from gpuledger.ledger.errors import LedgerExists, StorageFailed
from gpuledger.ledger.partfile import SUFFIX
from gpuledger.ledger.reader import Reader
from small_pools import ADA, ledger


@pytest.fixture
def file(ledger_path: Path, tmp_path: Path) -> Path:
    """Where a backup goes to, of a ledger with a few events."""
    with ledger(ledger_path, actor=ADA) as ada:
        ada.allocate("a", 1, key="k")
        ada.allocate("b", 2)
        ada.release("a")
    folder = tmp_path / "backups"
    folder.mkdir()
    return folder / "backup.db"


def test_a_backup_is_the_same_events(file: Path, ledger_path: Path, run_cli: RunCli) -> None:
    """Same rows, one file and nothing beside it, the ledger's mode; it is read like any ledger."""
    ledger_path.chmod(0o640)
    done = run_cli("--ledger", ledger_path, "backup", file)
    assert (done.returncode, done.stderr) == (0, "")
    head = forging.rows(ledger_path)[-1].hash.hex()[:16]
    assert done.stdout == f"{file} holds 4 events, verified\nhead 4:{head}\n"
    assert [one.name for one in file.parent.iterdir()] == [file.name]
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert forging.rows(file) == forging.rows(ledger_path)
    assert "b" in run_cli("--ledger", file, "list").stdout
    assert run_cli("--ledger", file, "audit", "verify").returncode == 0
    assert [one.name for one in file.parent.iterdir()] == [file.name]


def test_a_backup_can_be_written_to(file: Path, ledger_path: Path, run_cli: RunCli) -> None:
    """It has the triggers, the index and the snapshot of a ledger; a retry key is known in it."""
    run_cli("--ledger", ledger_path, "backup", file)
    again = run_cli("--ledger", file, "allocate", "c", "1")
    assert again.returncode == 0
    with pytest.raises(Exception, match="never deleted"), forging.opened(file) as connection:
        connection.execute("DELETE FROM events")
    assert run_cli("--ledger", file, "rebuild").stdout.splitlines()[2].startswith("matches     yes")


def test_never_over_a_file(file: Path, ledger_path: Path, run_cli: RunCli) -> None:
    """A backup stays, unless --overwrite is said; a ledger in use stays in any case."""
    file.touch()
    refused = run_cli("--ledger", ledger_path, "backup", file)
    assert refused.returncode == 5
    assert f"a file lies at {file} already" in refused.stderr
    assert file.read_bytes() == b""
    for _ in range(2):
        assert run_cli("--ledger", ledger_path, "backup", "--overwrite", file).returncode == 0
    before = ledger_path.read_bytes()
    for words in (("backup", ledger_path), ("backup", "--overwrite", ledger_path)):
        assert run_cli("--ledger", ledger_path, *words).returncode == 5
    assert ledger_path.read_bytes() == before
    assert [one.name for one in file.parent.iterdir()] == [file.name]


def test_only_a_backup_is_replaced(file: Path, ledger_path: Path, run_cli: RunCli) -> None:
    """What is no backup stays with --overwrite as well: another file, a pipe, a folder."""
    text, pipe, folder = (file.with_name(name) for name in ("notes.txt", "pipe", "folder"))
    text.write_text("mine")
    os.mkfifo(pipe)
    folder.mkdir()
    for place in (text, pipe, folder):
        refused = run_cli("--ledger", ledger_path, "backup", "--overwrite", place)
        assert (refused.returncode, refused.stdout) == (5, "")
        assert f"what lies at {place} is no backup" in refused.stderr
    assert text.read_text() == "mine"
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert len(list(file.parent.iterdir())) == 3


SUFFIXES = ("-wal", "-shm", "-journal", ".lock")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_ledgers_files_stay(file: Path, ledger_path: Path, run_cli: RunCli, suffix: str) -> None:
    """No command makes a file where one of a ledger's own lies, or would lie."""
    run_cli("--ledger", ledger_path, "backup", file)
    with Ledger(str(ledger_path), actor=ADA) as ada:
        ada.allocate("c", 1)
        before = forging.rows(ledger_path)
        held = sorted(os.listdir(ledger_path.parent))
        place = ledger_path.with_name(ledger_path.name + suffix)
        for words in (
            ("backup", "--overwrite", place),
            ("backup", place),
            ("restore", file, "-o", place),
            ("--ledger", place, "restore", file, "--replace"),
            ("salvage", file, "-o", place),
            ("--ledger", place, "init", "--servers", "1", "--gpus-per-server", "1"),
            ("keys", "new", "--key-file", place),
        ):
            refused = run_cli("--ledger", ledger_path, *words)
            assert (refused.returncode, refused.stdout) == (5, "")
            assert f"{place} is the name of a file that belongs to the one beside" in refused.stderr
        assert sorted(os.listdir(ledger_path.parent)) == held
    assert forging.rows(ledger_path) == before
    assert run_cli("--ledger", ledger_path, "audit", "verify").returncode == 0


def test_a_folder_has_no_neighbours(file: Path, ledger_path: Path, run_cli: RunCli) -> None:
    """A folder is no database: what is called like its -journal is nothing of the kind."""
    place = file.with_name("lab-journal")
    place.with_name("lab").mkdir()
    assert run_cli("--ledger", ledger_path, "backup", place).returncode == 0
    assert run_cli("--ledger", place, "restore", place, "--replace").returncode == 0


def test_another_name_of_the_ledger(file: Path, ledger_path: Path, run_cli: RunCli) -> None:
    """The ledger itself stays behind a second name, and where its lock file is gone."""
    os.link(ledger_path, file)
    assert run_cli("--ledger", ledger_path, "backup", "--overwrite", file).returncode != 0
    file.unlink()
    ledger_path.with_name(f"{ledger_path.name}.lock").unlink()
    before = ledger_path.stat().st_ino
    refused = run_cli("--ledger", ledger_path, "backup", "--overwrite", ledger_path)
    assert refused.returncode == 5
    assert ledger_path.stat().st_ino == before


WRITING = """
import sys
from gpuledger.handle import Ledger
book = Ledger(sys.argv[1])
while True:
    with book.allocate("w", 1):
        print(flush=True)
"""


def test_while_a_writer_goes_on(ledger_path: Path, tmp_path: Path) -> None:
    """Made beside a writer that never pauses, it is one moment of the log."""
    book = ledger(ledger_path)
    words = [sys.executable, "-c", WRITING, str(ledger_path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        for number in range(5):
            writer.stdout.readline()
            made = book.backup(tmp_path / f"{number}.db")
            assert made.problems == ()
            assert made.head.seq == made.events
        writer.kill()
    whole = forging.rows(ledger_path)
    for number in range(5):
        copied = forging.rows(tmp_path / f"{number}.db")
        assert copied == whole[: len(copied)]
    book.close()


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows each read transaction of the ledger took."""
    taken: list[int] = []
    read = Reader.read

    def counted(self: Reader, fn: Callable[..., object]) -> object:
        found = read(self, fn)
        if isinstance(found, list) and not self.path.endswith(SUFFIX):
            taken.append(len(found))
        return found

    monkeypatch.setattr(Reader, "read", counted)
    return taken


def test_no_long_read_transaction(file: Path, ledger_path: Path, spans: list[int]) -> None:
    """The log is read in runs, so that nobody's -wal grows meanwhile."""
    with ledger(ledger_path.with_name("long.db")) as book:
        for number in range(row.RUN // 2 + 10):
            book.allocate(f"t{number}", 1)
            book.release(f"t{number}")
        book.backup(file)
    assert max(spans) <= row.RUN
    assert sum(1 for count in spans if count) > 1


def test_a_damaged_ledger_is_not_backed_up(file: Path, ledger_path: Path, run_cli: RunCli) -> None:
    """Where the chain does not hold there is no backup, and it says what to look at."""
    with forging.opened(ledger_path) as connection:
        connection.execute("DROP TRIGGER events_update")
        connection.execute("UPDATE events SET data = replace(data, '\"b\"', '\"x\"') WHERE seq = 3")
    done = run_cli("--ledger", ledger_path, "backup", file)
    assert done.returncode == 1
    assert "event 3" in done.stderr
    assert list(file.parent.iterdir()) == []


def test_a_lost_tail_is_told(file: Path, ledger_path: Path, run_cli: RunCli) -> None:
    """What the lock file remembers and the log lacks is missing in the backup as well: exit 1."""
    with forging.opened(ledger_path) as connection:
        connection.execute("DROP TRIGGER events_delete")
        connection.execute("DELETE FROM events WHERE seq = 4")
        connection.execute("DELETE FROM snapshot")
    done = run_cli("--ledger", ledger_path, "backup", file, "--json")
    assert done.returncode == 1
    assert [one["problem"] for one in json.loads(done.stdout)["problems"]] == ["tail"]
    assert len(forging.rows(file)) == 3


def test_what_killed_processes_left(file: Path, ledger_path: Path, run_cli: RunCli) -> None:
    """Parts on the way to the same file are cleared away, unless somebody is at them."""
    left, busy = (file.with_name(f"{file.name}.{name}.part") for name in ("dead", "busy"))
    left.write_text("x")
    with busy.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert run_cli("--ledger", ledger_path, "backup", file).returncode == 0
    assert sorted(one.name for one in file.parent.iterdir()) == sorted([file.name, busy.name])


def test_where_nothing_can_be_written(file: Path, ledger_path: Path, run_cli: RunCli) -> None:
    """A folder that is not there, and one that is a file."""
    with closing(ledger(ledger_path.with_name("other.db"))) as book:
        for place in (file / "no" / "where.db", file.parent / "no" / "where.db"):
            with pytest.raises(StorageFailed):
                book.backup(place)
        book.backup(file)
        with pytest.raises(LedgerExists):
            book.backup(file)
    assert run_cli("--ledger", file.with_name("none.db"), "backup", "x").returncode == 78
    assert os.listdir(file.parent) == [file.name]
