"""On which filesystem a path lies, and whether locks can be trusted there.

Linux tells in `/proc/self/mountinfo`, Windows by the drive's type; elsewhere the answer
is the empty text and nothing is refused.
"""

from __future__ import annotations

import os
import sys

from .errors import NetworkFilesystem

MOUNTINFO = "/proc/self/mountinfo"

NETWORK = frozenset(
    "9p acfs afs autofs beegfs ceph cifs coda davfs dfs gfs gfs2 glusterfs gpfs lustre mfs "
    "ncp ncpfs nfs nfs3 nfs4 nfsd ocfs2 orangefs panfs prl_fs pvfs2 smb smb2 smb3 smbfs unc vboxsf "
    "virtiofs vmhgfs weka wekafs windows-network".split()
)
"""Filesystems on which another machine may hold the same file: its locks are not ours."""

LOCAL_FUSE = frozenset(
    "fuse.bindfs fuse.cryfs fuse.encfs fuse.fuse-overlayfs fuse.gocryptfs fuse.mergerfs "
    "fuse.ntfs-3g fuse.securefs".split()
)
"""Of what user programs serve, only these are known to be local; the rest is refused."""


def refuse_network(path: str, *, mountinfo: str | None = None) -> None:
    """Raise NetworkFilesystem where `path`, or the folder it would lie in, is not local."""
    kind = kind_of(path, mountinfo=mountinfo)
    if is_network(kind):
        raise NetworkFilesystem(path, kind)


def is_network(kind: str) -> bool:
    """Say whether the filesystem type `kind` is one whose locks and shared memory may lie."""
    if kind in NETWORK:
        return True
    return (kind == "fuse" or kind.startswith("fuse.")) and kind not in LOCAL_FUSE


def kind_of(path: str, *, mountinfo: str | None = None) -> str:
    """Return the type of the filesystem that `path` lies on, the empty text where unknown."""
    if sys.platform == "win32":
        return _windows_kind(os.path.abspath(path))
    try:
        with open(mountinfo or MOUNTINFO, "rb") as file:
            table = file.read()
    except OSError:
        return ""
    return kind_in(table, os.path.realpath(path))


def kind_in(table: bytes, real_path: str) -> str:
    """Return the type of the mount that covers `real_path` in the text of a mountinfo file.

    The longest mount point wins, and of equal ones the last: it covers the others.
    """
    wanted = os.fsencode(real_path)
    best, kind = -1, b""
    for line in table.splitlines():
        before, _, after = line.partition(b" - ")
        fields = before.split(b" ", 5)
        if len(fields) < 5 or not after:
            continue
        point = _unescaped(fields[4])
        if len(point) >= best and _covers(point, wanted):
            best, kind = len(point), after.split(b" ", 1)[0]
    return os.fsdecode(kind)


def _covers(point: bytes, path: bytes) -> bool:
    return point in (b"/", path) or path.startswith(point + b"/")


def _unescaped(point: bytes) -> bytes:
    """Undo the octal escapes (space, tab, newline, backslash) that the kernel writes."""
    if b"\\" not in point:
        return point
    for code, char in ((b"\\040", b" "), (b"\\011", b"\t"), (b"\\012", b"\n"), (b"\\134", b"\\")):
        point = point.replace(code, char)
    return point


def _windows_kind(path: str) -> str:
    """Return `windows-network` for a share or a drive that is one, else the empty text."""
    if path.startswith("\\\\") and not path.startswith("\\\\?\\"):
        return "windows-network"
    import ctypes

    drive_type = getattr(ctypes, "windll").kernel32.GetDriveTypeW  # noqa: B009 (typed elsewhere as absent)
    return "windows-network" if drive_type(os.path.splitdrive(path)[0] + "\\") == 4 else ""
