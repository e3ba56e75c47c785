"""Foresight: when one who has no room will have it, as the leases tell, and what would hinder it.

Pure. A lease that ends early or is extended is seen when all is worked out anew, next turn.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from .facts import Share
from .fit import exact, find_place
from .piece import ServerPiece
from .placement import Fleet
from .request import AllocateRequest

Shares = tuple[Share, ...]
Ends = list[tuple[int, int, Shares]]
"""What will be free and when: the end of a lease (microseconds UTC), whose, and what it holds."""
NEVER = 1 << 62
"""Instead of an end, where there is none."""


class Outlook(Protocol):
    """What is held as things stand, and until when."""

    trial: Fleet

    def ends(self) -> Ends:
        """The leases that run, in no order."""
        ...

    def held_by(self, number: int) -> Shares:
        """What an allocation holds."""
        ...


class Blocked:
    """One in line who has no room.

    `usable` holds the servers that it could use as a bit set over pool positions. When it has
    room is worked out when somebody would pass it on one of them.
    """

    def __init__(self, request: AllocateRequest, usable: int, outlook: Outlook) -> None:
        self.usable = usable
        self._request = request
        self._outlook = outlook
        self._start: int | None = None
        self._then: Fleet | None = None

    def hindered_by(self, shares: Shares, until: int) -> bool:
        """Whether it might start later if these shares were held until then."""
        if not self._outlook.trial.under(shares) & self.usable or not self.minds(until):
            return False
        then = self._foreseen().copy()
        then.take(shares, -1)
        return find_place(then, self._request) is None

    def minds(self, until: int) -> bool:
        """Whether it matters to it what is held until then: all does where no lease tells."""
        self._foreseen()
        return self._start is None or until > self._start

    def admit(self, shares: Shares, until: int) -> None:
        """Remember that these shares, which do not hinder it, are held until then."""
        if self._then is not None and self.minds(until):
            self._then.take(shares, -1)

    def closed(self) -> int:
        """The bit set of the servers of which it can spare nothing at all, whatever is asked."""
        sure = self._start is not None or find_place(self._foreseen(), self._request) is not None
        return 0 if sure else self.usable

    def apart(self, trial: Fleet) -> Fleet:
        """The trial without the free GPUs that it names, where it names any."""
        if not exact(self._request):
            return trial
        rest = trial.copy()
        for server, gpu in self._named(trial):
            if not server.holder(gpu):
                rest.take((Share(server.facts.name, (gpu,), 0),), -1)
        return rest

    def _foreseen(self) -> Fleet:
        """The servers as it will find them at its start; as they are where nothing tells."""
        if self._then is None:
            self._then = self._wait()
            if self._start is None and exact(self._request):
                self._then = self._vacated()
        return self._then

    def _wait(self) -> Fleet:
        """Let leases end until it has room, and all of that instant."""
        then = self._outlook.trial.copy()
        for end, _, shares in sorted(self._outlook.ends()):
            if self._start is not None and end > self._start:
                break
            if then.under(shares) & self.usable:
                then.give(shares)
                if self._start is None and find_place(then, self._request) is not None:
                    self._start = end
        return then if self._start is not None else self._outlook.trial.copy()

    def _vacated(self) -> Fleet:
        """Whoever names single GPUs waits for nothing but those who hold them."""
        then = self._outlook.trial.copy()
        holders = {server.holder(gpu) for server, gpu in self._named(then)} - {0}
        for number in holders:
            then.give(self._outlook.held_by(number))
        return then

    def _named(self, fleet: Fleet) -> Iterator[tuple[ServerPiece, int]]:
        """Each GPU that it names, with its server."""
        for place in self._request.on:
            server = fleet.find(place.server)
            assert server is not None
            yield from ((server, gpu) for gpu in place.gpus or ())
