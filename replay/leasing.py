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
from .line import lacks_room, room_at
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
    delayed = _delayed(state, tried, found, now_us)
    if delayed and asked.force and asked.reason is not None:
        admin = admin_by(state.pool.admins, actor)
        delayed = delayed if admin is None else []
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
    then = state.copy()
    return _Tried(extensions, then, _broken(then, found, more_s, now_us))


def _broken(trial: State, found: list[AllocationPiece], more_s: int, now_us: int) -> Breach | None:
    """Let all end so many seconds later in a copy of the state, up to the first broken limit."""
    for piece in found:
        until = _extension(piece, more_s).until
        broken = breach_of_extension(trial, piece, until, now_us)
        if broken is not None:
            return broken
        trial.prolong(piece, until)  # what one adds counts for the next
    return None


def _most(state: State, found: list[AllocationPiece], more_s: int, now_us: int) -> int:
    """By how many seconds, fewer than asked for, all of them may end later; 0 where by none."""
    trial = state.copy()

    def broken(less_s: int) -> bool:
        for piece in found:
            trial.prolong(piece, _extension(piece, 0).until)
        return _broken(trial, found, less_s, now_us) is not None

    return bisect(range(1, more_s), False, key=broken)


def _delayed(
    state: State, tried: _Tried, found: Sequence[AllocationPiece], now_us: int
) -> list[WaitingPiece]:
    """Those who come before one of these in line, as they did when it was granted, and would have
    room later for it; what others among these add, which came first, is not held against it.
    """
    passers: dict[int, set[int]] = {}
    for piece in found:
        for one in state.docket.passed(piece, state.pool.priority(piece.project)):
            passers.setdefault(one.id, set()).add(piece.id)
    delayed: list[WaitingPiece] = []
    for number, late in passers.items():
        waits, rest = state.docket.waiting[number], state
        if len(late) < len(found):
            rest = state.copy()
            for piece, more in zip(found, tried.extensions, strict=True):
                if piece.id not in late:
                    rest.prolong(piece, more.until)
        if lacks_room(state, waits, now_us) and _later(rest, tried.then, waits, now_us):
            delayed.append(waits)
    return delayed[:SHOWN]


def _later(state: State, then: State, waits: WaitingPiece, now_us: int) -> bool:
    before, after = (room_at(one, waits, now_us) for one in (state, then))
    return before is not None and (after is None or after > before)


def _extension(piece: AllocationPiece, more_s: int) -> Extension:
    if piece.until is None:
        raise NoLease(piece.task, piece.id)
    return Extension(piece.id, piece.until + more_s * SECOND_US)
