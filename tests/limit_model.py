"""What limits allow, by counting everything again each time: the model of limits.

Over plain records; times are whole seconds. Of the program it takes the pool as it was asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf

from brute_force import Bench, Shares, Wish
from gpuledger.replay.facts import Cap, Pool

HOUR, WEEK = 3_600, 604_800
FIELDS = ("gpus", "cpus", "gpu_hours", "window", "lease", "default_lease")


@dataclass(frozen=True)
class Want:
    """What somebody wants; once it runs, what it got from `start` until its lease's end."""

    owner: str
    task: str
    wish: Wish
    project: str | None = None
    lease: int | None = None
    priority: int = 0
    shares: Shares = ()
    start: int = 0
    until: float = inf
    place: int = 0
    """The number under which it waited, if it did."""

    def of(self, scope: str) -> object:
        """Whose limits of this scope it counts against."""
        return {"task": (self.owner, self.task), "user": self.owner}.get(scope, self.project)

    def gpus(self) -> int:
        """How many GPUs it got."""
        return sum(len(gpus) for _, gpus, _ in self.shares)


def takes(pool: Pool, project: str | None) -> bool:
    """Whether one may ask for a project: where some are listed, there are no others."""
    listed = [one.name for one in pool.projects]
    return project is None or not listed or project in listed


Caps = dict[str, dict[str, int | None]]


def caps(pool: Pool, want: Want) -> Caps:
    """What user, project and task may have at most: everybody's limits, overridden one by one."""
    found = {scope: [getattr(pool.limits, scope)] for scope in ("user", "project", "task")}
    found["user"][:0] = [one.cap for one in pool.members if one.id == want.owner]
    found["project"][:0] = [one.cap for one in pool.projects if one.name == want.project]
    return {
        scope: {
            name: next((n for cap in every if (n := getattr(cap, name)) is not None), None)
            for name in FIELDS
        }
        for scope, every in found.items()
        if want.of(scope) is not None and any(cap != Cap() for cap in every)
    }


def lease(pool: Pool, want: Want) -> int | None:
    """As it asks; else the first default, at most the longest."""
    every = caps(pool, want).values()
    firsts = [n for cap in every if (n := cap["default_lease"])][:1]
    return want.lease or min(firsts + [n for cap in every if (n := cap["lease"])], default=None)


def counts(pool: Pool) -> bool:
    """Whether GPU-hours are limited for anybody."""
    limits = pool.limits
    every = [limits.user, limits.project, limits.task]
    every += [one.cap for one in (*pool.projects, *pool.members)]
    return any(cap.gpu_hours for cap in every)


def most_cpus(benches: list[Bench], wish: Wish) -> int:
    """The CPUs that a wish may get: as asked, or the most that go with its GPUs anywhere."""
    if wish.cpus is not None:
        return wish.cpus
    usual = {bench.name: bench.usual for bench in benches}
    if wish.exact:
        return sum(usual[name](len(gpus)) for name, gpus in wish.exact)
    return wish.servers * max(usual[name](wish.gpus // wish.servers) for name in wish.on or usual)


@dataclass(frozen=True)
class Book:
    """What runs, and what ended while GPU-hours were limited."""

    pool: Pool
    runs: Iterable[Want]
    spent: Iterable[Want]

    def seconds(self, want: Want, scope: str, window: int | None, at: int) -> float:
        """GPU-seconds in the window: leases that run to their ends, what ended by whole hours."""
        first = at - (window or WEEK)
        since = [(run, first) for run in self.runs]
        since += [(run, first // HOUR * HOUR) for run in self.spent]
        return sum(
            run.gpus() * max(0, (at if run.until == inf else run.until) - max(run.start, begin))
            for run, begin in since
            if run.of(scope) == want.of(scope)
        )

    def broken(self, want: Want, benches: list[Bench], at: int) -> str | None:
        """The limit in the way: `never`, or `later` where waiting mends it; None where none is."""
        gpus, cpus = want.wish.gpus, most_cpus(benches, want.wish)
        length = lease(self.pool, want) or 0
        found = {"never"} if gpus > (self.pool.limits.gpus_per_task or inf) else set()
        found |= set() if takes(self.pool, want.project) else {"never"}
        for scope, cap in caps(self.pool, want).items():
            kin = [run for run in self.runs if run.of(scope) == want.of(scope)]
            hours, spent = cap["gpu_hours"], 0.0
            if hours is not None:
                spent = self.seconds(want, scope, cap["window"], at)
            for most, used, asked in (
                (cap["gpus"], sum(run.gpus() for run in kin), gpus),
                (cap["cpus"], sum(n for run in kin for *_, n in run.shares), cpus),
                (hours and hours * HOUR, spent, gpus * length),
                (cap["lease"], 0, length),
            ):
                if most is not None and used + max(asked, 1) > most:
                    found.add("never" if asked > most else "later")
        return "never" if "never" in found else next(iter(found), None)

    def overdone(self, run: Want, at: int) -> bool:
        """Whether a lease that was made longer is longer than a limit allows."""
        return any(
            run.until - at > (cap["lease"] or inf)
            or self.seconds(run, scope, cap["window"], at) > (cap["gpu_hours"] or inf) * HOUR
            for scope, cap in caps(self.pool, run).items()
        )
