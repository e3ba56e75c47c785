"""The foreground: which group of processes a terminal's keys and its reader's rights belong to.

The group of `run` gives it to the child's group and takes it back. It is given at once where
input and output are the terminal, and else when the child asks for it: in `run … | less` it is
the pager that wants the keys. POSIX only.
"""

from __future__ import annotations

import os
from contextlib import suppress


class Foreground:
    """The controlling terminal of this process, if it has one; its group lends it to another."""

    def __init__(self) -> None:
        self._terminal: int | None = None
        with suppress(OSError):
            self._terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        self._wanted = os.isatty(0) and os.isatty(1)

    def lend(self, group: int, *, asked: bool = False) -> bool:
        """Make `group` the foreground where it is ours to give, and wanted or `asked` for.

        True where that was done.
        """
        self._wanted |= asked
        if self._terminal is None or not self._wanted or self._holder() != os.getpgrp():
            return False
        return self._make(group)

    def take_back(self, group: int) -> bool:
        """Make our own group the foreground where it is `group`; True where that was done."""
        return self._holder() == group and self._make(os.getpgrp())

    def _holder(self) -> int | None:
        with suppress(OSError):  # A terminal that was hung up.
            return None if self._terminal is None else os.tcgetpgrp(self._terminal)
        return None

    def _make(self, group: int) -> bool:
        assert self._terminal is not None
        try:
            os.tcsetpgrp(self._terminal, group)
        except OSError:  # The group is gone, or the terminal.
            return False
        return True
