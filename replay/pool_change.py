"""Decide how the pool changes: a new pool file, drains, resumes. Pure."""

from __future__ import annotations

from hashlib import sha256

from ..ledger.canonical import encode
from .actor import Actor
from .catalogue import PoolChanged, PoolDrained, PoolResumed
from .errors import ReasonNeeded, ServerInUse
from .facts import (
    Admins,
    AskedChange,
    By,
    Limits,
    Member,
    Place,
    Placed,
    Pool,
    Project,
    Record,
    Server,
)
from .hosts import known
from .piece import ServerPiece
from .refusal import Refusal
from .request import placed_text
from .rights import admin_by, by, owns
from .state import State


class InUse(Record, frozen=True):
    """A change that would end running allocations: `change` is `removed`, `shrunk` or `swapped`."""

    server: str
    change: str
    allocations: tuple[int, ...]


class Difference(Record, frozen=True):
    """What a pool file would change. `absent` are servers the file lacks, removed only on
    demand. `projects` and `members` are all of them from then on, where one changes.
    """

    added: tuple[Server, ...] = ()
    changed: tuple[Server, ...] = ()
    absent: tuple[str, ...] = ()
    limits: Limits | None = None
    admins: Admins | None = None
    projects: tuple[Project, ...] | None = None
    members: tuple[Member, ...] | None = None
    in_use: tuple[InUse, ...] = ()

    def empty(self, *, remove: bool) -> bool:
        """Whether applying it would change nothing."""
        whole = (self.limits, self.admins, self.projects, self.members)
        moved = self.added or self.changed or (remove and self.absent)
        return not moved and all(one is None for one in whole)


def pool_of(state: State) -> Pool:
    """The pool as it stands: the one that a pool file would have to say to change nothing."""
    servers = tuple(server.facts for server in state.servers())
    frame = state.pool
    return Pool(servers, frame.limits, frame.admins, frame.projects, frame.members)


def difference(state: State, pool: Pool, *, remove: bool) -> Difference:
    """What applying `pool` would change; the order in it does not matter.

    A pool without admins leaves them as they are, so that nobody locks everybody out.
    """
    before = {server.facts.name: server for server in state.servers()}
    after = {server.name: server for server in pool.servers}
    changed = tuple(
        server for name, server in after.items() if name in before and before[name].facts != server
    )
    absent = tuple(name for name in before if name not in after)
    in_use = [_removal(before[name]) for name in absent if remove]
    in_use += [_reshaping(state, before[server.name], server) for server in changed]
    return Difference(
        tuple(server for name, server in after.items() if name not in before),
        changed,
        absent,
        pool.limits if pool.limits != state.pool.limits else None,
        pool.admins if pool.admins not in (Admins(), state.pool.admins) else None,
        pool.projects if {*pool.projects} != {*state.pool.projects} else None,
        pool.members if {*pool.members} != {*state.pool.members} else None,
        tuple(one for one in in_use if one is not None),
    )


def _holders(server: ServerPiece) -> tuple[int, ...]:
    return tuple(sorted({holder for holder in server.holders if holder}))


def _removal(server: ServerPiece) -> InUse | None:
    held = _holders(server)
    return InUse(server.facts.name, "removed", held) if held else None


def _reshaping(state: State, before: ServerPiece, after: Server) -> InUse | None:
    """Which allocations stand in the way of new facts, the newest first where CPUs run short."""
    cards = {card.index: card for card in after.gpus}
    gone: set[int] = set()
    swapped: set[int] = set()
    for card, holder in zip(before.facts.gpus, before.holders, strict=True):
        if holder and card.index not in cards:
            gone.add(holder)
        elif holder and card.uuid and cards[card.index].uuid not in (None, card.uuid):
            swapped.add(holder)
    ending = gone | swapped
    spare = before.cpus_free + after.cpus - before.facts.cpus
    for holder in reversed(_holders(before)):
        held = _cpus(state, holder, after.name)
        if holder in ending:
            spare += held
        elif spare < 0:
            spare += held
            gone.add(holder)
    if not ending | gone:
        return None
    return InUse(after.name, "shrunk" if gone else "swapped", tuple(sorted(gone | swapped)))


def _cpus(state: State, number: int, server: str) -> int:
    piece = state.allocation(number)
    shares = piece.servers if piece is not None else ()
    return sum(share.cpus for share in shares if share.server == server)


def decide_pool(
    state: State, pool: Pool, actor: Actor, *, remove: bool, force: bool, reason: str | None
) -> PoolChanged | Refusal | None:
    """The change that makes the pool what `pool` says; None where nothing changes.

    Raises ServerInUse where running allocations are in the way and it is not forced, and
    ReasonNeeded where it is and would end others' without a reason.
    """
    admin = admin_by(state.pool.admins, actor)
    if admin is None:
        asked = AskedChange(sha256=sha256(encode(pool)).hexdigest(), reason=reason)
        return Refusal("pool apply", "not_permitted", actor.user, asked_change=asked)
    change = difference(state, pool, remove=remove)
    if change.empty(remove=remove):
        return None
    if change.in_use and not force:
        first = change.in_use[0]
        raise ServerInUse(first.server, first.change, first.allocations)
    ended = tuple(sorted({number for one in change.in_use for number in one.allocations}))
    running = [state.allocation(number) for number in ended]
    others = tuple(piece.id for piece in running if piece is not None and not owns(actor, piece))
    if others and reason is None:
        raise ReasonNeeded("pool apply", others)
    return PoolChanged(
        by(actor, admin), change.added, change.changed, change.absent if remove else (),
        change.limits, change.admins, reason, ended,
        projects=change.projects, members=change.members,
    )  # fmt: skip


def _moving(state: State, on: tuple[Placed, ...], *, drained: bool) -> tuple[Place, ...]:
    """Of the places meant, the GPUs that are (or are not yet) drained. Raises NoSuchServer."""
    known(state, on)
    places: list[Place] = []
    for one in on:
        server = state.server(one.server)
        assert server is not None
        meant = tuple(card.index for card in server.facts.gpus) if one.gpus is None else one.gpus
        gpus = tuple(gpu for gpu in meant if (gpu in server.drained) is drained)
        if gpus:
            places.append(Place(one.server, gpus))
    return tuple(places)


def _moved(
    state: State, act: str, on: tuple[Placed, ...], actor: Actor, reason: str | None
) -> tuple[By, tuple[Place, ...]] | Refusal | None:
    """By whom `act`, drain or resume, moves which GPUs; None where it moves none."""
    admin = admin_by(state.pool.admins, actor)
    places = _moving(state, on, drained=act == "resume")
    if admin is None:
        asked = AskedChange(tuple(map(placed_text, on)), reason=reason)
        return Refusal(act, "not_permitted", actor.user, asked_change=asked)
    return (by(actor, admin), places) if places else None


def decide_drain(
    state: State, on: tuple[Placed, ...], actor: Actor, reason: str | None
) -> PoolDrained | Refusal | None:
    """The drain of what is not drained yet; None where all of it is. Raises NoSuchServer."""
    moved = _moved(state, "drain", on, actor, reason)
    return PoolDrained(*moved, reason) if isinstance(moved, tuple) else moved


def decide_resume(
    state: State, on: tuple[Placed, ...], actor: Actor, reason: str | None
) -> PoolResumed | Refusal | None:
    """The return of what is drained; None where nothing of it is. Raises NoSuchServer."""
    moved = _moved(state, "resume", on, actor, reason)
    return PoolResumed(*moved, reason) if isinstance(moved, tuple) else moved
