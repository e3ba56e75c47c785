"""Fit: whether and where a request has room, now or with the pool idle. Pure."""

from __future__ import annotations

from collections.abc import Callable

from .facts import Record, Share
from .piece import ServerPiece
from .placement import Fleet, divide, place, share, usual_cpus
from .request import AllocateRequest
from .state import State


class Held(Record, frozen=True):
    """A named GPU that somebody holds; `uncertain` where that may have ended in a gap."""

    server: str
    gpu: int
    allocation: int
    task: str
    user: str
    uncertain: bool = False


def exact(request: AllocateRequest) -> bool:
    """Whether it names each GPU."""
    return bool(request.on) and any(one.gpus is not None for one in request.on)


def candidates(state: State, request: AllocateRequest) -> tuple[list[ServerPiece], int]:
    """The servers that come into question, and their bit set."""
    if not request.on:
        return state.fleet.servers, -1
    among = state.fleet.among(one.server for one in request.on)
    return [s for at, s in enumerate(state.fleet.servers) if among >> at & 1], among


def wanted_cpus(state: State, request: AllocateRequest) -> int:
    """The CPUs in all that a request gets at most: as asked, or as go with its GPUs."""
    asked = request.asked
    if asked.cpus is not None:
        return asked.cpus
    if exact(request):
        return sum(one.cpus for one in named_shares(state.fleet, request))
    gpus, _ = asked.each
    servers, _ = candidates(state, request)
    return asked.servers * max((usual_cpus(s, gpus) for s in servers), default=0)


def find_place(fleet: Fleet, request: AllocateRequest, among: int = -1) -> tuple[Share, ...] | None:
    """Where the request goes as things stand, or None; `among` is a bit set of pool positions."""
    if exact(request):
        return _place_exactly(fleet, request)
    asked = request.asked
    gpus, cpus = asked.each
    if request.on:
        among &= fleet.among(one.server for one in request.on)
    return place(fleet, asked.servers, gpus, cpus, among)


def _place_exactly(fleet: Fleet, request: AllocateRequest) -> tuple[Share, ...] | None:
    shares = named_shares(fleet, request)
    for one in shares:
        server = fleet.find(one.server)
        assert server is not None
        taken = any(server.holder(gpu) or gpu in server.drained for gpu in one.gpus)
        if taken or one.cpus > server.cpus_free:
            return None
    return shares


def named_shares(fleet: Fleet, request: AllocateRequest) -> tuple[Share, ...]:
    """The shares of a request that names each GPU, whether free or not."""
    servers = [fleet.find(one.server) for one in request.on]
    counts = tuple(len(one.gpus or ()) for one in request.on)
    cpus = divide(request.asked.cpus, counts) if request.asked.cpus is not None else None
    shares: list[Share] = []
    for at, (one, server) in enumerate(zip(request.on, servers, strict=True)):
        assert server is not None
        assert one.gpus is not None
        given = usual_cpus(server, len(one.gpus)) if cpus is None else cpus[at]
        shares.append(share(server, one.gpus, given))
    return tuple(shares)


def usable(fleet: Fleet, request: AllocateRequest) -> int:
    """The bit set of the servers on which it may ever have room as they are drained now.

    0 where those are too few for it.
    """
    asked = request.asked
    if exact(request):
        return _named_usable(fleet, request)
    gpus, cpus = asked.each
    among = fleet.among(one.server for one in request.on) if request.on else -1
    bits = count = 0
    for at, server in enumerate(fleet.servers):
        wanted = usual_cpus(server, gpus) if cpus is None else cpus
        enough = len(server.holders) - len(server.drained) >= gpus and server.facts.cpus >= wanted
        if enough and among >> at & 1:
            bits |= 1 << at
            count += 1
    return bits if count >= asked.servers else 0


def _named_usable(fleet: Fleet, request: AllocateRequest) -> int:
    shares = named_shares(fleet, request)
    for one in shares:
        server = fleet.find(one.server)
        assert server is not None
        if one.cpus > server.facts.cpus or not set(one.gpus).isdisjoint(server.drained):
            return 0
    return fleet.under(shares)


def possible(state: State, request: AllocateRequest) -> bool:
    """Whether the pool could do it with nothing held and nothing drained."""
    asked = request.asked
    if exact(request):
        return all(
            one.cpus <= _cpus(state, one.server) for one in named_shares(state.fleet, request)
        )
    gpus, cpus = asked.each
    if not request.on:
        return state.fleet.could(asked.servers, gpus, cpus or 0)
    servers, _ = candidates(state, request)
    able = sum(1 for s in servers if len(s.holders) >= gpus and s.facts.cpus >= (cpus or 0))
    return able >= asked.servers


def _cpus(state: State, name: str) -> int:
    server = state.server(name)
    return server.facts.cpus if server is not None else 0


def momentary_reason(state: State, request: AllocateRequest) -> str:
    """The reason that passes: drained, no_gpus, no_cpus or fragmented, the first that applies."""
    asked = request.asked
    servers, _ = candidates(state, request)
    if _room(servers, request, _undrained):
        return "drained"
    if exact(request):
        return "no_gpus" if holders(state, request) else "no_cpus"
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
    if exact(request):
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
    gpus, cpus = asked.each
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


def holders(state: State, request: AllocateRequest) -> tuple[Held, ...]:
    """The named GPUs that somebody holds."""
    held: list[Held] = []
    for one in request.on:
        server = state.server(one.server)
        for gpu in one.gpus or ():
            number = server.holder(gpu) if server is not None else 0
            piece = state.allocation(number)
            if piece is not None:
                unsure = piece.uncertain is not None
                held.append(Held(one.server, gpu, number, piece.task, piece.user, unsure))
    return tuple(held)
