"""Evidence: what an event behind a gap says of what was lost in it. Pure, a part of fold.

Every event was possible when it was written. So what stands in its way has ended in the gap, a
server or GPU that nobody knows was added there, and an unknown number that lies in the gap was
given there. Where more than one loss would explain an event, nothing is decided.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, MutableMapping
from typing import Any

import msgspec

from ..ledger.event import Event
from . import catalogue as c
from .doubt import Trial
from .facts import Place, identity
from .fold_pool import capacity
from .gap import losses
from .holding import Effects
from .piece import GAPS, GapsPiece, Piece, ServerPiece
from .taking import Impossible

Pieces = MutableMapping[str, Piece]


def learn(
    pieces: Pieces,
    event: Event,
    payload: c.Payload,
    handler: Callable[[Pieces, Event, Any], Effects],
) -> Effects:
    """Apply an event that stands behind a gap, with all that it says of what was lost.

    Raises Impossible, with nothing changed, where no loss explains it.
    """
    found = _Evidence(dict(pieces), event.at)
    weigh = _WEIGH.get(type(payload))
    possible = payload if weigh is None else weigh(found, payload)
    before, found.closed = found.closed, []
    done = handler(found.pieces, event, possible)
    found.settle(done.touched, payload)
    touched = dict.fromkeys([*found.touched, *done.touched])
    for key in touched:
        if key in found.pieces:
            pieces[key] = found.pieces[key]
        else:
            pieces.pop(key, None)
    closed = (*before, *done.closed, *found.closed)
    return Effects(tuple(touched), closed, (*found.capacity, *done.capacity))


class _Evidence(Trial):
    """A trial that is made such that one event is possible in it."""

    def granted(self, grant: c.AllocationGranted) -> c.AllocationGranted:
        """Its servers are there, nobody else holds its GPUs, and its task has no namesake."""
        for share in grant.servers:
            uuids = share.uuids or (None,) * len(share.gpus)
            cards = dict(zip(share.gpus, uuids, strict=False))
            self.there(share.server, cards, share.cpus)
            self.are(share.server, cards)
        self.lose(self.held(grant.servers))
        self.only(identity(grant.user, grant.uid, grant.sid), grant.task, grant.request)
        if grant.request is not None and f"waiting:{grant.request}" not in self.pieces:
            self.vouched(grant.request, self.at)
        return grant

    def queued(self, queued: c.RequestQueued) -> c.RequestQueued:
        """Its user neither runs nor awaits another task of that name."""
        self.only(identity(queued.user, queued.uid, queued.sid), queued.asked.task, None)
        return queued

    def released(self, release: c.AllocationReleased) -> c.AllocationReleased:
        """What is not known to run was granted in a gap."""
        known = self.known("allocation", release.allocations)
        return msgspec.structs.replace(release, allocations=known)

    def extended(self, extended: c.AllocationExtended) -> c.AllocationExtended:
        """What is extended runs."""
        known = self.known("allocation", (one.allocation for one in extended.extensions), 0)
        for number in known:
            self.runs(number)
        left = tuple(one for one in extended.extensions if one.allocation in known)
        return msgspec.structs.replace(extended, extensions=left)

    def cancelled(self, cancelled: c.RequestCancelled) -> c.RequestCancelled:
        """What is not known to wait was queued in a gap."""
        known = self.known("waiting", cancelled.requests)
        return msgspec.structs.replace(cancelled, requests=known)

    def reset(self, reset: c.LedgerReset) -> c.LedgerReset:
        """It names all that ran."""
        known = self.known("allocation", reset.ended)
        self.lose(number for number, _ in self.uncertain() if number not in known)
        return msgspec.structs.replace(reset, ended=known)

    def changed(self, change: c.PoolChanged) -> c.PoolChanged:
        """Its servers are as it says, and what is in its way does not run."""
        known = self.known("allocation", change.ended)
        removed = tuple(name for name in change.removed if self.was_there(name))
        for name in removed:
            self.lose(set(self.on(name)) - {*known})
        for server in change.changed:
            self.there(server.name, {card.index: card.uuid for card in server.gpus}, server.cpus)
            self.lose(self.out_of_place(server) - {*known})
        for server in change.added:
            if server.name not in change.removed:
                self.went(server.name, known)
        return msgspec.structs.replace(change, removed=removed, ended=known)

    def marked(self, mark: c.PoolDrained | c.PoolResumed) -> c.PoolDrained | c.PoolResumed:
        """Its GPUs are there."""
        for place in mark.places:
            self.there(place.server, dict.fromkeys(place.gpus), 0)
        return mark

    def settle(self, touched: Iterable[str], payload: c.Payload) -> None:
        """What the event, now applied, decides: CPUs, and GPUs of which no doubt is left."""
        if isinstance(payload, c.PoolResumed) and all(one.recorded for one in losses(self.pieces)):
            self._taken_at_his_word(payload.places)
        why = "server_in_use" if isinstance(payload, c.PoolChanged) else "cpus_exceeded"
        for key in dict.fromkeys([*self.touched, *touched]):
            server = self.pieces.get(key)
            if isinstance(server, ServerPiece) and server.cpus_free < 0:
                self._weigh_cpus(server, why)
        if isinstance(payload, c.LedgerReset):
            self._nothing_runs()

    def _weigh_cpus(self, server: ServerPiece, why: str) -> None:
        """More CPUs seem to be held than there are. Raises Impossible where no loss explains it.

        Of those that may have ended some have; which, is decided where one does not fit beside
        what certainly runs. While the server's CPUs are in doubt, it may as well have got more.
        """
        name, on = server.facts.name, self.on(server.facts.name)
        room = server.cpus_free + sum(on.values())
        if server.uncertain is None:
            if room < 0:
                raise Impossible(why)
            self.lose(number for number, cpus in on.items() if cpus > room)
        elif room < 0:
            facts = msgspec.structs.replace(server.facts, cpus=server.facts.cpus - room)
            more = msgspec.structs.replace(server, facts=facts, cpus_free=server.cpus_free - room)
            self.put("server:" + name, more)
            self.capacity.append(capacity(self.pieces, name, self.at))

    def _nothing_runs(self) -> None:
        for key, piece in list(self.pieces.items()):
            if isinstance(piece, ServerPiece) and piece.doubtful:
                self.put(key, msgspec.structs.replace(piece, doubtful=()))
        every = losses(self.pieces)
        over = tuple(
            msgspec.structs.replace(
                loss, told=tuple((number, ended or self.at) for number, ended in loss.told)
            )
            for loss in every
        )
        if over != every:
            self.put(GAPS, GapsPiece(over))

    def _taken_at_his_word(self, places: Iterable[Place]) -> None:
        """Whoever resumes GPUs, the gap being known, says that nobody holds those that are free.

        And that a whole server is what it seems to be.
        """
        for place in places:
            server = self.server(place.server)
            if server is None:
                continue
            self.not_doubtful(place.server, [g for g in place.gpus if not server.holder(g)])
            if {*place.gpus} >= {card.index for card in server.facts.gpus}:
                self.certain(place.server)


_WEIGH: dict[type[Any], Callable[[_Evidence, Any], Any]] = {
    c.AllocationGranted: _Evidence.granted,
    c.RequestQueued: _Evidence.queued,
    c.AllocationReleased: _Evidence.released,
    c.AllocationExtended: _Evidence.extended,
    c.RequestCancelled: _Evidence.cancelled,
    c.LedgerReset: _Evidence.reset,
    c.PoolChanged: _Evidence.changed,
    c.PoolDrained: _Evidence.marked,
    c.PoolResumed: _Evidence.marked,
}
