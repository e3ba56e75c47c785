"""Moving GPUs out of service and back: the places that `drain` and `resume` name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..replay.facts import Place, Placed, Share
from .hostrange import places
from .placing import place_text


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
