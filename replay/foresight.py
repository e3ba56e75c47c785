"""Foresight: when one who has no room will have it, as the leases tell, and what would hinder it.

Pure. A lease that ends early or is extended is seen when all is worked out anew, next turn.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from .facts import Share
from .fit import exact, find_place
from .piece import ServerPiece
from .placement import Fleet
from .request import AllocateRequest
from .vacancy import Vacancy

Shares = tuple[Share, ...]
NEVER = 1 << 62
"""Instead of an end, where there is none."""


class Outlook(Protocol):
    """What is held as things stand, and until when."""

    trial: Fleet

    def ends(self) -> Iterable[tuple[int, Shares]]:
        """When the leases end that run (microseconds UTC), in order, and what each holds."""
        ...

    def held_by(self, number: int) -> Shares:
        """What an allocation holds."""
        ...


class _Named:
    """What is free, for one who names GPUs; as Vacancy is for others."""

    def __init__(self, fleet: Fleet, request: AllocateRequest, usable: int) -> None:
        self._fleet = fleet.copy()
        self._request = request
        self._usable = usable

    def enough(self) -> bool:
        return find_place(self._fleet, self._request) is not None

    def give(self, shares: Shares) -> bool:
        self._fleet.give(shares)
        return bool(self._fleet.under(shares) & self._usable)

    def take(self, shares: Shares) -> bool:
        self._fleet.take(shares, -1)
        return bool(self._fleet.under(shares) & self._usable)


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
        self._then: Vacancy | _Named | None = None

    def hindered_by(self, shares: Shares, until: int) -> bool:
        """Whether it might start later if these shares were held until then."""
        if not self._outlook.trial.under(shares) & self.usable or not self.minds(until):
            return False
        then = self._foreseen()
        then.take(shares)
        hindered = not then.enough()
        then.give(shares)
        return hindered

    def start(self) -> int | None:
        """When it has room, as the leases tell (microseconds UTC); None where none does."""
        self._foreseen()
        return self._start

    def minds(self, until: int) -> bool:
        """Whether it matters to it what is held until then: all does where no lease tells."""
        self._foreseen()
        return self._start is None or until > self._start

    def admit(self, shares: Shares, until: int) -> None:
        """Remember that these shares, which do not hinder it, are held until then."""
        if self._then is not None and self.minds(until):
            self._then.take(shares)

    def closed(self) -> int:
        """The bit set of the servers of which it can spare nothing at all, whatever is asked."""
        then = self._foreseen()
        return 0 if self._start is not None or then.enough() else self.usable

    def apart(self, trial: Fleet) -> Fleet:
        """The trial without the free GPUs that it names, where it names any."""
        if not exact(self._request):
            return trial
        rest = trial.copy()
        for server, gpu in self._named(trial):
            if not server.holder(gpu):
                rest.take((Share(server.facts.name, (gpu,), 0),), -1)
        return rest

    def _foreseen(self) -> Vacancy | _Named:
        """The servers as it will find them at its start; as they are where nothing tells."""
        if self._then is None:
            self._then = self._wait()
            if self._start is None and exact(self._request):
                self._then = self._vacated()
        return self._then

    def _now(self) -> Vacancy | _Named:
        """The servers as they are."""
        how = _Named if exact(self._request) else Vacancy
        return how(self._outlook.trial, self._request, self.usable)

    def _wait(self) -> Vacancy | _Named:
        """Let leases end until it has room, and all of that instant."""
        then = self._now()
        for end, shares in self._outlook.ends():
            if self._start is not None and end > self._start:
                break
            if then.give(shares) and self._start is None and then.enough():
                self._start = end
        return then if self._start is not None else self._now()

    def _vacated(self) -> Vacancy | _Named:
        """Whoever names single GPUs waits for nothing but those who hold them."""
        then = self._now()
        named = self._named(self._outlook.trial)
        for number in {server.holder(gpu) for server, gpu in named} - {0}:
            then.give(self._outlook.held_by(number))
        return then

    def _named(self, fleet: Fleet) -> Iterator[tuple[ServerPiece, int]]:
        """Each GPU that it names, with its server."""
        for place in self._request.on:
            server = fleet.find(place.server)
            assert server is not None
            yield from ((server, gpu) for gpu in place.gpus or ())
