"""Decide extensions: leases that end later than they would. Pure."""

from __future__ import annotations

import msgspec

from .actor import Actor
from .catalogue import AllocationExtended
from .ending import find, not_yours
from .errors import NoLease, NoSuchTask, ReasonNeeded
from .facts import AskedExtend, AskedRelease, Extension
from .limit import Breach, breach_of_extension
from .piece import AllocationPiece
from .refusal import Refusal
from .rights import admin_by, by, owns
from .spent import SECOND_US
from .state import State


def decide_extend(
    state: State, asked: AskedExtend, actor: Actor, now_us: int
) -> AllocationExtended | Refusal:
    """The extension, all or nothing: each lease ends `asked.lease` seconds later.

    Never more of it than the longest lease is left from now on. Those of others need an admin
    who says so, as for a release. Raises NoSuchTask, AmbiguousTask, NoLease, ReasonNeeded.
    """
    like = AskedRelease(asked.tasks, user=asked.user, force=asked.force, reason=asked.reason)
    found = find(state, like, actor)
    if not found:
        raise NoSuchTask(", ".join(asked.tasks), asked.user or actor.user)
    others = [piece for piece in found if not owns(actor, piece)]
    admin = admin_by(state.pool.admins, actor) if others else None
    if others and (admin is None or not (asked.force or asked.user is not None)):
        return not_yours("extend", asked, actor, others)
    if others and asked.force and asked.reason is None:
        raise ReasonNeeded("extend", tuple(piece.id for piece in others))
    extensions = tuple(_extension(piece, asked.lease) for piece in found)
    so_far = State(dict(state.pieces), state.head)
    for piece, one in zip(found, extensions, strict=True):
        broken = breach_of_extension(so_far, piece, one.until, now_us)
        if broken is not None:
            return _refusal(asked, actor, broken)
        longer = msgspec.structs.replace(piece, until=one.until)
        so_far.pieces[f"allocation:{piece.id}"] = longer  # what one adds counts for the next
    return AllocationExtended(by(actor, admin), extensions, asked)


def _extension(piece: AllocationPiece, more_s: int) -> Extension:
    if piece.until is None:
        raise NoLease(piece.task, piece.id)
    return Extension(piece.id, piece.until + more_s * SECOND_US)


def _refusal(asked: AskedExtend, actor: Actor, broken: Breach) -> Refusal:
    return Refusal("extend", "limit", actor.user, asked_extend=asked, breach=broken)
