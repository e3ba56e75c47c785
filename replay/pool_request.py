"""A pool that somebody asks for, checked before anything is decided."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from . import request
from .errors import BadRequest
from .facts import NO_CAP, NO_LIMITS, Cap, Limits, Member, Pool, Project, Server

DAY_S = 86_400
MOST_HOURS = 1_000_000_000
MOST_WINDOW_S = 31 * DAY_S
MOST_LEASE_S = request.LONGEST_S
MOST_PRIORITY = 1_000


def pool(whole: Pool) -> Pool:
    """The pool, checked and with its names composed: facts that cannot be would make its event
    void. Raises BadRequest.
    """
    names = [request.name("server", server.name) for server in whole.servers]
    if not names:
        raise BadRequest("servers", names, "at least one server")
    _once("server", names, "each server once")
    for server in whole.servers:
        _server(server)
    projects = _projects(whole.projects)
    members = _members(whole.members, {project.name for project in projects})
    return Pool(whole.servers, _limits(whole.limits), whole.admins, projects, members)


def _once(field: str, names: Iterable[str], expected: str) -> None:
    twice = next((one for one, times in Counter(names).items() if times > 1), None)
    if twice is not None:
        raise BadRequest(field, twice, expected)


def _server(server: Server) -> None:
    request.count("CPUs", server.cpus)
    indices = [card.index for card in server.gpus]
    if not indices or min(indices) < 0 or sorted(set(indices)) != indices:
        raise BadRequest("gpus", indices, "at least one GPU, each index once, in ascending order")


def _limits(limits: Limits) -> Limits:
    if limits.gpus_per_task is not None:
        request.count("gpus_per_task", limits.gpus_per_task)
    caps = (cap(limits.task), cap(limits.user), cap(limits.project))
    made = Limits(limits.gpus_per_task, *caps)
    return NO_LIMITS if made == NO_LIMITS else made


def _projects(projects: tuple[Project, ...]) -> tuple[Project, ...]:
    checked = tuple(
        Project(
            request.name("project", one.name),
            _within("priority", one.priority, -MOST_PRIORITY, MOST_PRIORITY),
            cap(one.cap),
        )
        for one in projects
    )
    _once("project", (one.name for one in checked), "each project once")
    return checked


def _members(members: tuple[Member, ...], projects: set[str]) -> tuple[Member, ...]:
    checked = tuple(
        Member(
            one.user,
            one.id,
            None if one.project is None else request.name("project", one.project),
            cap(one.cap),
        )
        for one in members
    )
    _once("user", (one.id for one in checked), "each user once")
    for one in checked:
        if one.project is not None and projects and one.project not in projects:
            expected = f"a project of the pool for {one.user}: {', '.join(sorted(projects))}"
            raise BadRequest("project", one.project, expected)
    return checked


def cap(cap: Cap) -> Cap:
    """The cap, checked; the one that an event leaves out where it limits nothing."""
    if cap == NO_CAP:
        return NO_CAP
    for field, value, most in (
        ("gpus", cap.gpus, request.MOST),
        ("cpus", cap.cpus, request.MOST),
        ("gpu_hours", cap.gpu_hours, MOST_HOURS),
        ("window", cap.window, MOST_WINDOW_S),
        ("lease", cap.lease, MOST_LEASE_S),
        ("default_lease", cap.default_lease, MOST_LEASE_S),
    ):
        if value is not None:
            _within(field, value, 1, most)
    if cap.window is not None and cap.gpu_hours is None:
        raise BadRequest("window", cap.window, "gpu_hours beside it")
    if cap.default_lease is not None and cap.default_lease > (cap.lease or MOST_LEASE_S):
        raise BadRequest("default_lease", cap.default_lease, "at most the longest lease")
    return cap


def _within(field: str, value: int, least: int, most: int) -> int:
    if isinstance(value, bool) or not least <= value <= most:
        raise BadRequest(field, value, f"a whole number from {least} to {most}")
    return value
