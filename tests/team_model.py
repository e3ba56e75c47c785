"""The page that the allocator is held against: who runs what until when, and who waits.

Plain dictionaries and sets, everything found by trying; times are whole seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import inf

import limit_model
from brute_force import Bench, Shares, Wish, best, ever, reason
from gpuledger.replay.facts import Pool
from limit_model import Book, Want
from line_model import Held, World, heads, hinders, possible, ways_on_one

LAST = 10**9
"""The number of one who has none yet: behind all others."""
Plan = dict[int, Shares]


@dataclass
class Model:
    """What runs and who waits, by number; what is drained; what counts as spent."""

    pool: Pool
    runs: dict[int, Want] = field(default_factory=dict)
    line: dict[int, Want] = field(default_factory=dict)
    drained: set[tuple[str, int]] = field(default_factory=set)
    spent: list[Want] = field(default_factory=list)

    def world(self, at: int) -> World:
        """The servers and what is held of them: nothing twice, and no CPUs that are not."""
        idle = (
            Bench(s.name, {card.index: None for card in s.gpus}, s.cpus, s.cpus,
                  {gpu for name, gpu in self.drained if name == s.name})
            for s in self.pool.servers
        )  # fmt: skip
        ends = ((run, None if run.until == inf else int(run.until)) for run in self.runs.values())
        return World(tuple(idle), tuple(Held(run.shares, end) for run, end in ends), at)

    def benches(self) -> list[Bench]:
        """The servers as they stand, each GPU with the number of its holder."""
        numbers, made = list(self.runs), self.world(0).benches()
        for bench in made:
            bench.gpus = {g: None if by is None else numbers[by] for g, by in bench.gpus.items()}
        return made

    def broken(self, want: Want, at: int) -> str | None:
        """The limit in the way: `never`, or `later` where waiting mends it; None where none is."""
        idle = list(self.world(at).idle)
        return Book(self.pool, self.runs.values(), self.spent).broken(want, idle, at)

    def delays(self, later: dict[int, Want], at: int) -> bool:
        """Whether one of these, if they ended later, would keep somebody waiting who comes before
        it in line and did when it was granted.
        """
        idle = list(self.world(at).idle)
        for ahead, want in self.line.items():
            place = -want.priority, ahead
            late = {n for n, one in later.items() if place < (-one.priority, one.place or n)}
            late = {n for n in late if n > ahead}
            if late and ever(idle, want.wish) and not self.broken(want, at):
                rest = {n: run for n, run in later.items() if n not in late}
                before, after = (
                    replace(self, runs=self.runs | more).world(at).start(want.wish)
                    for more in (rest, later)
                )
                if before is not None and (after is None or after > before):
                    return True
        return False

    def begin(self, number: int, want: Want, shares: Shares, at: int) -> None:
        """It runs, for as long as its lease says."""
        until = at + (limit_model.lease(self.pool, want) or inf)
        self.runs[number] = replace(want, shares=shares, start=at, until=until)

    def end(self, number: int, at: int) -> None:
        """It runs no more; its time counts where GPU-hours are limited."""
        run = self.runs.pop(number)
        if limit_model.counts(self.pool):
            task = run.task if self.pool.limits.task.gpu_hours else ""
            self.spent.append(replace(run, task=task, until=at))

    def judge(self, plan: Plan, at: int, *new: Want, upto: int | None = None) -> None:
        """What is given away in a look down the line is given in turn; `new` comes last.

        Past those who have no room only to whom lets the first of them on each server start no
        later; whoever is made to wait though there is room would not, wherever he is put.
        """
        trial, blocked = replace(self, runs=dict(self.runs)), list[Wish]()
        line = [*self.line.items(), *((LAST, want) for want in new)]
        line.sort(key=lambda one: (-one[1].priority, one[0]))
        seen = next((n for n, one in enumerate(line, 1) if one[0] == upto), len(line))
        for number, want in line[:seen]:
            world, wish, given = trial.world(at), want.wish, plan.get(number)
            if not ever(list(world.idle), wish) or trial.broken(want, at):
                assert given is None, f"{number} cannot be served"
                continue
            lease, firsts = limit_model.lease(self.pool, want), heads(world, blocked)
            end, room = None if lease is None else at + lease, best(world.benches(), wish)
            if room is None:
                assert given is None, f"{number} has no room"
                blocked.append(wish)
            elif given is None:
                single = wish.servers == 1 and not wish.exact
                ways = ways_on_one(world.benches(), wish) if single else [room]
                assert all(hinders(world, firsts, Held(way, end)) for way in ways), "need not wait"
            else:
                moved = given != room and possible(world.benches(), wish, given)
                assert given == room or (moved and hinders(world, firsts, Held(room, end)))
                assert not hinders(world, firsts, Held(given, end)), f"{number} is out of turn"
                trial.begin(number, want, given, at)

    def answer(
        self, want: Want, at: int, plan: Callable[[], Plan], number: int = LAST
    ) -> str | Shares:
        """What a want gets now, or the first reason why not; `plan` is only what may be given."""
        why = reason(self.benches(), want.wish)
        if why != "never" and self.broken(want, at):
            return "limit"
        if why is not None or not self.line:
            return why or best(self.benches(), want.wish) or ""
        said = plan()
        self.judge(said, at, *([] if number in self.line else [want]), upto=number)
        return said.get(number, "waiting")

    def reshape(self, pool: Pool) -> None:
        """The pool is another one; what a wholly drained server gains is drained too.

        Where the last limit of GPU-hours goes, what was spent goes with it. Everybody has the
        place that his project has now.
        """
        drained = {b.name for b in self.world(0).idle if b.gpus.keys() <= b.drained}
        there = {(one.name, card.index) for one in pool.servers for card in one.gpus}
        self.drained |= {(name, gpu) for name, gpu in there if name in drained}
        self.pool, self.drained = pool, self.drained & there
        self.spent = self.spent if limit_model.counts(pool) else []
        places = {one.name: one.priority for one in pool.projects}
        for wants in (self.line, self.runs):
            for number, want in wants.items():
                wants[number] = replace(want, priority=places.get(want.project or "", 0))
