"""Decide: what an allocate gets, or why not. Pure: state, request, actor and time in, a record out.

The answer is the `AllocationGranted` to append, the `RequestQueued` of one who waits, or a
`Refusal`; what is not well-formed for this pool (no such server, the name in use) is raised.
"""

from __future__ import annotations

import msgspec

from .actor import Actor
from .catalogue import AllocationGranted, RequestQueued
from .errors import NoSuchProject, NoSuchServer, NotWaiting, TaskInUse
from .facts import Placed, Record, Share, identity
from .fit import candidates, exact, find_place, holders, momentary_reason, possible
from .hosts import known, on_host
from .limit import Breach, Wish, breach, given_lease
from .line import serve
from .piece import WaitingPiece
from .placement import place
from .refusal import Ahead, Free, Refusal
from .request import AllocateRequest
from .rights import admin_by, by
from .state import State

SHOWN = 8
WAITING_MENDS = ("drained", "no_gpus", "no_cpus", "fragmented", "waiting")
"""The reasons that pass by themselves; a limit may too, as its breach tells."""


class Holder(Record, frozen=True):
    """For whom it is asked, by which right, and what follows from that."""

    user: str
    uid: int | None
    sid: str | None
    owner: str
    permitted: bool
    admin: str | None
    project: str | None
    lease: int | None


def decide_allocate(
    state: State, request: AllocateRequest, actor: Actor, now_us: int
) -> AllocationGranted | Refusal:
    """The grant for a request, or its refusal. `request.waiting` is its place in the line.

    Raises NoSuchServer, NoSuchProject, TaskInUse where the holder runs or awaits a task of that
    name, and NotWaiting where the request waits no longer.
    """
    request = _located(state, request)
    known(state, request.on)
    holder = _holder(state, request, actor)
    _name_is_free(state, request, holder)
    reason, broken = _standing(state, request, holder, now_us)
    shares = find_place(state.fleet, request) if reason is None else None
    if shares is not None and state.docket.waiting:
        shares = _in_turn(state, request, holder, shares, now_us)
        reason = "waiting" if shares is None else None
    if shares is None:
        reason = reason or momentary_reason(state, request)
        return _refusal(state, request, holder.user, reason, broken)
    asked = request.asked
    return AllocationGranted(
        asked.task, holder.user, shares, asked, by(actor, holder.admin), holder.uid, holder.sid,
        holder.project, asked.note, request.imported,
        lease=holder.lease, tie=request.tie, request=request.waiting,
    )  # fmt: skip


def decide_queued(
    state: State, request: AllocateRequest, actor: Actor, now_us: int
) -> AllocationGranted | RequestQueued | Refusal:
    """The grant, a place in the line where waiting mends what stands in the way, or the refusal.

    Raises as `decide_allocate`.
    """
    decision = decide_allocate(state, request, actor, now_us)
    if not isinstance(decision, Refusal) or not waiting_mends(decision):
        return decision
    located = _located(state, request)
    holder = _holder(state, located, actor)
    return RequestQueued(
        holder.user, request.asked, by(actor, holder.admin), holder.uid, holder.sid,
        holder.project, state.pool.priority(holder.project), located.on,
        request.give_up, request.waiter, request.port,
    )  # fmt: skip


def waiting_mends(refusal: Refusal) -> bool:
    """Whether the refused could be had later without anything else being asked for."""
    broken = refusal.breach
    return broken.passes if broken is not None else refusal.reason in WAITING_MENDS


def _holder(state: State, request: AllocateRequest, actor: Actor) -> Holder:
    asked = request.asked
    named = asked.beneficiary is not None
    user = asked.beneficiary or actor.user
    uid, sid = (request.uid, request.sid) if named else (actor.uid, actor.sid)
    owner = identity(user, uid, sid)
    for_other = owner != actor.identity
    admin = admin_by(state.pool.admins, actor) if for_other else None
    waits = state.docket.waiting.get(request.waiting or 0)
    if waits is not None:
        project = _there(state, waits.project)  # it may be gone since
    else:
        project = _project(state, owner, asked.project)
    imported = request.imported is not None
    lease = None if imported else given_lease(state, owner, project, asked.lease)
    permitted = not for_other or admin is not None
    return Holder(user, uid, sid, owner, permitted, admin, project, lease)


