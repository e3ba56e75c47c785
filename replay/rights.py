"""Rights: who is an admin, whose an allocation or a request is, and who may end another's."""

from __future__ import annotations

from collections.abc import Sequence

from .actor import Actor
from .errors import ReasonNeeded
from .facts import Admins, AskedExtend, AskedRelease, By
from .fit import Held
from .piece import AllocationPiece, WaitingPiece
from .refusal import Refusal

ROOT = "uid:0"


def admin_by(admins: Admins, actor: Actor) -> str | None:
    """What makes the actor an admin (`uid:0`, `uid:1001`, `group:lab-admins`), or None.

    Root always is one: whoever is root can change the file anyway, and had better be recorded.
    """
    if actor.identity == ROOT or any(actor.identity == user.id for user in admins.users):
        return actor.identity
    named = (one.group for one in admins.groups if one.gid in actor.gids)
    return next((f"group:{group}" for group in named), None)


def owns(actor: Actor, piece: AllocationPiece | WaitingPiece) -> bool:
    """Whether the allocation or request is the actor's own, by stable identity."""
    return piece.owner == actor.identity


def right_to(
    act: str,
    found: Sequence[AllocationPiece] | Sequence[WaitingPiece],
    asked: AskedRelease | AskedExtend,
    admins: Admins,
    actor: Actor,
) -> str | Refusal | None:
    """What makes the actor an admin, where some of what is `found` is others'; None where none is.

    One's own needs nothing. That of others needs an admin who says so: `--for USER`, or `--force`
    with a reason. A Refusal for anybody else; raises ReasonNeeded.
    """
    others = [piece for piece in found if not owns(actor, piece)]
    if not others:
        return None
    admin = admin_by(admins, actor)
    if admin is None or not (asked.force or asked.user is not None):
        held = tuple(one for piece in others for one in _held(piece))
        if isinstance(asked, AskedExtend):
            return Refusal(act, "not_permitted", actor.user, asked_extend=asked, held=held)
        return Refusal(act, "not_permitted", actor.user, asked_release=asked, held=held)
    if asked.force and asked.reason is None:
        raise ReasonNeeded(act, tuple(piece.id for piece in others))
    return admin


def _held(piece: AllocationPiece | WaitingPiece) -> list[Held]:
    """Whose it is, with its first GPU; a request holds nothing anywhere."""
    if isinstance(piece, WaitingPiece):
        return [Held("", 0, piece.id, piece.asked.task, piece.user)]
    return [
        Held(share.server, share.gpus[0], piece.id, piece.task, piece.user)
        for share in piece.servers[:1]
    ]


def by(actor: Actor, admin: str | None = None) -> By:
    """The actor as it is frozen into an event; `admin` where a right of that kind was used."""
    return By(actor.user, actor.uid, actor.sid, actor.host, actor.sudo_user, actor.sudo_uid, admin)
