"""Opening a ledger: by its writer, under the lock, and by a reader, who never needs it.

Before anything is changed the file is known to be a ledger; what the pragmas answer is
read back, since a failed switch to WAL shows only there.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
from urllib.parse import quote

from .descriptors import group_of
from .errors import Damaged, LedgerMissing, NewerFormat, NotALedger, NotPermitted, StorageFailed
from .failure import BUSY_S, from_system, translated
from .format import APPLICATION_ID, FORMAT, NEW_SUFFIX, TRIGGERS
from .schema_row import foreign_in, rows_of

__all__ = ["Place", "check_schema", "distrust", "identify", "open_writer", "place_of"]

ASIDE = ".aside-"
"""What names the folder beside a ledger that another one has replaced, before the time."""

Place = tuple[int, int]
"""Which file a path names: device and inode."""

_SAFE = (
    "PRAGMA trusted_schema=OFF",
    "PRAGMA cell_size_check=ON",
    "PRAGMA mmap_size=0",
)


def place_of(path: str) -> Place:
    """Return which file `path` names; raise where it can be no ledger."""
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        raise LedgerMissing(path) from None
    except OSError as error:
        raise from_system(error, path) from error
    if stat.S_ISDIR(found.st_mode):
        raise NotALedger(path, "a folder")
    if not stat.S_ISREG(found.st_mode):
        raise NotALedger(path, "not a regular file")
    if found.st_size == 0:
        raise NotALedger(path, "an empty file")
    if found.st_nlink > 1 and not _being_made(path, found):
        raise NotALedger(path, "a file with a second name (a hard link)")
    return found.st_dev, found.st_ino


def _being_made(path: str, found: os.stat_result) -> bool:
    """Whether the second name is the one that an interrupted `init` or `restore` left.

    Lock, -wal and note are named after the path: through two names two writers would not see
    each other.
    """
    return any(_is_same(found, second) for second in _second_names(path))


def _drop_second_names(path: str) -> None:
    """Remove the names that an interrupted `init` or `restore` left; the lock must be held."""
    found = os.stat(path)
    if found.st_nlink > 1:
        for second in _second_names(path):
            if _is_same(found, second):
                with contextlib.suppress(OSError):
                    os.unlink(second)


def _second_names(path: str) -> list[str]:
    folder, name = os.path.split(path)
    asides = (one for one in _names(folder) if one.startswith(name + ASIDE))
    return [path + NEW_SUFFIX, *(os.path.join(folder, one, name) for one in asides)]


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder or ".")
    except OSError:
        return []


def _is_same(found: os.stat_result, second: str) -> bool:
    try:
        return os.path.samestat(found, os.stat(second))
    except OSError:
        return False


def open_writer(path: str) -> sqlite3.Connection:
    """Open the ledger at `path` for writing; the file lock must be held.

    No transaction is open on return; every one is begun and ended by name.
    """
    place_of(path)
    if not os.access(path, os.W_OK):
        raise NotPermitted(path, "write", group_of(path))
    _drop_second_names(path)
    with translated(path, "write"):
        connection = connect(path, "mode=rw")
        try:
            identify(connection, path)
            check_schema(connection, path)
            _durable(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


def check_foreign(path: str) -> None:
    """Raise NotALedger, NewerFormat where the file at `path` is somebody else's.

    It is read as it lies there, without a lock and with nothing made beside it.
    """
    with translated(path, "read"), contextlib.closing(connect(path, "mode=ro&immutable=1")) as conn:
        identify(conn, path)


def connect(path: str, how: str) -> sqlite3.Connection:
    """Connect by URI with the parameters `how` and the pragmas that distrust the file."""
    connection = sqlite3.connect(
        f"file:{quote(os.fsencode(uri_path(path)))}?{how}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=BUSY_S,
    )
    for pragma in _SAFE:
        connection.execute(pragma)
    return connection


def distrust(connection: sqlite3.Connection) -> None:
    """Let nothing run of a file that brings views or triggers along; our view, for people, is
    never read.

    Only then does Python stand between SQLite and each statement: a Ctrl-C that strikes in
    there is lost, and reads as a refusal.
    """
    rows = rows_of(connection)
    if any(row.runs or (row.made == "view" and not row.unread) for row in rows):
        connection.set_authorizer(_authorize)


def _authorize(
    _action: int, _one: str | None, _other: str | None, _of: str | None, within: str | None
) -> int:
    """Let nothing run that a file brings along: no view, and of triggers only ours.

    SQLite asks for each part of a statement that it prepares, and tells the view or trigger
    that it comes from. Those of ours have the text that they should: see `check_schema`.
    """
    return sqlite3.SQLITE_OK if within is None or within in TRIGGERS else sqlite3.SQLITE_DENY


def uri_path(path: str) -> str:
    """Return `path` as SQLite wants it in a URI: absolute, with forward slashes."""
    whole = os.path.abspath(path)
    if os.sep == "\\":
        whole = "/" + whole.replace("\\", "/")
    return whole


def identify(connection: sqlite3.Connection, path: str) -> None:
    """Raise NotALedger or NewerFormat unless the open file is a ledger that we can read."""
    (ours,) = connection.execute("PRAGMA application_id").fetchone()
    if ours != APPLICATION_ID:
        raise NotALedger(path, "another program's database")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > FORMAT:
        raise NewerFormat(path, version, FORMAT)
    if version < 1:
        raise NotALedger(path, f"a ledger of format {version}, which never was")
    distrust(connection)


def check_schema(connection: sqlite3.Connection, path: str) -> None:
    """Raise Damaged where something of somebody else's would run inside our transaction."""
    rows = rows_of(connection)
    for row in foreign_in(connection, rows):
        raise Damaged(path, f"a {row.kind_told} that is not gpuledger's: {row.name}")


def _durable(connection: sqlite3.Connection, path: str) -> None:
    """Ask for the write-ahead log, synced at each commit, and read back that it is so."""
    mode = connection.execute("PRAGMA journal_mode=WAL").fetchall()
    connection.execute("PRAGMA synchronous=FULL").fetchall()
    level = connection.execute("PRAGMA synchronous").fetchall()
    if mode != [("wal",)] or level != [(2,)]:
        raise StorageFailed(path, f"no durable journal: {mode!r}, {level!r}")
