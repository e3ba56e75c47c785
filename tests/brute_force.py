"""What an allocate should get, found by trying everything: the model of decisions.

Written from the words of the design, over plain dictionaries and sets, with no thought for speed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations


@dataclass
class Bench:
    """One server: who holds each GPU (None where nobody does), what is drained, its CPUs."""

    name: str
    gpus: dict[int, int | None]
    cpus: int
    cpus_free: int
    drained: set[int] = field(default_factory=set)

    def usual(self, gpus: int) -> int:
        """CPUs that come with so many GPUs: the server's CPUs per GPU, floored, at least 1."""
        return max(1, self.cpus // len(self.gpus) * gpus)

    def free(self) -> list[int]:
        """GPUs that are neither held nor drained."""
        return [g for g, held in self.gpus.items() if held is None and g not in self.drained]

    def bare(self) -> Bench:
        """The server with nothing held and nothing drained."""
        return Bench(self.name, dict.fromkeys(self.gpus), self.cpus, self.cpus)

    def undrained(self) -> Bench:
        """The server with nothing drained."""
        return Bench(self.name, dict(self.gpus), self.cpus, self.cpus_free)

    def rich(self) -> Bench:
        """The server with CPUs without end."""
        return Bench(self.name, dict(self.gpus), self.cpus, 10**9, set(self.drained))


@dataclass(frozen=True)
class Wish:
    """A request: totals over `servers` servers; `on` names servers, `exact` single GPUs."""

    gpus: int
    cpus: int | None = None
    servers: int = 1
    on: tuple[str, ...] = ()
    exact: tuple[tuple[str, tuple[int, ...]], ...] = ()


Shares = tuple[tuple[str, tuple[int, ...], int], ...]


def every_way(benches: list[Bench], wish: Wish) -> Iterator[Shares]:
    """All ways to meet a wish as things stand, in no order that matters."""
    if wish.exact:
        yield from _exactly({bench.name: bench for bench in benches}, wish)
        return
    among = [bench for bench in benches if not wish.on or bench.name in wish.on]
    each = wish.gpus // wish.servers
    for chosen in combinations(among, wish.servers):
        shares = []
        for bench in chosen:
            cpus = bench.usual(each) if wish.cpus is None else wish.cpus // wish.servers
            if len(bench.free()) < each or bench.cpus_free < cpus:
                break
            shares.append((bench.name, tuple(sorted(bench.free())[:each]), cpus))
        else:
            yield tuple(shares)


def _exactly(benches: dict[str, Bench], wish: Wish) -> Iterator[Shares]:
    left, shares = wish.cpus, []
    whole = sum(len(gpus) for _, gpus in wish.exact)
    parts = [0 if left is None else left * len(gpus) // whole for _, gpus in wish.exact]
    for at in range(0 if left is None else left - sum(parts)):
        parts[at] += 1
    for (name, gpus), part in zip(wish.exact, parts, strict=True):
        bench = benches[name]
        cpus = bench.usual(len(gpus)) if wish.cpus is None else part
        if not set(gpus) <= set(bench.free()) or bench.cpus_free < cpus:
            return
        shares.append((name, gpus, cpus))
    yield tuple(shares)


def best(benches: list[Bench], wish: Wish) -> Shares | None:
    """The way that is to be taken: servers left with the fewest free GPUs, then pool order."""
    place = {bench.name: at for at, bench in enumerate(benches)}
    free = {bench.name: len(bench.free()) for bench in benches}

    def rank(shares: Shares) -> list[tuple[int, int]]:
        return sorted((free[name] - len(gpus), place[name]) for name, gpus, _ in shares)

    ways = list(every_way(benches, wish))
    if not ways:
        return None
    chosen = min(ways, key=rank)
    if wish.exact:
        return chosen
    return tuple(sorted(chosen, key=lambda s: (free[s[0]] - len(s[1]), place[s[0]])))


def reason(
    benches: list[Bench], wish: Wish, *, permitted: bool = True, limit: int | None = None
) -> str | None:
    """Why a wish cannot be met now, the first reason that applies; None where it can."""
    if not any(every_way([bench.bare() for bench in benches], wish)):
        return "never"
    if not permitted:
        return "not_permitted"
    if limit is not None and wish.gpus > limit:
        return "limit"
    if any(every_way(benches, wish)):
        return None
    if any(every_way([bench.undrained() for bench in benches], wish)):
        return "drained"
    return _lacking(benches, wish)


def _lacking(benches: list[Bench], wish: Wish) -> str:
    """Of what there is too little on the servers in question."""
    named = {name for name, _ in wish.exact} or set(wish.on) or {b.name for b in benches}
    among = [bench for bench in benches if bench.name in named]
    if wish.exact:
        exact = dict(wish.exact)
        held = any(b.gpus[gpu] is not None for b in among for gpu in exact[b.name])
        return "no_gpus" if held else "no_cpus"
    if sum(len(bench.free()) for bench in among) < wish.gpus:
        return "no_gpus"
    if wish.cpus is not None and sum(bench.cpus_free for bench in among) < wish.cpus:
        return "no_cpus"
    if any(every_way([bench.rich() for bench in benches], wish)):
        return "no_cpus"
    return "fragmented"


def there(benches: list[Bench], wish: Wish) -> bool:
    """Whether each server and each GPU that a wish names is there."""
    known = {bench.name: bench.gpus.keys() for bench in benches}
    named = [*((name, ()) for name in wish.on), *wish.exact]
    return all(name in known and known[name] >= {*gpus} for name, gpus in named)


def ever(benches: list[Bench], wish: Wish) -> bool:
    """Whether there would be a way with nothing held and nothing drained."""
    return there(benches, wish) and any(every_way([bench.bare() for bench in benches], wish))
