"""Rights: who is an admin, and whose an allocation is."""

from __future__ import annotations

from .actor import Actor
from .facts import Admins, By
from .piece import AllocationPiece

ROOT = "uid:0"


def admin_by(admins: Admins, actor: Actor) -> str | None:
    """What makes the actor an admin (`uid:0`, `uid:1001`, `group:lab-admins`), or None.

    Root always is one: whoever is root can change the file anyway, and had better be recorded.
    """
    if actor.identity == ROOT or any(actor.identity == user.id for user in admins.users):
        return actor.identity
    named = (one.group for one in admins.groups if one.gid in actor.gids)
    return next((f"group:{group}" for group in named), None)


def owns(actor: Actor, piece: AllocationPiece) -> bool:
    """Whether the allocation is the actor's own, by stable identity."""
    return piece.owner == actor.identity


def by(actor: Actor, admin: str | None = None) -> By:
    """The actor as it is frozen into an event; `admin` where a right of that kind was used."""
    return By(actor.user, actor.uid, actor.sid, actor.host, actor.sudo_user, actor.sudo_uid, admin)
