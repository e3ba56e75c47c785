"""The ten-line model that the allocator is held against: who holds which GPU, how many CPUs."""

from __future__ import annotations

from typing import Any

from brute_force import Bench
from gpuledger.replay.facts import Pool


class Model:
    """Dictionaries of who holds what; every claim is checked as it is made."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.holder: dict[tuple[str, int], int] = {}
        self.cpus: dict[tuple[str, int], int] = {}
        self.owner: dict[int, tuple[str, str]] = {}
        self.drained: set[tuple[str, int]] = set()

    def take(self, number: int, owner: str, task: str, shares: Any) -> None:  # noqa: ANN401 - records with shares
        """An allocation takes GPUs that nobody holds and that are not drained, and CPUs."""
        for share in shares:
            for gpu in share.gpus:
                assert (share.server, gpu) not in self.holder
                assert (share.server, gpu) not in self.drained
                self.holder[share.server, gpu] = number
            self.cpus[share.server, number] = share.cpus
        self.owner[number] = (owner, task)

    def give(self, number: int) -> None:
        """An allocation gives back all that it holds."""
        self.holder = {place: by for place, by in self.holder.items() if by != number}
        self.cpus = {place: n for place, n in self.cpus.items() if place[1] != number}
        del self.owner[number]

    def reshape(self, pool: Pool) -> None:
        """The pool is another one; what a wholly drained server gains is drained too."""
        for facts in pool.servers:
            before = [s for s in self.pool.servers if s.name == facts.name]
            was = {(facts.name, card.index) for s in before for card in s.gpus}
            now = {(facts.name, card.index) for card in facts.gpus}
            if was and was <= self.drained:
                self.drained |= now
        there = {(facts.name, card.index) for facts in pool.servers for card in facts.gpus}
        self.pool, self.drained = pool, self.drained & there

    def benches(self) -> list[Bench]:
        """The servers as the brute-force model sees them."""
        return [
            Bench(
                facts.name,
                {card.index: self.holder.get((facts.name, card.index)) for card in facts.gpus},
                facts.cpus,
                facts.cpus - sum(n for (at, _), n in self.cpus.items() if at == facts.name),
                {gpu for at, gpu in self.drained if at == facts.name},
            )
            for facts in self.pool.servers
        ]

    def running(self, owner: str) -> list[str]:
        """The names of an owner's running tasks."""
        return [task for by, task in self.owner.values() if by == owner]
