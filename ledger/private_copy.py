"""A private copy of a ledger and its -wal, for a reader who may not write beside them."""

from __future__ import annotations

import os
import weakref


class PrivateCopy:
    """`path` is the copy's, in a temporary folder that only this user may enter."""

    def __init__(self, original: str) -> None:
        import shutil
        import tempfile

        folder = tempfile.mkdtemp(prefix="gpuledger-")
        self.remove = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        self.path = os.path.join(folder, "ledger.db")
        for suffix in ("", "-wal"):
            shutil.copyfile(original + suffix, self.path + suffix)
