"""Moving GPUs out of service and back: the places that `drain` and `resume` name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ..replay.facts import Place, Placed, Share
from . import shape
from .hostrange import places
from .placing import place_text

if TYPE_CHECKING:
    from ..handle import Ledger
    from ..replay.batch import Recorded
    from .session import Session


def named_places(texts: Iterable[str]) -> tuple[Placed, ...]:
    """The servers and GPUs that `SERVER[:GPUS]` words mean, each server once.

    A server that is named whole stays whole, whatever else is named of it.
    """
    found: dict[str, tuple[int, ...] | None] = {}
    for text in texts:
        for place in places(text):
            before = found.get(place.server, ())
            if before is None or place.gpus is None:
                found[place.server] = None
            else:
                found[place.server] = tuple(sorted({*before, *place.gpus}))
    return tuple(Placed(server, gpus) for server, gpus in found.items())


def moved(done: Sequence[Place]) -> str:
    """The places of an event as people write them."""
    return place_text(Share(place.server, place.gpus, 0) for place in done)


def to_tell(
    session: Session, ledger: Ledger, recorded: Recorded | None, done: str, *, nothing: str
) -> tuple[Place, ...]:
    """The places that were moved, for a sentence about them; none where it is all told already.

    JSON is printed here, under the word `done`, and `nothing` where there was nothing to do.
    """
    session.notices(ledger)
    moved_places: tuple[Place, ...] = () if recorded is None else recorded.payload.places
    if session.json:
        seq = ledger.head().seq if recorded is None else recorded.event.seq
        session.document(shape.places(seq, done, moved_places))
        return ()
    if recorded is None:
        session.notice(nothing)
    return moved_places
