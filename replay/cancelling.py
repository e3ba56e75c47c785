"""Decide cancellations: requests that leave the line without being served. Pure."""

from __future__ import annotations

from .actor import Actor
from .catalogue import AllocationReleased, RequestCancelled
from .errors import AmbiguousTask, NotWaiting
from .facts import AskedRelease
from .piece import WaitingPiece
from .refusal import Refusal
from .request import AllocateRequest
from .rights import by, owns, right_to
from .state import State


def decide_cancel(
    state: State, asked: AskedRelease, actor: Actor
) -> RequestCancelled | Refusal | None:
    """The cancellation, all or nothing; None where `--if-held` found none waiting.

    Whose it may be, `right_to` tells. Raises NotWaiting, AmbiguousTask, ReasonNeeded.
    """
    found = _found(state, asked, actor)
    if not found and asked.if_held:
        return None
    if not found:
        raise NotWaiting(", ".join(asked.tasks) or "any task", asked.user or actor.user)
    admin = right_to("cancel", found, asked, state.pool.admins, actor)
    if isinstance(admin, Refusal):
        return admin
    return RequestCancelled(
        by(actor, admin), tuple(piece.id for piece in found),
        "owner" if admin is None else "admin", asked, asked.reason,
    )  # fmt: skip


def _found(state: State, asked: AskedRelease, actor: Actor) -> list[WaitingPiece]:
    line = state.docket.line()
    if asked.tasks:
        named = [_named(state, task, asked, actor) for task in asked.tasks]
        return list({one.id: one for one in named if one is not None}.values())
    if asked.user is not None:
        return [one for one in line if one.user == asked.user]
    return [one for one in line if owns(actor, one)]


def _named(state: State, task: str, asked: AskedRelease, actor: Actor) -> WaitingPiece | None:
    line = state.docket.line()
    if task.startswith("@"):
        number = int(task[1:])
        found = [one for one in line if one.id == number and asked.user in (None, one.user)]
    else:
        found = [one for one in line if one.asked.task == task]
        mine = [one for one in found if owns(actor, one)]
        theirs = [one for one in found if one.user == asked.user]
        found = theirs if asked.user is not None else mine or found
    if len(found) > 1:
        raise AmbiguousTask(task, tuple(one.id for one in found), tuple(one.user for one in found))
    if not found and not asked.if_held:
        runs = any(task in (f"@{one.id}", one.task) for one in state.allocations())
        raise NotWaiting(task, asked.user or actor.user, runs=runs)
    return found[0] if found else None


def decide_leave(
    state: State,
    number: int,
    actor: Actor,
    cause: str,
    *,
    keep: bool,
    request: AllocateRequest | None,
) -> RequestCancelled | AllocationReleased | None:
    """Take one request out of the line, or give back what it was granted, unless that is to
    `keep`. Where the `request` is given, nobody else's of the same id is meant.
    """
    if number in state.docket.waiting:
        mine = request is None or state.docket.stands(request)
        return RequestCancelled(by(actor), (number,), cause) if mine else None
    if keep:
        return None
    held = tuple(
        one.id
        for one in state.allocations()
        if one.request == number and (request is None or one.task == request.asked.task)
    )
    return AllocationReleased(by(actor), held, "owner") if held else None
