"""The actor: who asks, as a stable identity that the kernel vouches for."""

from __future__ import annotations

import msgspec

from .facts import identity


class Actor(msgspec.Struct, frozen=True, gc=False):
    """Who runs this, as the machine knows it now.

    `uid` is the kernel's, `sid` Windows'; where both are None the name alone counts and
    the record is cooperative. `sudo_user` and `sudo_uid` name the caller behind root.
    `gids` are the groups that were looked up; empty until somebody needed them.
    """

    user: str
    uid: int | None = None
    sid: str | None = None
    host: str | None = None
    sudo_user: str | None = None
    sudo_uid: int | None = None
    gids: tuple[int, ...] = ()

    @property
    def identity(self) -> str:
        """`uid:1001`, `sid:S-1-5-…`, or `name:ada` where only a name is known."""
        return identity(self.user, self.uid, self.sid)
