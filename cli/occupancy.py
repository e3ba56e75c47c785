"""Occupancy: what of each server is free, and who holds each of its GPUs.

One row a server, from which the table, the CSV and the JSON document of `status` are
made alike. A drained GPU is not free; a drained GPU that is held counts as held.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..replay.facts import Card, Record
from ..replay.piece import AllocationPiece, ServerPiece
from ..replay.state import State


class Seat(Record, frozen=True):
    """One GPU: `state` is `free`, `held` or `drained`; one that is held may be `drained`, too.

    Whether it is held, and by whom, is `doubtful` where a gap leaves that open.
    """

    index: int
    uuid: str | None
    state: str
    holder: AllocationPiece | None
    drained: bool
    doubtful: bool = False


class Occupancy(Record, frozen=True):
    """One server: `state` is `idle`, `mixed`, `full`, `draining` or `drained`; `tasks` a count.

    `uncertain` is the first lost seq of the gap since which its facts are not certain.
    """

    server: str
    state: str
    gpus_free: int
    gpus_held: int
    gpus_total: int
    cpus_free: int
    cpus_total: int
    tasks: int
    seats: tuple[Seat, ...]
    uncertain: int | None = None


class Totals(Record, frozen=True):
    """Sums over servers; a task on several of them counts once."""

    gpus_free: int
    gpus_held: int
    gpus_total: int
    cpus_free: int
    cpus_total: int
    tasks: int


def occupancies(state: State, servers: Iterable[ServerPiece]) -> list[Occupancy]:
    """The rows of these servers."""
    running = {piece.id: piece for piece in state.allocations()}
    return [_occupancy(server, running) for server in servers]


def totals(rows: Iterable[Occupancy]) -> Totals:
    """The sums over rows."""
    rows = list(rows)
    holders = {seat.holder.id for row in rows for seat in row.seats if seat.holder}
    return Totals(
        sum(row.gpus_free for row in rows),
        sum(row.gpus_held for row in rows),
        sum(row.gpus_total for row in rows),
        sum(row.cpus_free for row in rows),
        sum(row.cpus_total for row in rows),
        len(holders),
    )


def _occupancy(server: ServerPiece, running: dict[int, AllocationPiece]) -> Occupancy:
    seats = tuple(
        _seat(card, running.get(holder), server)
        for card, holder in zip(server.facts.gpus, server.holders, strict=True)
    )
    free = sum(seat.state == "free" for seat in seats)
    held = sum(seat.state == "held" for seat in seats)
    return Occupancy(
        server.facts.name, _state(len(seats), free=free, held=held, drained=len(server.drained)),
        free, held, len(seats), max(0, server.cpus_free), server.facts.cpus,
        len({holder for holder in server.holders if holder}), seats, server.uncertain,
    )  # fmt: skip


def _seat(card: Card, holder: AllocationPiece | None, server: ServerPiece) -> Seat:
    drained = card.index in server.drained
    state = "held" if holder is not None else "drained" if drained else "free"
    return Seat(card.index, card.uuid, state, holder, drained, card.index in server.doubtful)


def _state(total: int, *, free: int, held: int, drained: int) -> str:
    """The state of a server; one of which some GPUs are drained is judged by the others."""
    if drained == total:
        return "draining" if held else "drained"
    if not free:
        return "full"
    return "mixed" if held else "idle"
