"""Who runs this command, by what the operating system vouches for.

On POSIX that is the kernel's uid, never `$USER`; on Windows the SID of the process.
Where neither can be had the login name counts, and the record is cooperative: its
identity begins with `name:`. `SUDO_UID` counts only where the process is root, since
anybody else could have set it.

Nothing POSIX-only is needed at import time. Groups are looked up only when somebody
asks for them, because that may mean a directory server.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import msgspec

from ..replay.actor import Actor

LARGEST_UID = (1 << 32) - 2
MOST_HOST = 253
_UNNAMED = "uid-"


def current(environ: Mapping[str, str] | None = None) -> Actor:
    """The actor of this process, its groups not looked up."""
    getuid = getattr(os, "getuid", None)
    if getuid is None:
        return _elsewhere()
    uid: int = getuid()
    sudo_uid, sudo_user = _behind_root(uid, os.environ if environ is None else environ)
    return Actor(user_name(uid), uid, host=host_name(), sudo_user=sudo_user, sudo_uid=sudo_uid)


def with_groups(actor: Actor) -> Actor:
    """The actor with the groups of this process and those that the machine lists for the user."""
    return msgspec.structs.replace(actor, gids=_process_groups() + _listed_groups(actor))


def named(user: str) -> Actor | None:
    """The user that a name means on this machine (`ada`, `uid-1234`), None where it knows none."""
    uid = _uid(user)
    if uid is not None:
        return Actor(user_name(uid), uid)
    if hasattr(os, "getuid"):
        return None
    from .windows import sid_of

    sid = sid_of(user)
    return Actor(user, sid=sid) if sid is not None else None


def user_identity(user: str) -> str | None:
    """The stable identity behind a user's name, None where this machine knows none."""
    found = named(user)
    return found.identity if found is not None else None


def group_gid(group: str) -> int | None:
    """The gid behind a group's name, None where this machine knows none."""
    try:
        import grp

        return grp.getgrnam(group).gr_gid
    except (ImportError, KeyError, ValueError):
        return None


def user_name(uid: int) -> str:
    """The name of a uid, or `uid-1234` where the machine has none for it."""
    try:
        import pwd

        name = pwd.getpwuid(uid).pw_name
    except (ImportError, KeyError, OverflowError):
        return f"{_UNNAMED}{uid}"
    return name if _plain(name) else f"{_UNNAMED}{uid}"


def host_name() -> str | None:
    """What this machine calls itself, None where it tells nothing printable."""
    uname = getattr(os, "uname", None)
    if uname is not None:
        name = str(uname().nodename)
    else:
        import socket

        name = socket.gethostname()
    return name if _plain(name) and len(name) <= MOST_HOST else None


def _behind_root(uid: int, environ: Mapping[str, str]) -> tuple[int | None, str | None]:
    """Who called sudo, where this process is root and sudo says so."""
    told = environ.get("SUDO_UID", "")
    if uid != 0 or not (told.isascii() and told.isdigit() and len(told) <= 10):
        return None, None
    sudo_uid = int(told)
    if sudo_uid > LARGEST_UID:
        return None, None
    name = user_name(sudo_uid)
    said = environ.get("SUDO_USER", "")
    return sudo_uid, said if name.startswith(_UNNAMED) and _plain(said) else name


def _uid(user: str) -> int | None:
    try:
        import pwd

        return pwd.getpwnam(user).pw_uid
    except ImportError:
        return None
    except (KeyError, ValueError):
        return _unnamed(user)


def _unnamed(user: str) -> int | None:
    """The uid that `uid-1234` means: how a user is shown for whom the machine has no name."""
    digits = user.removeprefix(_UNNAMED)
    plain = digits != user and digits.isascii() and digits.isdigit() and len(digits) <= 10
    return int(digits) if plain and int(digits) <= LARGEST_UID else None


def _process_groups() -> tuple[int, ...]:
    """The groups that the kernel gives this process."""
    getgroups = getattr(os, "getgroups", None)
    getgid = getattr(os, "getgid", None)
    if getgroups is None or getgid is None:
        return ()
    return tuple(sorted({*getgroups(), getgid()}))


def _listed_groups(actor: Actor) -> tuple[int, ...]:
    """Groups that the machine lists for the user beyond these, such as one joined since login."""
    listed = getattr(os, "getgrouplist", None)
    if listed is None or actor.uid is None:
        return ()
    try:
        import pwd

        entry = pwd.getpwuid(actor.uid)
    except (ImportError, KeyError):
        return ()
    have = set(_process_groups())
    return tuple(sorted(set(listed(entry.pw_name, entry.pw_gid)) - have))


def _elsewhere() -> Actor:
    """The actor on a platform without uids."""
    from .windows import own_sid

    sid = own_sid()
    if sid is not None:
        from .windows import own_name

        return Actor(own_name() or sid, sid=sid, host=host_name())
    import getpass

    try:
        user = getpass.getuser()
    except (OSError, ImportError, KeyError):
        user = "unknown"
    return Actor(user if _plain(user) else "unknown", host=host_name())


def _plain(text: str) -> bool:
    return bool(text) and text.isprintable()
