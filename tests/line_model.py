"""Who is served of those that wait, found by trying everything: the model of the line.

Written from the words of the design, over plain dictionaries, with no thought for speed. Times are
whole seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations

from brute_force import Bench, Shares, Wish, every_way


@dataclass(frozen=True)
class Held:
    """Shares that are held until `end`; None where no lease tells."""

    shares: Shares
    end: int | None
    user: str = "ada"


@dataclass(frozen=True)
class Waits:
    """One in line."""

    wish: Wish
    lease: int | None = None
    user: str = "ada"
    priority: int = 0


@dataclass(frozen=True)
class World:
    """All servers with nothing held, and what is held. `cap` is how many GPUs a user may have."""

    idle: tuple[Bench, ...]
    held: tuple[Held, ...] = ()
    now: int = 0
    cap: int | None = None

    def benches(self) -> list[Bench]:
        """The servers as they stand."""
        made = {
            one.name: Bench(one.name, dict.fromkeys(one.gpus), one.cpus, one.cpus, one.drained)
            for one in self.idle
        }
        for number, held in enumerate(self.held):
            for name, gpus, cpus in held.shares:
                for gpu in gpus:
                    assert made[name].gpus[gpu] is None, "held twice"
                    made[name].gpus[gpu] = number
                made[name].cpus_free -= cpus
                assert made[name].cpus_free >= 0
        return list(made.values())

    def at(self, second: int) -> World:
        """The same once the leases have ended that end by then."""
        left = tuple(one for one in self.held if one.end is None or one.end > second)
        return replace(self, held=left, now=second)

    def holding(self, held: Held) -> World:
        """The same with something more held."""
        return replace(self, held=(*self.held, held))

    def fits(self, wish: Wish) -> bool:
        """Whether there is any way to meet a wish."""
        return any(every_way(self.benches(), wish))

    def ready(self, one: Waits) -> bool:
        """Whether no limit holds it up."""
        own = [share for held in self.held if held.user == one.user for share in held.shares]
        return self.cap is None or sum(len(gpus) for _, gpus, _ in own) + one.wish.gpus <= self.cap

    def start(self, wish: Wish) -> int | None:
        """When a wish can be met at the earliest if nobody else comes."""
        ends = {one.end for one in self.held if one.end is not None}
        return next((at for at in sorted({self.now, *ends}) if self.at(at).fits(wish)), None)

    def could(self, wish: Wish) -> set[str]:
        """The servers on which a wish may ever be met as they are drained; none if too few."""
        if wish.exact:
            met = any(every_way(list(self.idle), wish))
            return {name for name, _ in wish.exact} if met else set()
        cpus = None if wish.cpus is None else wish.cpus // wish.servers
        part = Wish(wish.gpus // wish.servers, cpus)
        among = [one for one in self.idle if not wish.on or one.name in wish.on]
        able = {one.name for one in among if any(every_way([one], part))}
        return able if len(able) >= wish.servers else set()

    def hindered(self, head: Wish, held: Held) -> bool:
        """Whether a wish might be met later for what would be held."""
        if not self.could(head) & {name for name, _, _ in held.shares}:
            return False
        before, after = self.start(head), self.holding(held).start(head)
        if before is not None:
            return after is None or after > before
        named = {(name, gpu) for name, gpus in head.exact for gpu in gpus}
        own = [one for one in self.held if not named & places(one.shares)]
        vacated = replace(self, held=(*own, held))
        return not named or not named.isdisjoint(places(held.shares)) or not vacated.fits(head)


def places(shares: Shares) -> set[tuple[str, int]]:
    """Each GPU of some shares."""
    return {(name, gpu) for name, gpus, _ in shares for gpu in gpus}


def heads(world: World, blocked: list[Wish]) -> list[Wish]:
    """Of those blocked, in order, the first one for each server that any of them could use."""
    covered: set[str] = set()
    found = []
    for wish in blocked:
        could = world.could(wish)
        if could - covered:
            found.append(wish)
            covered |= could
    return found


def hinders(world: World, firsts: list[Wish], held: Held) -> bool:
    """Whether one of those who are first on their servers would start later for what is held."""
    return any(world.hindered(first, held) for first in firsts)


def ways_on_one(benches: list[Bench], wish: Wish) -> Iterator[Shares]:
    """All ways to meet a wish for one server, with every choice of its GPUs."""
    for bench in benches:
        if wish.on and bench.name not in wish.on:
            continue
        cpus = bench.usual(wish.gpus) if wish.cpus is None else wish.cpus
        if cpus <= bench.cpus_free:
            for gpus in combinations(sorted(bench.free()), wish.gpus):
                yield ((bench.name, gpus, cpus),)


def possible(benches: list[Bench], wish: Wish, shares: Shares) -> bool:
    """Whether shares are what is wished for, and free."""
    if wish.exact or wish.servers == 1:
        ways = every_way(benches, wish) if wish.exact else ways_on_one(benches, wish)
        return shares in ways
    whole, cpus = wish.gpus // wish.servers, wish.cpus
    part = Wish(whole, None if cpus is None else cpus // wish.servers, on=wish.on)
    names = {name for name, _, _ in shares}
    return len(names) == wish.servers and all(
        (share,) in ways_on_one(benches, part) for share in shares
    )
