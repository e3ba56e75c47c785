"""Allowances: how much of what a user or a project may have at most is in use. Pure."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from .facts import identity
from .limit import HOUR_S, scopes, used_s
from .spent import counted
from .state import State
from .usage import Allowance, Usage

Identify = Callable[[str], str | None]
"""A user's name to a stable identity (`uid:1001`), None where the machine does not know it."""


def beside(state: State, used: Usage, now_us: int, identify: Identify | None) -> Usage:
    """The usage with the allowances at `now_us` in its rows, where those are users or projects."""
    if used.by == ("user",):
        owner = _owners(state, identify)
        return _with(used, lambda name: of_user(state, owner(name), now_us))
    if used.by == ("project",):
        return _with(used, lambda name: of_project(state, name, now_us))
    return used


def _with(used: Usage, told: Callable[[str], tuple[Allowance, ...]]) -> Usage:
    replace = msgspec.structs.replace
    rows = (
        row if row.values[0] is None else replace(row, limits=told(row.values[0]))
        for row in used.rows
    )
    return replace(used, rows=tuple(rows))


def _owners(state: State, identify: Identify | None) -> Callable[[str], str]:
    """The identity behind a user's name: as the ledger knows it, else as `identify` does."""
    owners = {piece.user: piece.owner for piece in state.allocations()}
    owners |= {member.user: member.id for member in state.pool.members}

    def owner(name: str) -> str:
        found = owners.get(name) or (identify(name) if identify is not None else None)
        return found or identity(name, None, None)

    return owner


def of_user(state: State, owner: str, now_us: int) -> tuple[Allowance, ...]:
    """The allowances of the user with this identity."""
    return _allowances(state, "user", owner, None, now_us)


def of_project(state: State, name: str, now_us: int) -> tuple[Allowance, ...]:
    """The allowances of the project of this name."""
    return _allowances(state, "project", "", name, now_us)


def _allowances(
    state: State, scope_name: str, owner: str, project: str | None, now_us: int
) -> tuple[Allowance, ...]:
    found = scopes(state, owner, owner, "", project)
    scope = next((one for one in found if one.name == scope_name), None)
    if scope is None:
        return ()
    told = [
        Allowance(what, used, allowed)
        for what, used, allowed in (
            ("gpus", scope.tally.gpus, scope.cap.gpus),
            ("cpus", scope.tally.cpus, scope.cap.cpus),
        )
        if allowed is not None
    ]
    if scope.cap.gpu_hours is not None:
        used, allowed = used_s(state, scope, now_us), scope.cap.gpu_hours * HOUR_S
        told.append(Allowance("gpu_hours", used, allowed, counted(scope.cap)))
    return tuple(told)
