"""Doubt: a trial of the pieces behind a gap, and what can be concluded in it. Part of fold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from ..ledger.errors import BrokenChain
from .facts import Card, Server, Share
from .fold_pool import capacity, gone
from .gap import losses
from .holding import Capacity, Holding
from .piece import (
    GAPS,
    POOL,
    AllocationPiece,
    GapsPiece,
    Piece,
    PoolPiece,
    ServerPiece,
    WaitingPiece,
)
from .tenure import GAP, end

Cards = Mapping[int, str | None]


class Trial:
    """Pieces that may be changed freely; `touched`, `closed` and `capacity` tell what was."""

    def __init__(self, pieces: dict[str, Piece], at: int) -> None:
        self.pieces = pieces
        self.at = at
        self.touched: dict[str, None] = {}
        self.closed: list[Holding] = []
        self.capacity: list[Capacity] = []

    def put(self, key: str, piece: Piece) -> None:
        """Let this piece stand under the key."""
        self.pieces[key] = piece
        self.touched[key] = None

    def server(self, name: str) -> ServerPiece | None:
        """The server of that name, one that is gone too."""
        piece = self.pieces.get("server:" + name)
        return piece if isinstance(piece, ServerPiece) else None

    def pool(self) -> PoolPiece:
        """The pool's frame. Raises BrokenChain where the event that makes it is lost, unnamed."""
        pool = self.pieces.get(POOL)
        if not isinstance(pool, PoolPiece):
            raise BrokenChain("", "no event makes the pool", 1)
        return pool

    def _list(self, names: tuple[str, ...]) -> None:
        self.put(POOL, msgspec.structs.replace(self.pool(), servers=names))

    def uncertain(self) -> list[tuple[int, AllocationPiece]]:
        """The allocations that may have ended in a gap, by number."""
        found = [
            (piece.id, piece)
            for piece in self.pieces.values()
            if isinstance(piece, AllocationPiece) and piece.uncertain is not None
        ]
        return sorted(found, key=lambda one: one[0])

    def on(self, name: str) -> dict[int, int]:
        """Those of them that have a part of a server, and how many CPUs it is."""
        found: dict[int, int] = {}
        for number, piece in self.uncertain():
            for share in piece.servers:
                if share.server == name:
                    found[number] = found.get(number, 0) + share.cpus
        return found

    def lose(self, numbers: Iterable[int]) -> None:
        """These have ended in a gap: somewhere between that and now."""
        known = tuple(sorted(numbers))
        if known:
            self._ended(known)
            touched, closed = end(self.pieces, self.at, known, (GAP, None))
            self.touched.update(dict.fromkeys(touched))
            self.closed += closed

    def _ended(self, numbers: tuple[int, ...]) -> None:
        since = {number: piece.uncertain for number, piece in self.uncertain() if number in numbers}
        every = tuple(
            msgspec.structs.replace(
                loss,
                ended=(*loss.ended, *(n for n, first in since.items() if first == loss.first)),
            )
            for loss in losses(self.pieces)
        )
        self.put(GAPS, GapsPiece(every))

    def held(self, shares: Iterable[Share]) -> set[int]:
        """Who holds what is granted here, of those that may have ended."""
        holders: set[int] = set()
        for share in shares:
            server = self.server(share.server)
            if server is not None:
                there = (gpu for gpu in share.gpus if server.position(gpu) >= 0)
                holders |= {server.holder(gpu) for gpu in there}
        return holders & {number for number, _ in self.uncertain()}

    def only(self, owner: str, task: str, request: int | None) -> None:
        """A user has one task of a name: another that may have ended, or been served, has."""
        alike = ((n, one) for n, one in self.uncertain() if (one.owner, one.task) == (owner, task))
        self.lose([number for number, _ in alike])
        for key, piece in list(self.pieces.items()):
            if isinstance(piece, WaitingPiece) and piece.uncertain is not None:
                same = (piece.owner, piece.asked.task) == (owner, task)
                if same and piece.id != request:
                    del self.pieces[key]
                    self.touched[key] = None

    def known(self, what: str, numbers: Iterable[int], end: int | None = None) -> tuple[int, ...]:
        """Of these the ones that are no news, known or impossible; a gap explains the others."""
        ended = self.at if end is None else end
        return tuple(
            number
            for number in numbers
            if f"{what}:{number}" in self.pieces or not self.vouched(number, ended)
        )

    def vouched(self, number: int, ended: int) -> bool:
        """Take down that an event in a gap gave this number, which ended then; 0 if it has not.

        False where the number lies in no gap, or ended before.
        """
        every = losses(self.pieces)
        for at, loss in enumerate(every):
            if loss.first <= number <= loss.last:
                told = dict(loss.told)
                if told.get(number):
                    return False
                told[number] = ended
                news = msgspec.structs.replace(loss, told=tuple(sorted(told.items())))
                self.put(GAPS, GapsPiece((*every[:at], news, *every[at + 1 :])))
                return True
        return False

    def runs(self, number: int) -> None:
        """An allocation has not ended in the gap, and nobody else holds what it holds."""
        piece = self.pieces.get(f"allocation:{number}")
        if not isinstance(piece, AllocationPiece) or piece.uncertain is None:
            return
        certain = msgspec.structs.replace(piece, uncertain=None, sure=None)
        self.put(f"allocation:{number}", certain)
        for share in piece.servers:
            self.not_doubtful(share.server, share.gpus)

    def not_doubtful(self, name: str, gpus: Iterable[int]) -> None:
        """It is known of these GPUs who holds them, if anybody."""
        server = self.server(name)
        if server is not None:
            left = tuple(gpu for gpu in server.doubtful if gpu not in {*gpus})
            self.put("server:" + name, msgspec.structs.replace(server, doubtful=left))

    def certain(self, name: str) -> None:
        """A server's facts are what they seem to be."""
        server = self.server(name)
        if server is not None and server.uncertain is not None:
            self.put("server:" + name, msgspec.structs.replace(server, uncertain=None))

    def there(self, name: str, cards: Cards, cpus: int) -> None:
        """A server has these GPUs; what nobody knew of it was added in a gap."""
        server = self.server(name)
        if not cards or (server is not None and server.uncertain is None):
            return
        if server is None or name not in self.pool().servers:
            ended = 0 if server is None else server.ended
            server = ServerPiece(Server(name, max(0, cpus), ()), (), max(0, cpus), ended=ended)
            self._list((*self.pool().servers, name))
        fresh = {index: uuid for index, uuid in cards.items() if server.position(index) < 0}
        if fresh:
            self.put("server:" + name, self._with_cards(server, fresh))
            self.capacity.append(capacity(self.pieces, name, self.at))

    def are(self, name: str, cards: Cards) -> None:
        """A server's cards have these UUIDs, as a grant tells: they may have been swapped."""
        server = self.server(name)
        if server is None or server.uncertain is None:
            return
        gpus = tuple(
            msgspec.structs.replace(card, uuid=cards[card.index]) if card.index in cards else card
            for card in server.facts.gpus
        )
        if gpus != server.facts.gpus:
            facts = msgspec.structs.replace(server.facts, gpus=gpus)
            self.put("server:" + name, msgspec.structs.replace(server, facts=facts))

    def _with_cards(self, server: ServerPiece, cards: Cards) -> ServerPiece:
        held = dict(zip(server.facts.gpus, server.holders, strict=True))
        held |= {Card(index, uuid): 0 for index, uuid in cards.items()}
        gpus = tuple(sorted(held, key=lambda card: card.index))
        return msgspec.structs.replace(
            server,
            facts=msgspec.structs.replace(server.facts, gpus=gpus),
            holders=tuple(held[card] for card in gpus),
            doubtful=tuple(sorted({*server.doubtful, *cards})),
            uncertain=server.uncertain or losses(self.pieces)[-1].first,
        )

    def was_there(self, name: str) -> bool:
        """Whether a server that is removed is known; else it came in a gap, and goes now."""
        server = self.server(name)
        if name in self.pool().servers:
            return True
        if server is None or server.uncertain is not None:
            self.put("server:" + name, gone(name, 0 if server is None else server.ended))
            return False
        return True

    def went(self, name: str, known: tuple[int, ...]) -> None:
        """A server that is added was there before a gap, and was removed in it, if that can be."""
        server, names = self.server(name), self.pool().servers
        if server is None or server.uncertain is None or name not in names:
            return
        on = self.on(name)
        if ({*server.holders, *on.keys() & {*known}} - {0}) - (on.keys() - {*known}):
            return  # somebody held it until now: it cannot have gone
        self.lose(on)
        self.put("server:" + name, gone(name, getattr(self.server(name), "ended", 0)))
        self._list(tuple(one for one in names if one != name))

    def out_of_place(self, facts: Server) -> set[int]:
        """Who cannot run on a server with these facts: his card is not there, or another one.

        While the facts before are uncertain a card may have got its UUID in the gap.
        """
        server = self.server(facts.name)
        cards = {card.index: card.uuid for card in facts.gpus}
        out: set[int] = set()
        for card, holder in zip(server.facts.gpus, server.holders, strict=True) if server else ():
            uuid = card.uuid if server and server.uncertain is None else None
            if card.index not in cards or (uuid and cards[card.index] not in (None, uuid)):
                out.add(holder)
        return out & self.on(facts.name).keys()
