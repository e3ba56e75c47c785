"""Who this process is, for the message that names a lock's holder; nothing is decided by it."""

from __future__ import annotations

import os
from functools import cache


@cache
def host_name() -> str:
    """Return the name this machine gives itself, the empty text where it has none."""
    if hasattr(os, "uname"):
        return os.uname().nodename
    return os.environ.get("COMPUTERNAME", "")


@cache
def user_name() -> str:
    """Return the name of the effective user, or its number where it has no name."""
    if not hasattr(os, "geteuid"):
        return os.environ.get("USERNAME", "")
    uid = os.geteuid()
    try:
        import pwd

        return pwd.getpwuid(uid).pw_name
    except (ImportError, KeyError):
        return f"uid {uid}"
