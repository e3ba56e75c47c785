"""The JSON documents of the pool, each made in one place.

What is limited is a number, or null where it is not; durations are seconds.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..replay.catalogue import LedgerCreated, PoolChanged
from ..replay.facts import By, Cap, Limits, Member, Pool, Project
from ..replay.pool_change import Difference
from ..replay.spent import counted
from .output import plain
from .shape import Document, server_facts


def pool_facts(pool: Pool) -> Document:
    """`pool show` and `pool check`: a pool as it stands, or as a file says it."""
    return {
        "servers": [server_facts(server) for server in pool.servers],
        "limits": _limits(pool.limits),
        "projects": _projects(pool.projects),
        "users": _members(pool.members),
        "admins": plain(pool.admins),
    }


def pool_difference(seq: int, found: Difference, *, remove: bool) -> Document:
    """`pool diff`: what a file would change; `absent` are servers that it lacks and that stay."""
    return {
        "seq": seq,
        "changes": {
            **_changed(found),
            "removed": list(found.absent) if remove else [],
            "absent": [] if remove else list(found.absent),
            "in_use": plain(found.in_use),
            "ended": sorted({number for use in found.in_use for number in use.allocations}),
        },
    }


def pool_change(seq: int, event: PoolChanged | None) -> Document:
    """`pool apply`: what has changed; nothing where there is no event."""
    one = event if event is not None else PoolChanged(By(""))
    return {
        "seq": seq,
        "changes": {**_changed(one), "removed": list(one.removed), "ended": list(one.ended)},
    }


def _changed(told: Difference | PoolChanged) -> Document:
    """What changes; what stays as it is, is null."""
    return {
        "added": [server_facts(server) for server in told.added],
        "changed": [server_facts(server) for server in told.changed],
        "limits": None if told.limits is None else _limits(told.limits),
        "projects": None if told.projects is None else _projects(told.projects),
        "users": None if told.members is None else _members(told.members),
        "admins": plain(told.admins),
    }


def made(seq: int, path: str, facts: LedgerCreated) -> Document:
    """`init`: the new ledger's file, its id and its first pool."""
    told = pool_facts(facts.pool)
    added = told.pop("servers")
    return {
        "seq": seq,
        "changes": {"path": path, "ledger": facts.ledger, "added": added, **told},
    }


def _limits(limits: Limits) -> Document:
    return {
        "gpus_per_task": limits.gpus_per_task,
        "task": _cap(limits.task),
        "user": _cap(limits.user),
        "project": _cap(limits.project),
    }


def _cap(cap: Cap) -> Document:
    return {
        "gpus": cap.gpus,
        "cpus": cap.cpus,
        "gpu_hours": cap.gpu_hours,
        "window_s": counted(cap) or None,
        "lease_s": cap.lease,
        "default_lease_s": cap.default_lease,
    }


def _projects(projects: Iterable[Project]) -> list[Document]:
    return [
        {"project": one.name, "priority": one.priority, "limits": _cap(one.cap)} for one in projects
    ]


def _members(members: Iterable[Member]) -> list[Document]:
    return [
        {"user": one.user, "id": one.id, "project": one.project, "limits": _cap(one.cap)}
        for one in members
    ]
