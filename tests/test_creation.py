"""Making a ledger: wholly or not at all, over nothing, with the modes that were asked for."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from sqlite_utils import Database, Migrations

from gpuledger.ledger import note
from gpuledger.ledger.creation import create
from gpuledger.ledger.errors import (
    LedgerExists,
    NoSuchGroup,
    NotALedger,
    StorageFailed,
    UnsuitableFolder,
)
from gpuledger.ledger.schema import remake
from gpuledger.ledger.sqlite_log import SqliteLog
from plain_log import a_log, first, tell

pytestmark = pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")

STORE = Migrations("store")


@STORE()
def numbers(db: Database) -> None:
    """A store's table."""
    db.execute("CREATE TABLE IF NOT EXISTS numbers (x INTEGER) STRICT")


def mode(path: Path) -> int:
    """The permission bits of a file or folder."""
    return stat.S_IMODE(path.stat().st_mode)


def gid_of_a_group() -> tuple[str, int]:
    """A group of this machine that the tests may give files to: root's may be any."""
    import grp

    gid = 12 if os.geteuid() == 0 else os.getgid()
    return grp.getgrgid(gid).gr_name, gid


def test_what_is_made(tmp_path: Path) -> None:
    """One event, its note, a file without a -wal, and nothing else in the folder."""
    path = tmp_path / "new" / "ledger.db"
    event = create(str(path), first())
    assert event.seq == 1
    assert sorted(p.name for p in path.parent.iterdir()) == ["ledger.db", "ledger.db.lock"]
    found = note.read_note(f"{path}.lock")
    assert isinstance(found, note.Note)
    assert (found.seq, found.hash) == (1, event.hash)
    log = SqliteLog(str(path))
    assert list(log.read(0)) == [event]
    assert tell(log).seq == 2
    log.close()


def test_stores_tables_come_with_it(tmp_path: Path) -> None:
    """A store's migrations are applied with the ledger's, recorded, and can be made again."""
    path = tmp_path / "ledger.db"
    create(str(path), first(), store_migrations=[STORE])
    log = SqliteLog(str(path))
    with log.turn() as turn:
        turn.connection.execute("INSERT INTO numbers VALUES (1)")
        applied = turn.connection.execute("SELECT migration_set, name FROM _sqlite_migrations")
        assert applied.fetchall() == [
            ("ledger", "events"),
            ("ledger", "readable"),
            ("store", "numbers"),
        ]
    with log.turn() as turn:
        turn.connection.execute("DROP TABLE numbers")
    with pytest.raises(ZeroDivisionError), log.turn() as turn:  # noqa: PT012 (the point)
        remake(turn.connection, STORE)
        raise ZeroDivisionError
    with log.turn() as turn:
        tables = "SELECT count(*) FROM sqlite_schema WHERE name = 'numbers'"
        assert turn.connection.execute(tables).fetchone() == (0,)
        for _ in range(2):
            remake(turn.connection, STORE)
    with log.turn() as turn:
        assert turn.connection.execute("SELECT count(*) FROM numbers").fetchone() == (0,)
        sets = "SELECT count(*) FROM _sqlite_migrations WHERE migration_set = 'store'"
        assert turn.connection.execute(sets).fetchone() == (1,)
    log.close()


def test_a_personal_ledger_is_its_makers(tmp_path: Path) -> None:
    """Whatever the umask: folder 0700, file and lock 0600; an existing folder keeps its mode."""
    before = os.umask(0)
    try:
        a_log(tmp_path / "new" / "ledger.db").close()
        (tmp_path / "old").mkdir(mode=0o755)
        a_log(tmp_path / "old" / "ledger.db").close()
    finally:
        os.umask(before)
    assert mode(tmp_path / "new") == 0o700
    assert mode(tmp_path / "old") == 0o755
    for folder in ("new", "old"):
        assert mode(tmp_path / folder / "ledger.db") == 0o600
        assert mode(tmp_path / folder / "ledger.db.lock") == 0o600


@pytest.mark.parametrize(
    ("public", "modes"), [(False, (0o2770, 0o660, 0o660)), (True, (0o2775, 0o664, 0o660))]
)
def test_a_groups_ledger_is_the_groups(
    tmp_path: Path, public: bool, modes: tuple[int, int, int]
) -> None:
    """Under the strictest umask the group gets all of it; the world at most reads the ledger."""
    group, gid = gid_of_a_group()
    folder = tmp_path / "shared"
    before = os.umask(0o077)
    try:
        create(str(folder / "ledger.db"), first(), group=group, public=public)
    finally:
        os.umask(before)
    made = (folder, folder / "ledger.db", folder / "ledger.db.lock")
    assert tuple(map(mode, made)) == modes
    assert {path.stat().st_gid for path in made} == {gid}


