"""Decide what ends: releases and the reset. Pure."""

from __future__ import annotations

from .actor import Actor
from .catalogue import AllocationReleased, LedgerReset
from .errors import AmbiguousTask, NoSuchServer, NoSuchTask, ReasonNeeded
from .facts import AskedChange, AskedRelease
from .gap import losses
from .piece import AllocationPiece
from .refusal import Refusal
from .rights import admin_by, by, owns, right_to
from .state import State


def decide_release(
    state: State, asked: AskedRelease, actor: Actor
) -> AllocationReleased | Refusal | None:
    """The release, all or nothing; None where `--if-held` found nothing to end.

    Whose it may be, `right_to` tells. Raises NoSuchTask, NoSuchServer, AmbiguousTask,
    ReasonNeeded.
    """
    found = find(state, asked, actor)
    if not found and asked.if_held:
        return None
    if not found:
        named = ", ".join(asked.tasks) if asked.tasks else "any task"
        raise NoSuchTask(named, asked.user or actor.user, on=asked.servers)
    admin = right_to("release", found, asked, state.pool.admins, actor)
    if isinstance(admin, Refusal):
        return admin
    return AllocationReleased(
        by(actor, admin), tuple(piece.id for piece in found),
        "owner" if admin is None else "admin", asked, asked.reason,
    )  # fmt: skip


def find(state: State, asked: AskedRelease, actor: Actor) -> list[AllocationPiece]:
    """The running allocations that are meant, by their names or otherwise.

    Raises NoSuchTask, NoSuchServer, AmbiguousTask.
    """
    if asked.tasks:
        named = [_task(state, task, asked, actor) for task in asked.tasks]
        return list({piece.id: piece for piece in named if piece is not None}.values())
    pieces = state.allocations()
    for name in asked.servers:
        if state.server(name) is None:
            raise NoSuchServer(name, state.pool.servers)
    if asked.servers:
        on = frozenset(asked.servers)
        pieces = [p for p in pieces if any(share.server in on for share in p.servers)]
        if asked.user is not None:
            return [piece for piece in pieces if piece.user == asked.user]
        return pieces
    if asked.user is not None:
        return [piece for piece in pieces if piece.user == asked.user]
    return [piece for piece in pieces if owns(actor, piece)]


def _task(state: State, task: str, asked: AskedRelease, actor: Actor) -> AllocationPiece | None:
    """The running allocation that a word names. Raises NoSuchTask unless `--if-held`."""
    if task.startswith("@"):
        piece = state.allocation(int(task[1:]))
        fits = piece is not None and asked.user in (None, piece.user)
        found = [piece] if piece is not None and fits else []
    else:
        found = _by_name(state, task, asked, actor)
    if len(found) > 1:
        ids = tuple(piece.id for piece in found)
        raise AmbiguousTask(task, ids, tuple(piece.user for piece in found))
    if not found and not asked.if_held:
        raise _nothing(state, task, asked.user or actor.user)
    return found[0] if found else None


def _nothing(state: State, task: str, user: str) -> NoSuchTask:
    """What is known of that which does not run."""
    waits = any(task in (f"@{one.id}", one.asked.task) for one in state.docket.line())
    number = int(task[1:]) if task.startswith("@") else 0
    if waits or not 0 < number <= state.seq:
        return NoSuchTask(task, user, waits=waits)
    gap = next((one for one in losses(state.pieces) if one.first <= number <= one.last), None)
    lost = gap is not None and not dict(gap.told).get(number)
    return NoSuchTask(task, user, ended=not lost, lost=lost)


def _by_name(state: State, task: str, asked: AskedRelease, actor: Actor) -> list[AllocationPiece]:
    """One's own task of that name first; else those of others, that of `--for` alone where
    given.
    """
    if asked.user is None:
        mine = [state.allocation(at) for at in state.named(actor.identity, task)]
        if mine:
            return [piece for piece in mine if piece is not None]
    named = [piece for piece in state.allocations() if piece.task == task]
    if asked.user is not None:
        return [piece for piece in named if piece.user == asked.user]
    return [] if asked.if_held and not asked.force else named


def decide_reset(state: State, reason: str | None, actor: Actor) -> LedgerReset | Refusal:
    """The reset: every running allocation ends, the pool and its drains stay.

    For admins; raises ReasonNeeded where others' allocations run and no reason is given.
    """
    admin = admin_by(state.pool.admins, actor)
    if admin is None:
        asked = AskedChange(reason=reason)
        return Refusal("reset", "not_permitted", actor.user, asked_change=asked)
    running = state.allocations()
    others = tuple(piece.id for piece in running if not owns(actor, piece))
    if others and reason is None:
        raise ReasonNeeded("reset", others)
    return LedgerReset(by(actor, admin), tuple(piece.id for piece in running), reason)
