"""Decide extensions: leases that end later than they would. Pure."""

from __future__ import annotations

from .actor import Actor
from .catalogue import AllocationExtended
from .ending import find
from .errors import NoLease, NoSuchTask
from .facts import AskedExtend, AskedRelease, Extension
from .limit import Breach, breach_of_extension
from .piece import AllocationPiece
from .refusal import Refusal
from .rights import by, right_to
from .spent import SECOND_US
from .state import State


def decide_extend(
    state: State, asked: AskedExtend, actor: Actor, now_us: int
) -> AllocationExtended | Refusal:
    """The extension, all or nothing: each lease ends `asked.lease` seconds later.

    Never more of it than the longest lease is left from now on. Whose it may be, `right_to`
    tells. Raises NoSuchTask, AmbiguousTask, NoLease, ReasonNeeded.
    """
    like = AskedRelease(asked.tasks, user=asked.user, force=asked.force, reason=asked.reason)
    found = find(state, like, actor)
    if not found:
        raise NoSuchTask(", ".join(asked.tasks), asked.user or actor.user)
    admin = right_to("extend", found, asked, state.pool.admins, actor)
    if isinstance(admin, Refusal):
        return admin
    extensions = tuple(_extension(piece, asked.lease) for piece in found)
    so_far = state.copy()
    for piece, one in zip(found, extensions, strict=True):
        broken = breach_of_extension(so_far, piece, one.until, now_us)
        if broken is not None:
            return _refusal(asked, actor, broken)
        so_far.prolong(piece, one.until)  # what one adds counts for the next
    return AllocationExtended(by(actor, admin), extensions, asked)


def _extension(piece: AllocationPiece, more_s: int) -> Extension:
    if piece.until is None:
        raise NoLease(piece.task, piece.id)
    return Extension(piece.id, piece.until + more_s * SECOND_US)


def _refusal(asked: AskedExtend, actor: Actor, broken: Breach) -> Refusal:
    return Refusal("extend", "limit", actor.user, asked_extend=asked, breach=broken)
