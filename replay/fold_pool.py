"""The part of fold that changes the pool: creation, servers added, changed, removed, drains."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping

import msgspec

from .catalogue import LedgerCreated, PoolChanged
from .facts import Card, Place, Server
from .holding import Capacity
from .piece import GAPS, POOL, Piece, PoolPiece, ServerPiece, WaitingPiece
from .spent import forget, longest
from .taking import Impossible

Pieces = MutableMapping[str, Piece]


def create(pieces: Pieces, at: int, created: LedgerCreated) -> tuple[list[str], list[Capacity]]:
    """The first pool; returns touched keys and the capacity it brings."""
    pool = created.pool
    names = tuple(server.name for server in pool.servers)
    if len(set(names)) < len(names):
        raise Impossible("server_there")
    fresh = {"server:" + server.name: _empty(_sound(server)) for server in pool.servers}
    window = longest(pool.limits, pool.projects, pool.members)
    pieces[POOL] = PoolPiece(
        created.ledger, names, pool.limits, pool.admins, pool.projects, pool.members, window
    )
    pieces.update(fresh)
    keys = [POOL, *("server:" + name for name in names)]
    return keys, [capacity(pieces, name, at) for name in names]


def _sound(server: Server) -> Server:
    """The facts as they are, where they can be: each GPU named once, no fewer CPUs than none."""
    if len({card.index for card in server.gpus}) < len(server.gpus):
        raise Impossible("gpu_held")
    if server.cpus < 0:
        raise Impossible("cpus_exceeded")
    return server


def _empty(server: Server, ended: int = 0) -> ServerPiece:
    return ServerPiece(server, (0,) * len(server.gpus), server.cpus, ended=ended)


def capacity(pieces: Pieces, name: str, at: int) -> Capacity:
    """What server `name` offers as the pieces stand."""
    server = pieces.get("server:" + name)
    if not isinstance(server, ServerPiece):
        return Capacity(at, name, (), 0)
    gpus = tuple(card.index for card in server.facts.gpus)
    return Capacity(at, name, gpus, server.facts.cpus, server.drained)


def change_pool(pieces: Pieces, at: int, change: PoolChanged) -> tuple[list[str], list[Capacity]]:
    """Servers removed, changed and added, in this order; `pieces` may be left half done on
    Impossible.
    """
    pool = pieces.get(POOL)
    if not isinstance(pool, PoolPiece):
        raise Impossible("unknown_server")
    names = list(pool.servers)
    for name in change.removed:
        if name not in names:
            raise Impossible("unknown_server")
        names.remove(name)
        _remove(pieces, "server:" + name)
    for server in change.changed:
        if server.name not in names:
            raise Impossible("unknown_server")
        key = "server:" + server.name
        pieces[key] = _reshape(_server(pieces, server.name), _sound(server))
    for server in change.added:
        if server.name in names:
            raise Impossible("server_there")
        names.append(server.name)
        before = pieces.get("server:" + server.name)
        ended = before.ended if isinstance(before, ServerPiece) else 0
        pieces["server:" + server.name] = _empty(_sound(server), ended)
    pieces[POOL] = frame = _frame(pool, tuple(names), change)
    moved = [*change.removed, *(s.name for s in change.changed), *(s.name for s in change.added)]
    keys = [POOL, *("server:" + name for name in moved)]
    keys += _uncounted(pieces, frame.window)
    keys += _reordered(pieces, frame) if change.projects is not None else []
    return keys, [capacity(pieces, name, at) for name in dict.fromkeys(moved)]


def _frame(pool: PoolPiece, names: tuple[str, ...], change: PoolChanged) -> PoolPiece:
    limits, admins = change.limits or pool.limits, change.admins or pool.admins
    projects = pool.projects if change.projects is None else change.projects
    members = pool.members if change.members is None else change.members
    window = longest(limits, projects, members)
    return PoolPiece(pool.ledger, names, limits, admins, projects, members, window)


def _uncounted(pieces: Pieces, window: int) -> list[str]:
    """Where no limit counts GPU-hours any more, what was counted goes; returns touched keys."""
    return [] if window else forget(pieces)


def _reordered(pieces: Pieces, frame: PoolPiece) -> list[str]:
    """Who waits for a project gets the place in the line that it has now; returns touched keys."""
    fresh: dict[str, Piece] = {}
    for key, piece in pieces.items():
        if isinstance(piece, WaitingPiece) and piece.project is not None:
            place = frame.priority(piece.project)
            if place != piece.priority:
                fresh[key] = msgspec.structs.replace(piece, priority=place)
    pieces.update(fresh)
    return list(fresh)


def _server(pieces: Pieces, name: str) -> ServerPiece:
    server = pieces.get("server:" + name)
    if not isinstance(server, ServerPiece) or not server.holders:
        raise Impossible("unknown_server")
    return server


def _remove(pieces: Pieces, key: str) -> None:
    server = pieces[key]
    assert isinstance(server, ServerPiece)
    if any(server.holders) or server.cpus_free < server.facts.cpus:
        raise Impossible("server_in_use")
    if server.ended or GAPS in pieces:  # behind a gap it must be known that it is gone
        pieces[key] = gone(server.facts.name, server.ended)
    else:
        del pieces[key]


def gone(name: str, ended: int) -> ServerPiece:
    """What stays of a removed server that had `ended` holdings."""
    return ServerPiece(Server(name, 0, ()), (), 0, ended=ended)


def _reshape(before: ServerPiece, facts: Server) -> ServerPiece:
    """The server with new facts; what is held must still be there, and the same card."""
    held = {
        card.index: (holder, card.uuid)
        for card, holder in zip(before.facts.gpus, before.holders, strict=True)
        if holder
    }
    cards = {card.index: card for card in facts.gpus}
    known = before.uncertain is None  # else a card may have got its UUID in a gap
    for index, (_, uuid) in held.items():
        if index not in cards or (known and uuid and cards[index].uuid not in (None, uuid)):
            raise Impossible("server_in_use")
    cpus_free = before.cpus_free + facts.cpus - before.facts.cpus
    if cpus_free < 0 and not before.doubtful:
        raise Impossible("server_in_use")
    wholly = before.holders and len(before.drained) == len(before.holders)
    drained = tuple(i for i in sorted(cards) if wholly or i in before.drained)
    holders = tuple(held[card.index][0] if card.index in held else 0 for card in facts.gpus)
    doubtful = _doubtful(before, cards) if before.doubtful or before.uncertain else ()
    return ServerPiece(facts, holders, cpus_free, drained, before.ended, doubtful)


def _doubtful(before: ServerPiece, cards: Mapping[int, Card]) -> tuple[int, ...]:
    """Of the GPUs that a server has from now on, those of which a gap leaves open who holds them.

    Where the facts before were certain, nobody can hold a card that is new.
    """
    old = {card.index: card.uuid for card in before.facts.gpus}

    def in_doubt(index: int, uuid: str | None) -> bool:
        if before.uncertain is not None:
            return index in before.doubtful or index not in old
        return index in before.doubtful and not (old[index] and uuid not in (None, old[index]))

    return tuple(index for index in sorted(cards) if in_doubt(index, cards[index].uuid))


def mark_drained(
    pieces: Pieces, at: int, places: Iterable[Place], *, drained: bool
) -> tuple[list[str], list[Capacity]]:
    """Drain or resume the named GPUs; returns touched keys and the capacity from then on."""
    fresh: dict[str, ServerPiece] = {}
    for place in places:
        key = "server:" + place.server
        server = fresh.get(key) or _server(pieces, place.server)
        if any(server.position(gpu) < 0 for gpu in place.gpus):
            raise Impossible("unknown_gpu")
        marked = set(server.drained) | set(place.gpus)
        left = marked if drained else set(server.drained) - set(place.gpus)
        fresh[key] = msgspec.structs.replace(server, drained=tuple(sorted(left)))
    pieces.update(fresh)
    names = [key.partition(":")[2] for key in fresh]
    return list(fresh), [capacity(pieces, name, at) for name in names]
