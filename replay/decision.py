"""Decide: what an allocate gets, or why not. Pure: state, request and actor in, a record out.

The answer is either the `AllocationGranted` to append or a `Refusal`; what is not
well-formed for this pool (no such server, the name in use) is raised.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from .actor import Actor
from .catalogue import AllocationGranted
from .errors import NoSuchServer, TaskInUse
from .facts import Placed, Share, identity
from .hosts import on_host
from .piece import ServerPiece
from .placement import divide, place, share, usual_cpus
from .refusal import Free, Held, Refusal
from .request import AllocateRequest
from .rights import admin_by, by
from .state import State

SHOWN = 8


def decide_allocate(
    state: State, request: AllocateRequest, actor: Actor
) -> AllocationGranted | Refusal:
    """The grant for a request, or its refusal.

    Raises NoSuchServer, and TaskInUse where the holder runs a task of that name.
    """
    asked = request.asked
    request = _located(state, request)
    named = asked.beneficiary is not None
    user = asked.beneficiary or actor.user
    uid, sid = (request.uid, request.sid) if named else (actor.uid, actor.sid)
    _known(state, request.on)
    owner = identity(user, uid, sid)
    for_other = owner != actor.identity
    running = dict(state.tasks(owner)).get(asked.task)
    if running is not None:
        raise TaskInUse(asked.task, user, running)
    admin = admin_by(state.pool.admins, actor) if for_other else None
    shares = _place(state, request)
    reason = _standing_reason(state, request, permitted=not for_other or admin is not None)
    if reason is None and shares is not None:
        return AllocationGranted(
            asked.task, user, shares, asked, by(actor, admin), uid, sid,
            asked.project, asked.note, request.imported,
        )  # fmt: skip
    return _refusal(state, request, user, reason or _momentary_reason(state, request))


def _located(state: State, request: AllocateRequest) -> AllocateRequest:
    """The request with `here` as a place."""
    here = request.asked.here
    if here is None:
        return request
    server = on_host(state, here)
    if server is None:
        raise NoSuchServer(here, state.pool.servers)
    on = request.on or (Placed(server.facts.name),)
    return msgspec.structs.replace(request, on=on)


def _known(state: State, on: tuple[Placed, ...]) -> None:
    for one in on:
        server = state.server(one.server)
        if server is None:
            raise NoSuchServer(one.server, state.pool.servers)
        for gpu in one.gpus or ():
            if server.position(gpu) < 0:
                known = tuple(str(card.index) for card in server.facts.gpus)
                raise NoSuchServer(one.server, known, gpu)


def _exact(request: AllocateRequest) -> bool:
    return any(one.gpus is not None for one in request.on)


def _candidates(state: State, request: AllocateRequest) -> tuple[list[ServerPiece], int]:
    """The servers that come into question, and their bit set."""
    if not request.on:
        return state.fleet.servers, -1
    among = state.fleet.among(one.server for one in request.on)
    return [s for at, s in enumerate(state.fleet.servers) if among >> at & 1], among


def _place(state: State, request: AllocateRequest) -> tuple[Share, ...] | None:
    """Where the request goes as things stand, or None."""
    if _exact(request):
        return _place_exactly(state, request)
    asked = request.asked
    gpus, cpus = asked.gpus // asked.servers, asked.cpus and asked.cpus // asked.servers
    among = state.fleet.among(one.server for one in request.on) if request.on else -1
    return place(state.fleet, asked.servers, gpus, cpus, among)


def _place_exactly(state: State, request: AllocateRequest) -> tuple[Share, ...] | None:
    shares = _shares(state, request)
    for one in shares:
        server = state.server(one.server)
        assert server is not None
        taken = any(server.holder(gpu) or gpu in server.drained for gpu in one.gpus)
        if taken or one.cpus > server.cpus_free:
            return None
    return shares


def _shares(state: State, request: AllocateRequest) -> tuple[Share, ...]:
    """The shares of a request that names each GPU, whether free or not."""
    servers = [state.pieces["server:" + one.server] for one in request.on]
    counts = tuple(len(one.gpus or ()) for one in request.on)
    cpus = divide(request.asked.cpus, counts) if request.asked.cpus is not None else None
    shares = []
    for at, (one, server) in enumerate(zip(request.on, servers, strict=True)):
        assert isinstance(server, ServerPiece)
        assert one.gpus is not None
        given = usual_cpus(server, len(one.gpus)) if cpus is None else cpus[at]
        shares.append(share(server, one.gpus, given))
    return tuple(shares)


def _standing_reason(state: State, request: AllocateRequest, *, permitted: bool) -> str | None:
    """The reason that no waiting would mend: never, not_permitted or limit."""
    if not _possible(state, request):
        return "never"
    if not permitted:
        return "not_permitted"
    limit = state.pool.limits.gpus_per_task
    return "limit" if limit is not None and request.asked.gpus > limit else None


def _possible(state: State, request: AllocateRequest) -> bool:
    """Whether the pool could do it with nothing held and nothing drained."""
    asked = request.asked
    if _exact(request):
        return all(one.cpus <= _cpus(state, one.server) for one in _shares(state, request))
    gpus, cpus = asked.gpus // asked.servers, (asked.cpus or 0) // asked.servers
    if not request.on:
        return state.fleet.could(asked.servers, gpus, cpus)
    servers, _ = _candidates(state, request)
    able = sum(1 for s in servers if len(s.holders) >= gpus and s.facts.cpus >= cpus)
    return able >= asked.servers


def _cpus(state: State, name: str) -> int:
    server = state.server(name)
    return server.facts.cpus if server is not None else 0


def _momentary_reason(state: State, request: AllocateRequest) -> str:
    """The reason that passes: drained, no_gpus, no_cpus or fragmented, the first that applies."""
    asked = request.asked
    servers, _ = _candidates(state, request)
    if _room(servers, request, _undrained):
        return "drained"
    if _exact(request):
        return "no_gpus" if _held(state, request) else "no_cpus"
    if sum(server.free_count() for server in servers) < asked.gpus:
        return "no_gpus"
    lacking = asked.cpus is not None and sum(s.cpus_free for s in servers) < asked.cpus
    if lacking or _room(servers, request, ServerPiece.free_count, cpus_matter=False):
        return "no_cpus"
    return "fragmented"


def _undrained(server: ServerPiece) -> int:
    return server.holders.count(0)


def _room(
    servers: list[ServerPiece],
    request: AllocateRequest,
    free: Callable[[ServerPiece], int],
    *,
    cpus_matter: bool = True,
) -> bool:
    """Whether it would fit, counting free GPUs by `free` and CPUs only where they matter."""
    if _exact(request):
        named = {one.server: one.gpus or () for one in request.on}
        counts = tuple(len(gpus) for gpus in named.values())
        cpus = request.asked.cpus
        parts = None if cpus is None else dict(zip(named, divide(cpus, counts), strict=True))
        return all(
            not any(server.holder(gpu) for gpu in named[server.facts.name])
            and server.cpus_free >= _wanted(server, named, parts)
            for server in servers
        )
    asked = request.asked
    gpus, cpus = asked.gpus // asked.servers, asked.cpus and asked.cpus // asked.servers
    able = 0
    for server in servers:
        wanted = usual_cpus(server, gpus) if cpus is None else cpus
        able += free(server) >= gpus and (not cpus_matter or server.cpus_free >= wanted)
    return able >= asked.servers


def _wanted(
    server: ServerPiece, named: dict[str, tuple[int, ...]], parts: dict[str, int] | None
) -> int:
    name = server.facts.name
    return usual_cpus(server, len(named[name])) if parts is None else parts[name]


def _held(state: State, request: AllocateRequest) -> tuple[Held, ...]:
    """The named GPUs that somebody holds."""
    held = []
    for one in request.on:
        server = state.server(one.server)
        for gpu in one.gpus or ():
            number = server.holder(gpu) if server is not None else 0
            piece = state.allocation(number)
            if piece is not None:
                held.append(Held(one.server, gpu, number, piece.task, piece.user))
    return tuple(held)


def _refusal(state: State, request: AllocateRequest, user: str, reason: str) -> Refusal:
    asked = request.asked
    servers, _ = _candidates(state, request)
    free = [Free(s.facts.name, s.free_count(), s.cpus_free) for s in servers]
    most_first = sorted(free, key=lambda one: -one.gpus)
    return Refusal(
        "allocate", reason, user, asked,
        free=tuple(one for one in most_first if one.gpus)[:SHOWN],
        gpus_free=sum(one.gpus for one in free),
        cpus_free=sum(one.cpus for one in free),
        largest=most_first[0].gpus if most_first else 0,
        servers=_spread(state, request),
        held=_held(state, request),
        limit=state.pool.limits.gpus_per_task if reason == "limit" else None,
        most=max((len(server.holders) for server in servers), default=0),
    )  # fmt: skip


def _spread(state: State, request: AllocateRequest) -> int | None:
    """The smallest number of servers over which the request would fit now, where there is one."""
    asked = request.asked
    if _exact(request):
        return None
    _, among = _candidates(state, request)
    for servers in range(asked.servers + 1, min(asked.gpus, len(state.pool.servers)) + 1):
        even = asked.gpus % servers == 0 and (asked.cpus or 0) % servers == 0
        cpus = asked.cpus and asked.cpus // servers
        if even and place(state.fleet, servers, asked.gpus // servers, cpus, among):
            return servers
    return None
