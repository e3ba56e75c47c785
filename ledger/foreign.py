"""Reading a file that somebody hands us: a backup, a copy, a damaged or a hostile one.

Nothing is written to it or made beside it, wherever it lies: it is read as it lies still, or a
private copy of it with its -wal, and live only where other processes have it open. Nothing of
it is run: the table of the events must be the very one that we make, since a view or a virtual
table of that name would be somebody's program.
"""

from __future__ import annotations

import os
import sqlite3
import stat

from .connection import Place, identify, place_of
from .descriptors import group_of
from .errors import LedgerMissing, NotALedger, NotPermitted
from .format import EVENTS_TABLE
from .reader import Reader


class ForeignReader(Reader):
    """Reads the events of the file at `path`, and trusts nothing else in it."""

    def _named(self) -> Place:
        """Which file the path names; one without a -wal may have other names, as in a store of
        backups that links what did not change.
        """
        try:
            found = os.stat(self.path)
        except FileNotFoundError:
            raise LedgerMissing(self.path) from None
        except OSError:
            return place_of(self.path)
        alone = not os.path.exists(self.path + "-wal")
        if stat.S_ISREG(found.st_mode) and found.st_size and alone:
            return found.st_dev, found.st_ino
        return place_of(self.path)

    def _open(self) -> sqlite3.Connection:
        if os.path.exists(self.path + "-shm") and os.path.exists(self.path + "-wal"):
            return super()._open()
        self._place = self._named()
        if not os.access(self.path, os.R_OK):
            raise NotPermitted(self.path, "read", group_of(self.path))
        self._connection = self._open_still()
        return self._connection

    def _recognise(self, connection: sqlite3.Connection) -> None:
        identify(connection, self.path)
        rows = connection.execute("SELECT type, sql FROM sqlite_schema WHERE name = 'events'")
        if rows.fetchall() != [("table", EVENTS_TABLE)]:
            raise NotALedger(self.path, "its table of events is not gpuledger's")

    def _failed(self) -> None:
        """Stay open: a damaged file fails at each of its torn places, and lies still all the same,
        which every reading compares.
        """
