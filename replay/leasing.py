"""Decide extensions: leases that end later than they would. Pure."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence
from typing import NamedTuple

from .actor import Actor
from .catalogue import AllocationExtended
from .decision import SHOWN
from .ending import find
from .errors import NoLease, NoSuchTask
from .facts import AskedExtend, AskedRelease, Extension
from .limit import Breach, breach_of_extension
from .line import room_at
from .piece import AllocationPiece, WaitingPiece
from .refusal import Ahead, Refusal
from .rights import admin_by, by, right_to
from .spent import SECOND_US
from .state import State


def decide_extend(
    state: State, asked: AskedExtend, actor: Actor, now_us: int
) -> AllocationExtended | Refusal:
    """The extension, all or nothing: each lease ends `asked.lease` seconds later.

    Never more of it than the longest lease is left from now on, and not where somebody waits whom
    it passed in line and who would have room later for it, unless an admin says so. Whose
    it may be, `right_to` tells. Raises NoSuchTask, AmbiguousTask, NoLease, ReasonNeeded.
    """
    like = AskedRelease(asked.tasks, user=asked.user, force=asked.force, reason=asked.reason)
    found = find(state, like, actor)
    if not found:
        raise NoSuchTask(", ".join(asked.tasks), asked.user or actor.user)
    admin = right_to("extend", found, asked, state.pool.admins, actor)
    if isinstance(admin, Refusal):
        return admin
    tried = _tried(state, found, asked.lease, now_us)
    if tried.broken is not None:
        most = _most(state, found, asked.lease, now_us)
        return Refusal(
            "extend", "limit", actor.user, asked_extend=asked, breach=tried.broken, most=most
        )
    if admin is None and asked.force and asked.reason is not None:
        admin = admin_by(state.pool.admins, actor)
    delayed = _delayed(state, tried.then, found, now_us) if admin is None else ()
    if delayed:
        ahead = tuple(Ahead(one.id, one.asked.task, one.user) for one in delayed)
        return Refusal("extend", "waiting", actor.user, asked_extend=asked, ahead=ahead)
    return AllocationExtended(by(actor, admin), tried.extensions, asked)


class _Tried(NamedTuple):
    """The extensions, the state `then`, and the first limit that one of them breaks."""

    extensions: tuple[Extension, ...]
    then: State
    broken: Breach | None


def _tried(state: State, found: list[AllocationPiece], more_s: int, now_us: int) -> _Tried:
    """What would be if all ended so many seconds later."""
    extensions = tuple(_extension(piece, more_s) for piece in found)
    so_far = state.copy()
    for piece, one in zip(found, extensions, strict=True):
        broken = breach_of_extension(so_far, piece, one.until, now_us)
        if broken is not None:
            return _Tried(extensions, so_far, broken)
        so_far.prolong(piece, one.until)  # what one adds counts for the next
    return _Tried(extensions, so_far, None)


def _most(state: State, found: list[AllocationPiece], more_s: int, now_us: int) -> int:
    """By how many seconds, fewer than asked for, all of them may end later; 0 where by none."""
    return bisect(
        range(1, more_s),
        False,
        key=lambda less: _tried(state, found, less, now_us).broken is not None,
    )


def _delayed(
    state: State, then: State, found: Sequence[AllocationPiece], now_us: int
) -> list[WaitingPiece]:
    """Whom one of these passed in line on the word of its lease, and who would have room later."""
    passed = {
        one.id: one
        for piece in found
        for one in state.docket.passed(piece, state.pool.priority(piece.project))
    }
    return [one for one in passed.values() if _later(state, then, one, now_us)][:SHOWN]


def _later(state: State, then: State, piece: WaitingPiece, now_us: int) -> bool:
    before = room_at(state, piece, now_us)
    if before is None:
        return False
    after = room_at(then, piece, now_us)
    return after is None or after > before


def _extension(piece: AllocationPiece, more_s: int) -> Extension:
    if piece.until is None:
        raise NoLease(piece.task, piece.id)
    return Extension(piece.id, piece.until + more_s * SECOND_US)
