"""The descriptors of lock files: every one is known, so that a forked child can close them all.

What a child inherits is its parent's lock itself: kept open, it would hold the ledger
after the parent was killed.
"""

from __future__ import annotations

import contextlib
import os
import stat
import threading
import time

from .errors import NotPermitted, StorageFailed

_guard = threading.RLock()
_open: set[int] = set()
_process = [os.getpid()]

_FLAGS = (
    os.O_RDWR
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_NOINHERIT", 0)
)


def adopt(path: str, flags: int, mode: int) -> int:
    """Open `path` and remember the descriptor, with no fork in between."""
    with _guard:
        fd = os.open(path, flags, mode)
        _open.add(fd)
    return fd


def drop(fd: int) -> None:
    """Close a descriptor that `adopt` opened, unless a fork already did."""
    with _guard:
        if fd in _open:
            _open.discard(fd)
            os.close(fd)


def open_lock_file(path: str, model: str) -> int:
    """Open the lock file at `path`, made with the group and modes of the ledger `model`.

    Whoever may read a lock file can hold it, so it is never readable for the world,
    even where the ledger is.
    """
    for attempt in range(50):
        try:
            return _regular(path, adopt(path, _FLAGS, 0))
        except FileNotFoundError:
            with contextlib.suppress(FileExistsError):
                return _make(path, model)
        except PermissionError as error:
            # Another member of the group may be between making it and opening it up.
            if attempt >= 4 or not _is_new(path):
                raise NotPermitted(model, "write", group_of(model)) from error
            time.sleep(0.005)
        except OSError as error:
            raise StorageFailed(path, error.strerror or str(error)) from error
    raise StorageFailed(path, "the lock file comes and goes")


def _regular(path: str, fd: int) -> int:
    """The descriptor, unless it is that of a FIFO or a device: raises StorageFailed."""
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    drop(fd)
    raise StorageFailed(path, "the lock file is not a regular file")


def group_of(path: str) -> str | None:
    """Return the name of the group that shares `path`; None where no group does."""
    try:
        import grp

        try:
            found = os.stat(path)
        except PermissionError:  # Closed already by its folder, which names the group as well.
            found = os.stat(os.path.dirname(path))
        if found.st_mode & (stat.S_IRGRP | stat.S_IWGRP):
            return grp.getgrgid(found.st_gid).gr_name
    except (ImportError, KeyError, OSError):
        pass
    return None


def lock_mode(model_mode: int) -> int:
    """Return the lock file's mode for a ledger of mode `model_mode`."""
    return 0o660 if model_mode & stat.S_IWGRP else 0o600


def _make(path: str, model: str) -> int:
    try:
        found = os.stat(model)
    except FileNotFoundError:
        found = None
    try:
        fd = adopt(path, _FLAGS | os.O_CREAT | os.O_EXCL, 0o600)
    except PermissionError as error:
        raise NotPermitted(model, "write", group_of(model)) from error
    if found is not None:
        give(fd, lock_mode(found.st_mode), found.st_gid, uid=found.st_uid)
    return fd


def give(fd: int, mode: int, gid: int | None, *, uid: int = -1) -> None:
    """Set the mode of the open file `fd` and, where permitted, its group and owner.

    Root gives what it makes to the ledger's owner, who would be locked out otherwise.
    """
    if hasattr(os, "fchown"):
        if gid is not None and os.fstat(fd).st_gid != gid:
            with contextlib.suppress(PermissionError):
                os.fchown(fd, -1, gid)
        if uid != -1 and os.fstat(fd).st_uid != uid:
            with contextlib.suppress(PermissionError):
                os.fchown(fd, uid, -1)
    if hasattr(os, "fchmod"):
        os.fchmod(fd, mode)


def _is_new(path: str) -> bool:
    try:
        found = os.stat(path)
    except OSError:
        return True
    return found.st_size == 0 and time.time() - found.st_mtime < 5


def forget_inherited() -> None:
    """In a child just forked, close what is the parent's; elsewhere nothing."""
    if _process[0] == os.getpid():
        return
    for fd in _open:
        with contextlib.suppress(OSError):
            os.close(fd)
    _open.clear()
    _process[0] = os.getpid()


def _after_fork() -> None:
    forget_inherited()
    _guard.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_guard.acquire, after_in_parent=_guard.release, after_in_child=_after_fork
    )
