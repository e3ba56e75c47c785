"""Limits, projects and users of a pool in words, and what changes in them line by line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..replay.facts import NO_CAP, Cap, Limits, Member, Pool, Project
from ..replay.spent import counted
from .duration import units_text
from .printable import printable
from .words import _, cpu_count, gpu_count


def limit_lines(pool: Pool) -> Iterator[str]:
    """What a pool limits, a line for each scope, project and user that it names."""
    if pool.limits.gpus_per_task is not None:
        yield _("limit: {count} GPUs a task").format(count=pool.limits.gpus_per_task)
    for what, cap in _scopes(pool.limits):
        if cap != NO_CAP:
            yield f"{what}: {cap_text(cap)}"
    yield from map(project_text, pool.projects)
    yield from map(member_text, pool.members)


def limit_changes(before: Limits, after: Limits) -> Iterator[str]:
    """A line for each scope whose limits change."""
    if before.gpus_per_task != after.gpus_per_task:
        yield _("~ limits: GPUs per task {before} -> {after}").format(
            before=_most(before), after=_most(after)
        )
    for (what, old), (_what, new) in zip(_scopes(before), _scopes(after), strict=True):
        if old != new:
            yield f"~ {what}: {cap_text(old)} -> {cap_text(new)}"


def project_changes(before: Sequence[Project], after: Sequence[Project]) -> Iterator[str]:
    """`+` a project that comes, `~` one that becomes another, `-` one that goes."""
    old, new = ({one.name: _project(one) for one in some} for some in (before, after))
    for what, sign, text in _changes(old, new):
        yield f"{sign} " + _("project {name}").format(name=printable(what)) + text


def member_changes(before: Sequence[Member], after: Sequence[Member]) -> Iterator[str]:
    """The same of the users that have something of their own."""
    names = {one.id: one.user for one in (*before, *after)}
    old, new = ({one.id: _member(one) for one in some} for some in (before, after))
    for what, sign, text in _changes(old, new):
        yield f"{sign} " + _("user {name}").format(name=printable(names[what])) + text


def _changes(old: dict[str, str], new: dict[str, str]) -> Iterator[tuple[str, str, str]]:
    """What changes, with its sign, and what there is to say of it."""
    for what, text in new.items():
        if what not in old:
            yield what, "+", f": {text}" if text else ""
        elif old[what] != text:
            yield what, "~", f": {old[what] or '-'} -> {text or '-'}"
    yield from ((what, "-", "") for what in old if what not in new)


def project_text(project: Project) -> str:
    """`project vision: priority 10, 16 GPUs`."""
    told = _project(project)
    name = _("project {name}").format(name=printable(project.name))
    return f"{name}: {told}" if told else name


def member_text(member: Member) -> str:
    """`user ada: project vision, 16 GPUs`."""
    told = _member(member)
    name = _("user {name}").format(name=printable(member.user))
    return f"{name}: {told}" if told else name


def _project(project: Project) -> str:
    told = [_("priority {number}").format(number=project.priority)] if project.priority else []
    return ", ".join(told + _parts(project.cap))


def _member(member: Member) -> str:
    project = member.project
    told = [] if project is None else [_("project {name}").format(name=printable(project))]
    return ", ".join(told + _parts(member.cap))


def _scopes(limits: Limits) -> tuple[tuple[str, Cap], ...]:
    return (
        (_("limits of each task"), limits.task),
        (_("limits of each user"), limits.user),
        (_("limits of each project"), limits.project),
    )


def cap_text(cap: Cap) -> str:
    """`16 GPUs, 500 GPU-hours in 7d, leases up to 3d, 8h by default`; `none` of no limit."""
    return ", ".join(_parts(cap)) or _("none")


def _parts(cap: Cap) -> list[str]:
    told: list[str] = []
    if cap.gpus is not None:
        told.append(gpu_count(cap.gpus))
    if cap.cpus is not None:
        told.append(cpu_count(cap.cpus))
    if cap.gpu_hours is not None:
        told.append(
            _(
                "{count} GPU-hour in {window}", "{count} GPU-hours in {window}", cap.gpu_hours
            ).format(count=cap.gpu_hours, window=units_text(counted(cap)))
        )
    if cap.lease is not None:
        told.append(_("leases up to {lease}").format(lease=units_text(cap.lease)))
    if cap.default_lease is not None:
        told.append(_("{lease} by default").format(lease=units_text(cap.default_lease)))
    return told


def _most(limits: Limits) -> str:
    return _("any number") if limits.gpus_per_task is None else str(limits.gpus_per_task)