def _project(state: State, owner: str, asked: str | None) -> str | None:
    """The project asked for, else the user's own. Raises NoSuchProject where there are others."""
    if asked is None:
        return next((one.project for one in state.pool.members if one.id == owner), None)
    return _there(state, asked)


def _there(state: State, project: str | None) -> str | None:
    """The project. Raises NoSuchProject where the pool lists its projects, and not this one."""
    pool = state.pool
    if not pool.takes(project):
        raise NoSuchProject(project or "", tuple(one.name for one in pool.projects))
    return project


def _located(state: State, request: AllocateRequest) -> AllocateRequest:
    """The request with `here` as a place."""
    here = request.asked.here
    if here is None:
        return request
    server = on_host(state, here)
    if server is None:
        raise NoSuchServer(here, state.pool.servers, here=True)
    on = request.on or (Placed(server.facts.name),)
    return msgspec.structs.replace(request, on=on)


def _name_is_free(state: State, request: AllocateRequest, holder: Holder) -> None:
    task, docket = request.asked.task, state.docket
    for number in state.named(holder.owner, task):
        raise TaskInUse(task, holder.user, number)
    for number in docket.awaits(holder.owner, task):
        if number != request.waiting:
            raise TaskInUse(task, holder.user, number, waits=True)
    if request.waiting is not None and not docket.stands(request):
        raise NotWaiting(task, holder.user, request.waiting)


def _standing(
    state: State, request: AllocateRequest, holder: Holder, now_us: int
) -> tuple[str | None, Breach | None]:
    """The reason that room alone would not mend: never, not_permitted or limit."""
    if not possible(state, request):
        return "never", None
    if not holder.permitted:
        return "not_permitted", None
    wish = Wish(holder.owner, holder.user, holder.project, request, holder.lease)
    broken = breach(state, wish, now_us)
    return (None, None) if broken is None else ("limit", broken)


def _in_turn(
    state: State, request: AllocateRequest, holder: Holder, alone: tuple[Share, ...], now_us: int
) -> tuple[Share, ...] | None:
    """What the request gets with those ahead of it in line served first, or None.

    `alone` is what it would get if there were nobody, its limits kept.
    """
    number = request.waiting
    piece = None if number is None else state.docket.waiting.get(number)
    if piece is None:
        piece = WaitingPiece(
            state.seq + 1, now_us, holder.owner, holder.user, request.asked, holder.project,
            state.pool.priority(holder.project), request.on,
        )  # fmt: skip
    line = [*state.docket.ahead_of(piece), piece]
    sure = alone if number is None else None
    return serve(state, line, now_us, sure).get(piece.id)


def _refusal(
    state: State, request: AllocateRequest, user: str, reason: str, broken: Breach | None
) -> Refusal:
    servers, _ = candidates(state, request)
    free = [Free(s.facts.name, s.free_count(), s.cpus_free) for s in servers]
    most_first = sorted(free, key=lambda one: -one.gpus)
    line = state.docket.awake() if reason == "waiting" else ()
    return Refusal(
        "allocate", reason, user, request.asked,
        free=tuple(one for one in most_first if one.gpus)[:SHOWN],
        gpus_free=sum(one.gpus for one in free),
        cpus_free=sum(one.cpus for one in free),
        largest=most_first[0].gpus if most_first else 0,
        servers=_spread(state, request),
        held=holders(state, request),
        breach=broken,
        most=max((len(server.holders) for server in servers), default=0),
        ahead=tuple(Ahead(one.id, one.asked.task, one.user) for one in line[:SHOWN]),
    )  # fmt: skip


def _spread(state: State, request: AllocateRequest) -> int | None:
    """The smallest number of servers over which the request would fit now, where there is one."""
    asked = request.asked
    if exact(request):
        return None
    _, among = candidates(state, request)
    for servers in range(asked.servers + 1, min(asked.gpus, len(state.pool.servers)) + 1):
        even = asked.gpus % servers == 0 and (asked.cpus or 0) % servers == 0
        cpus = asked.cpus and asked.cpus // servers
        if even and place(state.fleet, servers, asked.gpus // servers, cpus, among):
            return servers
    return None
