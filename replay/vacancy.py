"""Vacancy: what is free, as mere counts: a yes or no for one who names no single GPU. Pure.

Whoever foresees gives back lease after lease; with servers in full, each made anew every time,
that costs ten times as much.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from .facts import Share
from .placement import Fleet, usual_cpus
from .request import AllocateRequest


class _Room(msgspec.Struct, gc=False):
    """Free GPUs on a server, CPUs free beyond what the request wants there, and drained GPUs."""

    gpus: int
    spare: int
    drained: tuple[int, ...]


class Vacancy:
    """What is free on the servers that a request could use, and on how many it would have room.

    `usable` holds them as a bit set over pool positions.
    """

    __slots__ = ("_able", "_gpus", "_rooms", "_servers")

    def __init__(self, fleet: Fleet, request: AllocateRequest, usable: int) -> None:
        asked = request.asked
        self._servers = asked.servers
        self._gpus, cpus = asked.each
        self._rooms: dict[str, _Room] = {}
        self._able = 0
        while usable:
            lowest = usable & -usable
            server = fleet.servers[lowest.bit_length() - 1]
            wanted = usual_cpus(server, self._gpus) if cpus is None else cpus
            room = _Room(server.free_count(), server.cpus_free - wanted, server.drained)
            self._rooms[server.facts.name] = room
            self._able += room.gpus >= self._gpus and room.spare >= 0
            usable ^= lowest

    def enough(self) -> bool:
        """Whether the request has room."""
        return self._able >= self._servers

    def give(self, shares: Iterable[Share]) -> bool:
        """Let nobody hold these shares; whether any of them is on these servers."""
        return self._move(shares, 1)

    def take(self, shares: Iterable[Share]) -> bool:
        """Let somebody hold these shares, which are free; whether any is on these servers."""
        return self._move(shares, -1)

    def _move(self, shares: Iterable[Share], sign: int) -> bool:
        met, wanted = False, self._gpus
        for share in shares:
            room = self._rooms.get(share.server)
            if room is None:
                continue
            gpus, spare, count = room.gpus, room.spare, len(share.gpus)
            if room.drained:
                count -= sum(gpu in room.drained for gpu in share.gpus)
            room.gpus = left = gpus + sign * count
            room.spare = spared = spare + sign * share.cpus
            self._able += (left >= wanted and spared >= 0) - (gpus >= wanted and spare >= 0)
            met = True
        return met
