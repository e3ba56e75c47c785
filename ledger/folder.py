"""Who shares a ledger, as modes and groups: of its folder, its file and its lock file."""

from __future__ import annotations

import contextlib
import os
import stat

import msgspec

from .errors import NoSuchGroup, UnsuitableFolder


class Sharing(msgspec.Struct, frozen=True):
    """With whom a ledger is shared: `gid` and `group` are None where it is its maker's own."""

    group: str | None
    gid: int | None
    folder_mode: int
    file_mode: int

    @staticmethod
    def of(group: str | None, *, public: bool) -> Sharing:
        """Return how to share with `group`; raise NoSuchGroup where this machine has none such."""
        if group is None:
            if public:
                return Sharing(None, None, 0o755, 0o644)
            return Sharing(None, None, 0o700, 0o600)
        gid = _gid_of(group)
        if public:
            return Sharing(group, gid, 0o2775, 0o664)
        return Sharing(group, gid, 0o2770, 0o660)


def prepare(folder: str, sharing: Sharing) -> None:
    """Make `folder` where it is missing, and see that it is shared as it should be.

    A folder that is there is left as it is for a personal ledger. For a group it must be
    shared with that group already, or be empty and ours to change.
    """
    made = not os.path.isdir(folder)
    if made:
        above = os.path.dirname(folder)
        os.makedirs(above, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.mkdir(folder, 0o700)
        sync(above)
    if sharing.gid is None:
        if made and sharing.folder_mode != 0o700:
            os.chmod(folder, sharing.folder_mode)
        return
    if made or not _is_shared(folder, sharing.gid):
        _share(folder, sharing)


def sync(folder: str) -> None:
    """Sync the entries of `folder` to disk, where the platform can."""
    if os.name == "nt":
        return
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _gid_of(group: str) -> int:
    try:
        import grp

        return grp.getgrnam(group).gr_gid
    except (ImportError, KeyError):
        raise NoSuchGroup(group) from None


def _is_shared(folder: str, gid: int) -> bool:
    found = os.stat(folder)
    wanted = stat.S_ISGID | stat.S_IRWXG
    return found.st_gid == gid and found.st_mode & wanted == wanted


def _share(folder: str, sharing: Sharing) -> None:
    """Give an empty folder of ours to the group, and see that the system really did."""
    assert sharing.group is not None
    assert sharing.gid is not None
    if os.listdir(folder):
        raise UnsuitableFolder(folder, sharing.group)
    os.chown(folder, -1, sharing.gid)
    os.chmod(folder, sharing.folder_mode)
    if not _is_shared(folder, sharing.gid):
        raise UnsuitableFolder(folder, sharing.group)
