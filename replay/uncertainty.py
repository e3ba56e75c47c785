"""Uncertainty: what the gaps of a log leave open in a state. Pure."""

from __future__ import annotations

from .facts import Place, Record
from .gap import losses
from .piece import Loss
from .state import State


class Uncertainty(Record, frozen=True):
    """The gaps, and what is in doubt since: allocations that may have ended, requests that may
    have left the line, GPUs that seem to be free, servers that may be others. `unknown` runs,
    granted in a gap, as an extension showed; what it holds nobody can tell.
    """

    losses: tuple[Loss, ...]
    allocations: tuple[int, ...] = ()
    requests: tuple[int, ...] = ()
    free: tuple[Place, ...] = ()
    servers: tuple[str, ...] = ()
    unknown: tuple[int, ...] = ()

    @property
    def open(self) -> bool:
        """Whether anybody who allocates or releases should know of it."""
        return bool(self.allocations or self.requests or self.free or self.unknown)


def uncertainty(state: State) -> Uncertainty | None:
    """What is in doubt; None in a log without gaps."""
    found = losses(state.pieces)
    if not found:
        return None
    servers = list(state.servers())
    free = (
        Place(one.facts.name, tuple(gpu for gpu in one.doubtful if not one.holder(gpu)))
        for one in servers
    )
    return Uncertainty(
        found,
        tuple(one.id for one in state.allocations() if one.uncertain is not None),
        tuple(one.id for one in state.docket.line() if one.uncertain is not None),
        tuple(place for place in free if place.gpus),
        tuple(one.facts.name for one in servers if one.uncertain is not None),
        tuple(number for loss in found for number, ended in loss.told if not ended),
    )
