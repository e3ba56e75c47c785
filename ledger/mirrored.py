"""What is told of a mirror: how far it goes, and what keeps it from going on."""

from __future__ import annotations

import errno

import msgspec

_TROUBLES = {
    errno.ENOSPC: "full",
    errno.EDQUOT: "full",
    errno.EROFS: "read_only",
    errno.EACCES: "not_permitted",
    errno.EPERM: "not_permitted",
    errno.ENOENT: "gone",
    errno.ENOTDIR: "gone",
    errno.ENODEV: "gone",
    errno.ESTALE: "gone",
    errno.ENOTCONN: "gone",
}


class Mirrored(msgspec.Struct, frozen=True):
    """Where a mirror stands: it holds the events up to `seq`, 0 where none or that is not known.

    `trouble` is None where it holds all, else `behind` (by so many seqs), `gone`, `full`,
    `read_only`, `not_permitted`, `failed` (`why` is what the system says) or `diverged` (`why`
    says how). `sealed` counts its sealed segments, where that was asked for.
    """

    directory: str
    seq: int = 0
    trouble: str | None = None
    why: str = ""
    behind: int = 0
    sealed: int = 0


class Diverged(Exception):
    """What lies in a mirror is not what the log holds."""


def troubled(directory: str, error: Exception, seq: int, behind: int) -> Mirrored:
    """What `error` means for the mirror in `directory`, which holds the events up to `seq`."""
    if isinstance(error, Diverged):
        return Mirrored(directory, seq, "diverged", str(error), behind)
    if isinstance(error, OSError):
        trouble = _TROUBLES.get(error.errno or 0, "failed")
        told = behind if seq else 0  # how far a disk goes that is gone, nobody knows
        return Mirrored(directory, seq, trouble, error.strerror or str(error), told)
    return Mirrored(directory, seq, "failed", str(error), behind)
