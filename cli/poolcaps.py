"""The half of a pool file that limits: `[limits]`, `[[project]]` and `[[user]]`.

Durations are texts such as `"7d"` or `"8h"`. A key in `[[project]]` or `[[user]]` stands in for
the same one in `[limits.project]` or `[limits.user]`.
"""

from __future__ import annotations

from collections.abc import Callable

from ..replay.errors import BadRequest
from ..replay.facts import NO_CAP, Cap, Limits, Member, Project
from ..replay.pool_request import MOST_HOURS, MOST_LEASE_S, MOST_PRIORITY, MOST_WINDOW_S
from ..replay.request import MOST
from ..replay.request import name as checked_name
from .duration import parse_duration, units_text
from .tomlfile import Table, TomlFile, Where

CAP = ("gpus", "cpus", "gpu_hours", "window", "lease", "default_lease")
LIMITS = ("gpus_per_task", "task", "user", "project")
PROJECT = ("name", "priority", *CAP)
USER = ("name", "project", *CAP)

ResolveUser = Callable[[str], str | None]
"""A user's name to a stable identity (`uid:1001`), None where the machine does not know it."""


def limits(file: TomlFile) -> Limits:
    """What `[limits]` says. Raises BadConfiguration."""
    where: Where = ("limits",)
    table = file.table(file.root.get("limits", {}), where)
    file.only(table, LIMITS, where)
    caps: list[Cap] = []
    for scope in LIMITS[1:]:
        inner = file.table(table.get(scope, {}), (*where, scope))
        file.only(inner, CAP, (*where, scope))
        caps.append(_cap(file, inner, (*where, scope)))
    return Limits(file.number(table, (*where, "gpus_per_task"), most=MOST), *caps)


def projects(file: TomlFile) -> tuple[Project, ...]:
    """What the `[[project]]` tables say. Raises BadConfiguration."""
    made: list[Project] = []
    for at, table in enumerate(file.tables(file.root.get("project", []), ("project",))):
        where: Where = ("project", at)
        file.only(table, PROJECT, where)
        name = _name(file, table, (*where, "name"))
        if name is None:
            file.fail((*where, "name"), "a name")
        if any(name == other.name for other in made):
            file.fail((*where, "name"), "each project once", name)
        place = (*where, "priority")
        priority = file.number(table, place, least=-MOST_PRIORITY, most=MOST_PRIORITY)
        made.append(Project(name, priority or 0, _cap(file, table, where)))
    return tuple(made)


def members(
    file: TomlFile, listed: tuple[Project, ...], resolve_user: ResolveUser
) -> tuple[Member, ...]:
    """What the `[[user]]` tables say; `listed` are the file's projects. Raises BadConfiguration."""
    made: list[Member] = []
    names = [project.name for project in listed]
    for at, table in enumerate(file.tables(file.root.get("user", []), ("user",))):
        where: Where = ("user", at)
        file.only(table, USER, where)
        user = file.text(table, (*where, "name"), most=256)
        if user is None:
            file.fail((*where, "name"), "a user's name")
        identity = resolve_user(user)
        if identity is None:
            file.fail((*where, "name"), "a user that this machine knows", user)
        if any(identity == other.id for other in made):
            file.fail((*where, "name"), "each user once", user)
        project = _name(file, table, (*where, "project"))
        if project is not None and names and project not in names:
            file.fail((*where, "project"), f"one of {', '.join(names)}", project)
        made.append(Member(user, identity, project, _cap(file, table, where)))
    return tuple(made)


def _name(file: TomlFile, table: Table, where: Where) -> str | None:
    text = file.text(table, where, most=256)
    if text is None:
        return None
    try:
        return checked_name("project", text)
    except BadRequest as error:
        file.fail(where, error.expected, text)


def _cap(file: TomlFile, table: Table, where: Where) -> Cap:
    """The limits in a table, among whatever else it holds."""
    made = Cap(
        file.number(table, (*where, "gpus"), most=MOST),
        file.number(table, (*where, "cpus"), most=MOST),
        file.number(table, (*where, "gpu_hours"), most=MOST_HOURS),
        _seconds(file, table, (*where, "window"), most=MOST_WINDOW_S),
        _seconds(file, table, (*where, "lease"), most=MOST_LEASE_S),
        _seconds(file, table, (*where, "default_lease"), most=MOST_LEASE_S),
    )
    if made.window is not None and made.gpu_hours is None:
        file.fail((*where, "window"), "gpu_hours beside it", table["window"])
    if made.lease is not None and made.default_lease is not None:
        expected = f"at most the longest lease, {units_text(made.lease)}"
        if made.default_lease > made.lease:
            file.fail((*where, "default_lease"), expected, table["default_lease"])
    return NO_CAP if made == NO_CAP else made


def _seconds(file: TomlFile, table: Table, where: Where, *, most: int) -> int | None:
    """The duration at `where` in seconds; None where it is absent."""
    value = table.get(str(where[-1]))
    if value is None:
        return None
    expected = f'a duration in quotes such as "8h" or "7d", at most "{units_text(most)}"'
    if not isinstance(value, str):
        file.fail(where, expected, value)
    try:
        seconds = parse_duration(value)
    except BadRequest:
        file.fail(where, expected, value)
    if seconds > most:
        file.fail(where, expected, value)
    return seconds
