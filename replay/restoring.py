"""What a restored ledger begins with: nobody knows what was granted since, so nothing is free.

Works in the turn of the new ledger, behind the events that were restored.
"""

from __future__ import annotations

from ..ledger.log import Turn
from .actor import Actor
from .batch import Batch, Recorded
from .catalogue import MirrorRemoved, PoolDrained
from .facts import Place
from .keeping import Keeping
from .rights import by

ELSEWHERE = "restored into another file"


def hold_back(turn: Turn, actor: Actor, reason: str | None, *, apart: bool) -> Recorded:
    """Drain all servers, for a `reason` that names the last seq that was restored.

    What was due by then ends first. A ledger `apart` is not in its place, and gives up the mirrors,
    which belong to the one that is. Raises BrokenChain, UnknownEvent.
    """
    restored = turn.head.seq
    keeping = Keeping([])
    batch = Batch(turn, keeping)
    batch.lapse(actor)
    for directory in list(batch.state.docket.mirrors) if apart else ():
        batch.append(MirrorRemoved(by(actor), directory, ELSEWHERE), actor.identity)
    places = tuple(
        Place(server.facts.name, tuple(card.index for card in server.facts.gpus))
        for server in batch.state.servers()
        if server.facts.gpus  # a forged one without any counts as none
    )
    why = f"restored to seq {restored}; later grants unknown"
    why = why if reason is None else f"{why}: {reason}"
    drained = batch.append(PoolDrained(by(actor), places, why), actor.identity)
    keeping.save(turn)
    return drained


def keep(turn: Turn) -> None:
    """Save snapshot and projections of what was copied. Raises BrokenChain, UnknownEvent."""
    keeping = Keeping([])
    Batch(turn, keeping)
    keeping.save(turn)
