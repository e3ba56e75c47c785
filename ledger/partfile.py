"""A file on its way: written under another name, and given its own only when it is whole.

Whoever writes one holds it locked, so what a killed process left is known, and cleared away.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Generator

from .errors import LedgerExists
from .folder import sync
from .format import LOCK_SUFFIX
from .staging import clear
from .waiter import native

SUFFIX = ".part"


class Part:
    """A file on its way to `file`; `path` is where it is written."""

    def __init__(self, file: str, *, over: bool) -> None:
        self.file = file
        self.path = f"{file}.{secrets.token_hex(4)}{SUFFIX}"
        self._over = over

    def put(self) -> None:
        """Give it its name, synced. Raises LedgerExists where something has it, unless `over`."""
        refuse(self.file, over=self._over)
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
def part_of(file: str, *, over: bool) -> Generator[Part, None, None]:
    """Yield the part of `file`; what is left of it behind the block is removed.

    Raises LedgerExists where something lies there: a backup unless `over`, a ledger always.
    """
    refuse(file, over=over)
    _sweep(file)
    part = Part(file, over=over)
    try:
        yield part
    finally:
        with contextlib.suppress(OSError):
            clear(part.path)


def refuse(file: str, *, over: bool) -> None:
    """Raise LedgerExists where `file` may not be written; a lock file beside it is a ledger's."""
    if os.path.lexists(file) and os.path.lexists(file + LOCK_SUFFIX):
        raise LedgerExists(file, "new")
    if os.path.lexists(file) and not over:
        raise LedgerExists(file, "file")


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
