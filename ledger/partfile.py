"""A file on its way: written under another name, and given its own only when it is whole.

Whoever writes one holds it locked, so what a killed process left is known, and cleared away.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Generator

from .errors import LedgerExists
from .folder import sync
from .format import APPLICATION_ID, LOCK_SUFFIX
from .neighbour import is_of, refuse_neighbour
from .staging import clear
from .waiter import native

SUFFIX = ".part"

_SQLITE, _ID_AT = b"SQLite format 3\0", 68


class Part:
    """A file on its way to `file`; `path` is where it is written."""

    def __init__(self, file: str, ledger: str, *, over: bool) -> None:
        self.file = file
        self._ledger = ledger
        self.path = f"{file}.{secrets.token_hex(4)}{SUFFIX}"
        self._over = over

    def put(self) -> None:
        """Give it its name, synced. Raises LedgerExists where something has it, unless `over`."""
        _refuse(self.file, self._ledger, over=self._over)
        if self._over:
            os.replace(self.path, self.file)
        else:
            self._link()
        sync(os.path.dirname(self.file))

    def _link(self) -> None:
        try:
            os.link(self.path, self.file)
        except FileExistsError:
            raise LedgerExists(self.file, "file") from None
        except (OSError, AttributeError, NotImplementedError):
            os.rename(self.path, self.file)  # No hard links here.
        else:
            os.unlink(self.path)


@contextlib.contextmanager
def part_of(file: str, ledger: str, *, over: bool) -> Generator[Part, None, None]:
    """Yield the part of `file`, a backup of `ledger`; what is left of it behind the block is
    removed.

    Raises LedgerExists where something lies there: a backup unless `over`, anything else always.
    """
    _refuse(file, ledger, over=over)
    _sweep(file)
    part = Part(file, ledger, over=over)
    try:
        yield part
    finally:
        with contextlib.suppress(OSError):
            clear(part.path)


def _refuse(file: str, ledger: str, *, over: bool) -> None:
    """Raise LedgerExists where `file` may not be written; a lock file beside it is a ledger's."""
    refuse_neighbour(file)
    if not os.path.lexists(file):
        return
    if os.path.lexists(file + LOCK_SUFFIX) or is_of(file, ledger):
        raise LedgerExists(file, "new")
    if not _is_backup(file):
        raise LedgerExists(file, "other")
    if not over:
        raise LedgerExists(file, "file")


def _is_backup(file: str) -> bool:
    """Whether it is one by its first bytes, or an empty file, which holds nothing to lose."""
    if not stat.S_ISREG(os.stat(file).st_mode):
        return False
    with open(file, "rb") as opened:
        start = opened.read(_ID_AT + 4)
    ours = APPLICATION_ID.to_bytes(4, "big")
    return not start or (start.startswith(_SQLITE) and start[_ID_AT:] == ours)


def _sweep(file: str) -> None:
    """Remove what killed processes left on the way to the same file."""
    folder, name = os.path.split(file)
    for one in os.listdir(folder):
        if one.startswith(f"{name}.") and one.endswith(SUFFIX):
            with contextlib.suppress(OSError):
                _remove_unless_held(os.path.join(folder, one))


def _remove_unless_held(path: str) -> None:
    if os.name == "posix":
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            if not native()[0](fd):
                return
        finally:
            os.close(fd)
    clear(path)
