"""Whether the paths of a ledger still name the files that are open, at the price of one stat.

While the folder's own entry is as it was, so is every name in it. Asking the folder and
not the file is worth a third of a grant: on a kernel with fine-grained timestamps, a stat
of the lock file makes the next write into it dirty its inode, and the commit waits for that.
"""

from __future__ import annotations

import os
import time

Stamp = tuple[int, int, int, int]

_TICK_NS = 50_000_000
"""Two changes within one tick of the kernel's clock may leave one timestamp; ticks are shorter."""


class Standing:
    """Remembers the folder's stamp of when its names were last checked."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._stamp: Stamp | None = None

    def unchanged(self) -> bool:
        """Say whether every name in the folder is as at the last check.

        Where not, the caller checks each after this call, so that no change falls between.
        """
        try:
            found = os.stat(self._folder)
        except OSError:
            self._stamp = None
            return False
        stamp = (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_ctime_ns)
        if stamp == self._stamp:
            return True
        age_ns = time.time_ns() - max(found.st_mtime_ns, found.st_ctime_ns)
        # A change of just now, or of the future, may be followed by another of the same stamp.
        settled = os.name == "posix" and age_ns > _TICK_NS
        self._stamp = stamp if settled else None
        return False

    def forget(self) -> None:
        """Check again next time."""
        self._stamp = None
