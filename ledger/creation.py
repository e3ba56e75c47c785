"""Making a ledger: wholly, or not at all, and never over an existing file.

Under the lock the database is built beside its place under another name, synced, and
linked into place, which fails where something lies there. Killed on the way, it leaves a
file that the next `init` clears away.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from . import note
from .chain import seal
from .descriptors import give, lock_mode
from .errors import LedgerExists, NotALedger, NotPermitted
from .event import START, Draft, Event
from .failure import making
from .filesystem import refuse_network
from .folder import Sharing, prepare, sync
from .format import LOCK_SUFFIX, NEW_SUFFIX
from .lock import LedgerLock
from .neighbour import refuse_neighbour
from .staging import Ownership, staged
from .witness import id_in

if TYPE_CHECKING:
    from sqlite_utils import Migrations

_TIMEOUT_S = 10.0


def create(
    path: str,
    first: Draft,
    *,
    store_migrations: Sequence[Migrations] = (),
    group: str | None = None,
    public: bool = False,
) -> Event:
    """Make the ledger at `path` with `first` as its event 1; raise LedgerExists where one lies.

    `group` shares it with a group of this machine; `public` lets everybody else read it.
    Without either it is its maker's own.
    """
    path = os.path.realpath(path)
    ledger = id_in(first.data)
    event = seal(first, START)
    sharing = Sharing.of(group, public=public)
    with making(path, group):
        _refuse_existing(path)
        refuse_network(path)
        prepare(os.path.dirname(path), sharing)
        lock = LedgerLock(path + LOCK_SUFFIX, path)
        fd = lock.acquire(_TIMEOUT_S)
        noted = None
        try:
            _refuse_remembered(path, fd)
            give(fd, lock_mode(sharing.file_mode), sharing.gid)
            _build(path, event, store_migrations, sharing)
            noted = note.encode_note(note.Note(ledger, 1, event.hash))
        finally:
            lock.release(noted)
            lock.close()
    return event


def _refuse_existing(path: str) -> None:
    """Raise where something lies at `path`; clear away what an init killed at its end left."""
    refuse_neighbour(path)
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return
    except PermissionError as error:
        raise NotPermitted(path, "create") from error
    with contextlib.suppress(OSError):
        if os.path.samestat(found, os.lstat(path + NEW_SUFFIX)):
            os.unlink(path + NEW_SUFFIX)
    if os.path.isdir(path):
        raise NotALedger(path, "a folder")
    raise LedgerExists(path, "ledger")


def _refuse_remembered(path: str, fd: int) -> None:
    """Raise where the lock file knows of a ledger that is gone, or one came in the meantime."""
    _refuse_existing(path)
    if note.decode_note(note.read_at(fd, note.NOTE_SIZE, note.NOTE_AT)) is not None:
        raise LedgerExists(path, "lock")


def _build(path: str, event: Event, stores: Sequence[Migrations], sharing: Sharing) -> None:
    """Make the database beside `path` and put it in place, all of it synced."""
    new = path + NEW_SUFFIX
    like = Ownership(sharing.file_mode, sharing.gid)
    try:
        with staged(new, (event,), stores, like, wal=True):
            pass
        _place(new, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(new)
    sync(os.path.dirname(path))


def _place(new: str, path: str) -> None:
    """Give the file at `new` the name `path`, unless something has it."""
    try:
        try:
            os.link(new, path)
        except FileExistsError:
            raise
        except (OSError, AttributeError, NotImplementedError):
            # No hard links here (FAT, Windows shares): the lock keeps other inits away.
            if os.path.lexists(path):
                raise FileExistsError(path) from None
            os.rename(new, path)
    except FileExistsError:
        raise LedgerExists(path, "ledger") from None
