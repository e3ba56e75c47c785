"""Mirrors: adding and removing them, and what is said of one in trouble."""

from __future__ import annotations

from ..ledger.mirrored import Mirrored
from .actor import Actor
from .catalogue import MirrorAdded, MirrorRemoved
from .errors import NoSuchMirror
from .facts import AskedChange
from .refusal import Refusal
from .rights import admin_by, by
from .state import State


def decide_add(
    state: State, directory: str, actor: Actor, reason: str | None
) -> MirrorAdded | Refusal | None:
    """The addition of a mirror in `directory`; None where there is one."""
    admin = admin_by(state.pool.admins, actor)
    if admin is None:
        return _not_permitted("mirror add", directory, actor, reason)
    if directory in state.docket.mirrors:
        return None
    return MirrorAdded(by(actor, admin), directory, reason)


def decide_remove(
    state: State, directory: str, actor: Actor, reason: str | None
) -> MirrorRemoved | Refusal:
    """The removal of the mirror in `directory`. Raises NoSuchMirror."""
    admin = admin_by(state.pool.admins, actor)
    if admin is None:
        return _not_permitted("mirror remove", directory, actor, reason)
    if directory not in state.docket.mirrors:
        raise NoSuchMirror(directory, tuple(state.docket.mirrors))
    return MirrorRemoved(by(actor, admin), directory, reason)


def _not_permitted(act: str, directory: str, actor: Actor, reason: str | None) -> Refusal:
    asked = AskedChange((directory,), reason=reason)
    return Refusal(act, "not_permitted", actor.user, asked_change=asked)


_TROUBLE = {
    "gone": "the mirror {directory} is not there ({why})",
    "full": "the mirror {directory} lies on a disk that is full",
    "read_only": "the mirror {directory} lies on a disk that can only be read",
    "not_permitted": "the mirror {directory} may not be written by this user ({why})",
    "failed": "the mirror {directory} cannot be written ({why})",
    "diverged": "the mirror {directory} is not of this ledger any more: {why}",
}
_NEXT = (
    "; it is caught up once that is mended, or given up with gpuledger mirror remove {directory}"
)
_DIVERGED = "; nothing is written to it: put it aside as evidence, and see gpuledger mirror check"


def note(notices: list[str], one: Mirrored) -> None:
    """Put what is wrong with a mirror among the notices, instead of what was said of it before."""
    before = f"the mirror {one.directory} "
    notices[:] = [told for told in notices if not told.startswith(before)]
    if one.trouble is not None:
        notices.append(_sentence(one))


def _sentence(one: Mirrored) -> str:
    """What is wrong, and what to do."""
    from shlex import quote

    typed = quote(one.directory)
    lacks = f"lacks {one.behind} event{'s' if one.behind > 1 else ''}"
    if one.trouble == "behind":
        told = f"the mirror {one.directory} {lacks}"
        return f"{told}; commands that write catch it up, or gpuledger mirror add {typed}"
    told = _TROUBLE[one.trouble or "failed"].format(directory=one.directory, why=one.why)
    if one.trouble == "diverged":
        return told + _DIVERGED
    return told + (f", and {lacks}" if one.behind else "") + _NEXT.format(directory=typed)
