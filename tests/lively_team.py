"""A team that asks for all sorts of things at random, through the API, with a clock of its own."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path

import msgspec

from gpuledger import GpuledgerError
from gpuledger.handle import Ledger, init
from gpuledger.replay import line
from gpuledger.replay import request as requests
from gpuledger.replay.facts import Asked, Placed, Pool
from small_pools import ADA, BOB, ROOT, pool, server

BEGINS = 1_600_000_000_000_000


class Lively:
    """An admin and two users of one ledger at `path`; a seed gives the same acts again."""

    def __init__(self, path: Path, seed: int) -> None:
        self.chosen = random.Random(seed)
        self.now = BEGINS
        init(path, pool(3), at=BEGINS, actor=ROOT)
        self.root, self.ada, self.bob = (
            Ledger(str(path), actor=actor, clock_us=self.tick) for actor in (ROOT, ADA, BOB)
        )
        self.tasks = map("task-{}".format, count())

    def tick(self) -> int:
        """The clock: mostly on, now and then back."""
        self.now += self.chosen.choice([0, 1, 7, 1_000_000, 90_000_000, -5_000_000])
        return self.now

    def act(self) -> None:
        """One act of one of them, as it comes."""
        acts: list[Callable[[], object]] = [self.allocate] * 6 + [self.release] * 4
        acts += [self.drain, self.resume, self.force, self.apply, self.extend]
        acts += [self.join, self.serve, self.serve, self.cancel]
        if self.chosen.random() < 0.02:
            acts = [lambda: self.root.reset("again")]
        with suppress(GpuledgerError):  # refusals are recorded, the rest leaves no trace
            self.chosen.choice(acts)()

    def settle(self) -> None:
        """End everything, take all servers into use, and let two tasks run."""
        every = self.root.state().pool.servers
        self.ada.cancel(mine=True, if_waiting=True)
        self.bob.cancel(mine=True, if_waiting=True)
        self.root.release(servers=every, force=True, reason="settle", if_held=True)
        self.root.resume(tuple(map(Placed, every)))
        self.ada.allocate("long", 1)
        self.bob.allocate("leased", 1, lease=86_400)

    def place(self) -> Placed:
        gpus = tuple(sorted(self.chosen.sample(range(4), self.chosen.randint(1, 3))))
        return Placed(f"s{self.chosen.randrange(4)}", self.chosen.choice([None, gpus]))

    def allocate(self) -> None:
        team = self.chosen.choice([self.ada, self.bob])
        gpus, on = self.chosen.randint(1, 5), ()
        if self.chosen.random() < 0.3:
            on = (self.place(),)
            gpus = len(on[0].gpus or range(gpus))
        cpus = self.chosen.choice([None, 4, 12])
        lease = self.chosen.choice([None, None, None, 60, 900])
        team.allocate(next(self.tasks), gpus, cpus, on=on, note="für Zoë — 2×", lease=lease)

    def extend(self) -> None:
        team = self.chosen.choice([self.ada, self.bob])
        running = team.state().allocations()
        leased = [one.task for one in running if one.until and one.owner == team.actor.identity]
        team.extend(*leased[:2], lease=600)

    def join(self) -> None:
        """Ask for more than there may be, and stand in line for it."""
        team = self.chosen.choice([self.ada, self.bob])
        lease = self.chosen.choice([None, 60, 900])
        asked = Asked(next(self.tasks), self.chosen.randint(2, 4), 4, lease=lease)
        team._allocator.join(requests.allocate(asked), team.actor)

    def serve(self) -> None:
        """Whoever waits tries to take what is his."""
        for one in self.root.state().docket.line():
            team = self.ada if one.owner == self.ada.actor.identity else self.bob
            asked = msgspec.structs.replace(line.request_of(one), waiting=one.id)
            team._allocator.serve(asked, team.actor)

    def cancel(self) -> None:
        team = self.chosen.choice([self.ada, self.bob])
        team.cancel(mine=True, if_waiting=True)

    def release(self) -> None:
        team = self.chosen.choice([self.ada, self.bob])
        mine = [one.task for one in team.state().allocations() if one.owner == team.actor.identity]
        team.release(*self.chosen.sample(mine, min(len(mine), self.chosen.randint(1, 2))))

    def drain(self) -> None:
        self.root.drain((self.place(),), "dust")

    def resume(self) -> None:
        self.root.resume((self.place(),))

    def force(self) -> None:
        self.root.release(servers=("s0",), force=True, reason="needed")

    def apply(self) -> None:
        """A pool of other sizes and other cards, forced."""
        names = self.chosen.sample(["s0", "s1", "s2", "s3"], 3)
        made = tuple(
            server(name, self.chosen.randint(2, 5), self.chosen.choice([16, 32]), uuids=stem)
            for name in names
            for stem in [self.chosen.choice([None, "GPU-a", "GPU-b"])]
        )
        self.root.pool_apply(Pool(made), remove=True, force=True, reason="new racks")
