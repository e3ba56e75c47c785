"""The invariants of a state, as a named list of small checks that one loop runs.

A new invariant is a line in `INVARIANTS` and a test of that name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from .piece import (
    GAPS,
    POOL,
    AllocationPiece,
    Piece,
    PoolPiece,
    ServerPiece,
    SpentPiece,
    TasksPiece,
    WaitingPiece,
)
from .problem import Problem

Pieces = Mapping[str, Piece]


def _held_by_one(pieces: Pieces) -> Iterator[str]:
    """Each GPU has at most one holder: what servers and allocations say is the same."""
    said = {
        (server.facts.name, card.index): holder
        for server in pieces.values()
        if isinstance(server, ServerPiece)
        for card, holder in zip(server.facts.gpus, server.holders, strict=True)
        if holder
    }
    counted = Counter(
        (share.server, gpu)
        for piece in pieces.values()
        if isinstance(piece, AllocationPiece)
        for share in piece.servers
        for gpu in share.gpus
    )
    yield from (f"{server}:{gpu} has two holders" for (server, gpu), n in counted.items() if n > 1)
    yield from (f"{server}:{gpu} is said otherwise" for server, gpu in said.keys() ^ counted.keys())


def _cpus_add_up(pieces: Pieces) -> Iterator[str]:
    """On each server the CPUs held and free add up to what it has, and none is owed, but by
    those that may have ended in a gap.
    """
    held: Counter[str] = Counter()
    unsure: Counter[str] = Counter()
    for piece in pieces.values():
        if isinstance(piece, AllocationPiece):
            for share in piece.servers:
                held[share.server] += share.cpus
                unsure[share.server] += 0 if piece.uncertain is None else share.cpus
    for server in pieces.values():
        if isinstance(server, ServerPiece):
            used = held[server.facts.name]
            owed = server.cpus_free + unsure[server.facts.name] < 0
            if owed or server.cpus_free + used != server.facts.cpus:
                yield f"{server.facts.name}: {used} CPUs held, {server.cpus_free} free"


def _tasks_are_listed(pieces: Pieces) -> Iterator[str]:
    """Each running allocation stands once in its owner's list of tasks, and nothing else does."""
    listed = Counter(
        (key.partition(":")[2], name, number)
        for key, piece in pieces.items()
        if isinstance(piece, TasksPiece)
        for name, number in piece.tasks
    )
    running = Counter(
        (piece.owner, piece.task, piece.id)
        for piece in pieces.values()
        if isinstance(piece, AllocationPiece)
    )
    yield from (
        f"task {task} of {owner}" for owner, task, _ in (listed - running) + (running - listed)
    )


def _pool_is_whole(pieces: Pieces) -> Iterator[str]:
    """Each server of the pool has its piece, and drained GPUs are GPUs that it has."""
    pool = pieces.get(POOL)
    for name in pool.servers if isinstance(pool, PoolPiece) else ():
        server = pieces.get("server:" + name)
        if not isinstance(server, ServerPiece):
            yield f"{name} is in the pool, and nowhere"
        elif any(server.position(gpu) < 0 for gpu in server.drained):
            yield f"{name}: a GPU that it has not is drained"


def _ids_are_their_own(pieces: Pieces) -> Iterator[str]:
    """An allocation and a waiting request stand under their own number, which is no other's."""
    numbered = {
        key: piece
        for key, piece in pieces.items()
        if isinstance(piece, AllocationPiece | WaitingPiece)
    }
    for key, piece in numbered.items():
        kind = "waiting" if isinstance(piece, WaitingPiece) else "allocation"
        if key != f"{kind}:{piece.id}":
            yield f"{key} has the number {piece.id}"
    twice = Counter(piece.id for piece in numbered.values())
    yield from (f"{number} runs and waits" for number, times in twice.items() if times > 1)


def _spent_adds_up(pieces: Pieces) -> Iterator[str]:
    """GPU time is counted where a limit counts it, hour by hour, and never less than none."""
    pool = pieces.get(POOL)
    counted = isinstance(pool, PoolPiece) and pool.window
    for key, piece in pieces.items():
        if isinstance(piece, SpentPiece):
            hours = [hour for hour, _ in piece.hours]
            ordered = hours and hours == sorted(set(hours))
            if not (counted and ordered and all(spent > 0 for _, spent in piece.hours)):
                yield key


def _doubt_has_a_gap(pieces: Pieces) -> Iterator[str]:
    """Nothing is in doubt without a gap, and what may have ended holds what is in doubt."""
    holds = {
        (share.server, gpu): piece
        for piece in pieces.values()
        if isinstance(piece, AllocationPiece)
        for share in piece.servers
        for gpu in share.gpus
    }
    for key, piece in pieces.items():
        if getattr(piece, "uncertain", None) is not None and GAPS not in pieces:
            yield key
        if isinstance(piece, ServerPiece):
            indices = {card.index for card in piece.facts.gpus}
            wrong = {*piece.doubtful} - indices
            for gpu in indices:
                holder = holds.get((piece.facts.name, gpu))
                if holder and (gpu in piece.doubtful) != (holder.uncertain is not None):
                    wrong.add(gpu)
            yield from (f"{key}: {gpu}" for gpu in sorted(wrong))


INVARIANTS: dict[str, Callable[[Pieces], Iterator[str]]] = {
    "each GPU has at most one holder": _held_by_one,
    "CPUs are never over-committed": _cpus_add_up,
    "each task is listed once": _tasks_are_listed,
    "the pool is whole": _pool_is_whole,
    "each number is one allocation's or one request's": _ids_are_their_own,
    "GPU time is counted by hours": _spent_adds_up,
    "doubt has a gap": _doubt_has_a_gap,
}


def broken(pieces: Pieces) -> list[Problem]:
    """What contradicts itself in a state, as problems."""
    return [
        Problem(None, "invariant", f"{name}: {what}")
        for name, check in INVARIANTS.items()
        for what in check(pieces)
    ]