def test_a_folder_in_use_is_not_given_away(tmp_path: Path) -> None:
    """An empty folder is shared; one that holds something else and is not shared is refused."""
    group, gid = gid_of_a_group()
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "diary.txt").touch()
    with pytest.raises(UnsuitableFolder):
        create(str(tmp_path / "used" / "ledger.db"), first(), group=group)
    assert [p.name for p in (tmp_path / "used").iterdir()] == ["diary.txt"]
    (tmp_path / "empty").mkdir(mode=0o700)
    create(str(tmp_path / "empty" / "ledger.db"), first(), group=group)
    assert mode(tmp_path / "empty") == 0o2770
    create(str(tmp_path / "empty" / "second.db"), first(), group=group)
    assert (tmp_path / "empty" / "second.db").stat().st_gid == gid


def test_an_unknown_group(tmp_path: Path) -> None:
    """A group that this machine does not know is an error before anything is made."""
    with pytest.raises(NoSuchGroup):
        create(str(tmp_path / "new" / "ledger.db"), first(), group="no-such-group")
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """A ledger, another file, a link and a folder stay as they are."""
    path = tmp_path / "ledger.db"
    a_log(path, 2).close()
    before = path.read_bytes()
    with pytest.raises(LedgerExists) as caught:
        create(str(path), first())
    assert caught.value.what == "ledger"
    assert path.read_bytes() == before
    (tmp_path / "text").write_text("mine")
    with pytest.raises(LedgerExists):
        create(str(tmp_path / "text"), first())
    assert (tmp_path / "text").read_text() == "mine"
    (tmp_path / "folder").mkdir()
    with pytest.raises(NotALedger):
        create(str(tmp_path / "folder"), first())


def test_a_ledger_that_is_gone_is_remembered(tmp_path: Path) -> None:
    """Where the lock file knows of a ledger, no new one is begun in its place."""
    path = tmp_path / "ledger.db"
    a_log(path, 2).close()
    path.unlink()
    with pytest.raises(LedgerExists) as caught:
        create(str(path), first())
    assert caught.value.what == "lock"
    assert not path.exists()


def test_leftovers_are_cleared(tmp_path: Path) -> None:
    """What a killed init left, an empty lock and a half built file, is no obstacle."""
    path = tmp_path / "ledger.db"
    (tmp_path / "ledger.db.lock").touch()
    (tmp_path / "ledger.db.new").write_bytes(b"half")
    (tmp_path / "ledger.db.new-journal").write_bytes(b"half")
    create(str(path), first())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ledger.db", "ledger.db.lock"]


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    """A file where a folder is needed is an error with its path."""
    (tmp_path / "file").touch()
    with pytest.raises((StorageFailed, NotALedger)):
        create(str(tmp_path / "file" / "ledger.db"), first())


KILLED = """
import os, signal, sys
from plain_log import first
from gpuledger.ledger.creation import create
steps = int(sys.argv[2])
def hook(event, args):
    global steps
    if any(str(arg).startswith(os.path.dirname(sys.argv[1])) for arg in args):
        steps -= 1
        if steps == 0:
            os.kill(os.getpid(), signal.SIGKILL)
import gpuledger.ledger.schema
sys.addaudithook(hook)
create(sys.argv[1], first())
"""


def test_killed_anywhere_there_is_a_ledger_or_none(tmp_path: Path) -> None:
    """Killed at each of its steps, init leaves a whole ledger or none, and can be run again."""
    outcomes = []
    for step in range(1, 60):
        path = tmp_path / str(step) / "ledger.db"
        ended = subprocess.run(
            [sys.executable, "-c", KILLED, str(path), str(step)],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
            check=False,
        )
        whole = path.exists()
        if whole:
            with pytest.raises(LedgerExists):
                create(str(path), first())
        else:
            create(str(path), first())
        log = SqliteLog(str(path))
        assert tell(log).seq == 2
        log.close()
        assert sorted(p.name for p in path.parent.iterdir()) == ["ledger.db", "ledger.db.lock"]
        outcomes.append((ended.returncode, whole))
        if ended.returncode == 0:
            break
    assert outcomes[-1] == (0, True)
    assert {code for code, _ in outcomes[:-1]} == {-9}
    assert {whole for _, whole in outcomes[:-1]} == {False, True}
