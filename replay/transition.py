"""The difference of two states: what changed between two instants."""

from __future__ import annotations

from .facts import Place, Record, Server
from .gap import losses
from .piece import AllocationPiece, ServerPiece
from .state import State


class Transition(Record, frozen=True):
    """What the later state has and the earlier has not, and the other way round.

    `unsure` are those of the ended that ended somewhere in a gap.
    """

    added: tuple[Server, ...] = ()
    changed: tuple[Server, ...] = ()
    removed: tuple[str, ...] = ()
    started: tuple[AllocationPiece, ...] = ()
    ended: tuple[AllocationPiece, ...] = ()
    drained: tuple[Place, ...] = ()
    resumed: tuple[Place, ...] = ()
    unsure: tuple[int, ...] = ()


def transition(before: State, after: State) -> Transition:
    """What changed from `before` to `after`."""
    then, now = _servers(before), _servers(after)
    was = {piece.id: piece for piece in before.allocations()}
    runs = {piece.id: piece for piece in after.allocations()}
    return Transition(
        tuple(server.facts for name, server in now.items() if name not in then),
        tuple(s.facts for name, s in now.items() if name in then and then[name].facts != s.facts),
        tuple(name for name in then if name not in now),
        tuple(piece for number, piece in runs.items() if number not in was),
        tuple(piece for number, piece in was.items() if number not in runs),
        _moved(then, now),
        _moved(now, then, on=now),
        tuple(one for loss in losses(after.pieces) for one in loss.ended if one in was),
    )


def _servers(state: State) -> dict[str, ServerPiece]:
    if not state.pieces:
        return {}
    return {server.facts.name: server for server in state.servers()}


def _moved(
    then: dict[str, ServerPiece],
    now: dict[str, ServerPiece],
    *,
    on: dict[str, ServerPiece] | None = None,
) -> tuple[Place, ...]:
    """GPUs drained in `now` and not in `then`; of those only what `on` has, where it is given."""
    moved: list[Place] = []
    for name, server in now.items():
        before = then[name].drained if name in then else ()
        gpus = tuple(gpu for gpu in server.drained if gpu not in before)
        if on is not None:
            left = on.get(name)
            gpus = tuple(gpu for gpu in gpus if left is not None and left.position(gpu) >= 0)
        if gpus:
            moved.append(Place(name, gpus))
    return tuple(moved)
