"""Placement: which server an allocation goes to.

Best fit: of the servers with enough free GPUs and CPUs the one that is left with the
fewest free GPUs, then pool order, then the lowest indices. Servers are kept by their
number of free GPUs as bit sets over pool positions, so that a decision does not walk
the pool.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from .facts import Share
from .piece import POOL, Piece, PoolPiece, ServerPiece
from .taking import give_back, take


class Fleet:
    """Servers by free GPUs; follows the state through `follow`, holds nothing of its own."""

    __slots__ = ("_buckets", "_free", "_position", "servers")

    def __init__(self, servers: Iterable[ServerPiece]) -> None:
        self._arrange(servers)

    def _arrange(self, servers: Iterable[ServerPiece]) -> None:
        self.servers: list[ServerPiece] = list(servers)
        self._position = {server.facts.name: at for at, server in enumerate(self.servers)}
        self._free = [server.free_count() for server in self.servers]
        self._buckets: dict[int, int] = {}
        for at, free in enumerate(self._free):
            self._buckets[free] = self._buckets.get(free, 0) | 1 << at

    def follow(self, pieces: Mapping[str, Piece], touched: Iterable[str]) -> None:
        """Take over the servers among the touched keys; all of them where the pool changed."""
        for key in touched:
            if key == POOL:
                pool = pieces[POOL]
                assert isinstance(pool, PoolPiece)
                found = (pieces["server:" + name] for name in pool.servers)
                self._arrange(piece for piece in found if isinstance(piece, ServerPiece))
                return
        for key in touched:
            if key.startswith("server:"):
                self.put(pieces[key])

    def copy(self) -> Fleet:
        """Another one of the same servers, to be moved on its own."""
        other = Fleet(())
        other.servers = self.servers[:]
        other._position = self._position
        other._free = self._free[:]
        other._buckets = dict(self._buckets)
        return other

    def put(self, server: Piece) -> None:
        """Take over one server."""
        assert isinstance(server, ServerPiece)
        at = self._position[server.facts.name]
        self.servers[at] = server
        before, now = self._free[at], server.free_count()
        if before != now:
            bit = 1 << at
            self._free[at] = now
            self._buckets[before] &= ~bit
            self._buckets[now] = self._buckets.get(now, 0) | bit

    def find(self, name: str) -> ServerPiece | None:
        """The server of that name, or None where the pool has none."""
        at = self._position.get(name)
        return None if at is None else self.servers[at]

    def take(self, shares: Iterable[Share], number: int) -> None:
        """In a copy: let `number` hold these shares."""
        for share in shares:
            self.put(take(self.servers[self._position[share.server]], share, number))

    def give(self, shares: Iterable[Share]) -> None:
        """In a copy: let nobody hold these shares; those of servers that went are passed over."""
        for share in shares:
            server = self.find(share.server)
            if server is not None:
                self.put(give_back(server, share))

    def fullest_first(self, gpus: int, among: int = -1) -> Iterator[ServerPiece]:
        """Servers with at least `gpus` free, fewest free first, then in pool order.

        `among` is a bit set of pool positions.
        """
        for free in sorted([free for free, bits in self._buckets.items() if bits and free >= gpus]):
            left = self._buckets[free] & among
            while left:
                lowest = left & -left
                yield self.servers[lowest.bit_length() - 1]
                left ^= lowest

    def roomy(self, gpus: int) -> int:
        """How many servers have at least `gpus` free."""
        return sum([bits.bit_count() for free, bits in self._buckets.items() if free >= gpus])

    def could(self, servers: int, gpus: int, cpus: int) -> bool:
        """Whether `servers` servers have `gpus` GPUs and `cpus` CPUs each, held or not."""
        able = 0
        for server in self.servers:
            able += len(server.holders) >= gpus and server.facts.cpus >= cpus
            if able >= servers:
                return True
        return False

    def among(self, names: Iterable[str]) -> int:
        """The bit set of the named servers' positions; KeyError for a name the pool lacks."""
        bits = 0
        for name in names:
            bits |= 1 << self._position[name]
        return bits

    def under(self, shares: Iterable[Share]) -> int:
        """The bit set of the servers that these shares lie on, as far as they are there."""
        found = (self._position.get(share.server) for share in shares)
        bits = 0
        for at in found:
            bits |= 0 if at is None else 1 << at
        return bits


def usual_cpus(server: ServerPiece, gpus: int) -> int:
    """CPUs that go with `gpus` GPUs where none were asked for: the server's CPUs per GPU,
    floored, at least 1.
    """
    return max(1, server.facts.cpus // len(server.facts.gpus) * gpus)


def share(server: ServerPiece, gpus: tuple[int, ...], cpus: int) -> Share:
    """The part of `server` that an allocation gets, with the UUIDs where any is known."""
    uuids = tuple([server.facts.gpus[server.position(gpu)].uuid for gpu in gpus])
    return Share(server.facts.name, gpus, cpus, uuids if any(uuids) else None)


def place(
    fleet: Fleet, servers: int, gpus: int, cpus: int | None, among: int = -1
) -> tuple[Share, ...] | None:
    """Best fit for `gpus` and `cpus` on each of `servers` servers, or None where there is no
    room now.
    """
    found: list[tuple[ServerPiece, int]] = []
    for server in fleet.fullest_first(gpus, among):
        granted = usual_cpus(server, gpus) if cpus is None else cpus
        if server.cpus_free >= granted:
            found.append((server, granted))
            if len(found) == servers:
                return tuple([share(one, one.first_free(gpus), each) for one, each in found])
    return None


def divide(cpus: int, counts: tuple[int, ...]) -> tuple[int, ...]:
    """`cpus` divided in proportion to GPU counts; what is left over goes to the first ones."""
    whole = sum(counts)
    parts = [cpus * count // whole for count in counts]
    for at in range(cpus - sum(parts)):
        parts[at] += 1
    return tuple(parts)
