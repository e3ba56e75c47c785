"""Hypothesis strategies for the booking machine: pools with limits and projects, and what is asked.

Each is drawn from a list made beforehand, the plainest first: thousands of examples a minute.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from random import Random
from typing import NamedTuple, TypeVar

from hypothesis import strategies as st

from brute_force import Wish
from gpuledger.replay.facts import Cap, Card, Limits, Member, Pool, Project, Server

Value = TypeVar("Value")
HOURS = 7_200
"""The window over which every limit of GPU-hours counts here, in seconds."""

HERE, FAR = "here", "far"
"""The host on which everybody works, and another one."""

NEW = "new"
"""A key that nobody has used."""


def _servers(random: Random, number: int) -> tuple[Server, ...]:
    """One to four servers of one to five GPUs, now and then with UUIDs and with gaps."""
    made = []
    for at in range((1, 2, 1, 3, 2, 1, 4)[number % 7]):
        indices = sorted(random.sample(range(6), random.choice([2, 3, 4, 4, 5, 5])))
        stem = random.choice([None, None, "GPU-a", "GPU-b"])
        cards = tuple(Card(at, None if stem is None else f"{stem}-{at}") for at in indices)
        made.append(Server(f"s{at}", random.choice([5, 8, 8, 16, 24]), cards))
    return tuple(made)


def _cap(random: Random) -> Cap:
    """Now and then a limit, or two."""
    hours = random.choice([None, 2, 3, 5, 12])
    lease, default = random.choice(
        [(None, None), (None, 1800), (3600, None), (7200, None), (7200, 600)]
    )
    gpus, cpus = random.choice([None, None, 4, 5, 6]), random.choice([None, None, 8, 16])
    made = Cap(gpus, cpus, hours, hours and HOURS, lease, default)
    return random.choice([Cap(), Cap(), Cap(), made])


def _limits(random: Random) -> Limits:
    most = random.choice([None, None, None, 4, 5])
    return Limits(most, _cap(random), _cap(random), _cap(random))


def _people(random: Random) -> tuple[tuple[Project, ...], tuple[Member, ...]]:
    """Projects of other places in line, and users with one of their own, each with limits."""
    projects = tuple(Project(name, random.choice([0, 5, -1]), _cap(random)) for name in "pq")
    own = [random.choice([None, "p", "q"]) for _ in range(2)]
    members = (
        Member("ada", "uid:1001", own[0], _cap(random)),
        Member("bob", "uid:1002", own[1], _cap(random)),
    )
    return random.choice([(), projects]), random.choice([(), members[:1], members])


_chosen = Random(20200331)
_SERVERS = [_servers(_chosen, number) for number in range(40)]
_LIMITS = [Limits(), *(_limits(_chosen) for _ in range(80))]
_PEOPLE = [((), ()), *(_people(_chosen) for _ in range(40))]


def at(draw: st.DrawFn, values: Sequence[Value]) -> Value:
    """One of many, which are not spelled out where the strategy is named."""
    return values[draw(st.integers(0, len(values) - 1))]


@st.composite
def pools(draw: st.DrawFn) -> Pool:
    """A pool with limits, projects and users of its own, or without."""
    projects, members = at(draw, _PEOPLE)
    return Pool(at(draw, _SERVERS), at(draw, _LIMITS), projects=projects, members=members)


class Ask(NamedTuple):
    """What is asked by whom, before a pool is there: `place` is where, as far as it is said.

    `task` is None for a name that nobody has; GPUs and CPUs on each of so many servers; lease
    in seconds, and project; whether to wait, and how long; tied to a process of which host; with
    which key; for whom.
    """

    who: int = 1
    task: str | None = None
    shape: tuple[int, int | None, int] = (1, None, 1)
    place: tuple[bool, int, int] | None = None
    terms: tuple[int | None, str | None] = (None, None)
    wait: bool = True
    give_up: int | None = None
    tie: str | None = None
    key: str | None = None
    whose: int | None = None

    def wish(self, pool: Pool) -> Wish:
        """Anywhere, on named servers, or for GPUs that are named."""
        each, cpus, servers = self.shape
        whole = cpus and cpus * servers
        if self.place is None:
            return Wish(each * servers, whole, servers)
        exact, first, bits = self.place
        at = first % len(pool.servers)
        turned = [*pool.servers[at:], *pool.servers[:at]]
        if not exact:
            names = tuple(server.name for server in turned[: 1 + bits % 3])
            return Wish(each * servers, whole, servers, names)
        named = []
        for server in turned[: min(servers, 2)]:
            gpus = [card.index for n, card in enumerate(server.gpus) if bits >> n & 1]
            named.append((server.name, tuple(gpus or [server.gpus[0].index])))
        return Wish(sum(len(gpus) for _, gpus in named), whole, exact=tuple(named))


_TASKS = list(product((1, 2, 1, 2, 0, 3), (*[None] * 8, "a", "b")))
_SHAPES = [
    (1, None, 1),
    (2, None, 1),
    (3, None, 1),
    (3, None, 1),
    (2, 4, 1),
    (1, 6, 1),
    (4, None, 1),
]
_SHAPES += [
    (1, None, 2),
    (2, None, 2),
    (1, 1, 1),
    (2, None, 1),
    (3, 3, 1),
    (1, 2, 3),
    (2, None, 1),
    (5, 5, 1),
]
_PLACES = [None] * 30 + list(product((False, True), range(3), (1, 3, 7, 10, 31)))
_LEASES = (None, 600, 1800, 3600, 3600, 7200)
_TERMS = [*product(_LEASES, (None, "p", "q")), (60, "x")]
_HOWS = [
    {}, {"wait": False}, {"tie": HERE}, {"wait": False, "tie": HERE}, {"give_up": 600},
    {"give_up": 60, "tie": HERE}, {"tie": FAR}, {"key": "x"}, {"wait": False, "key": "y"},
    {"wait": False, "key": "x"}, {"key": "y", "tie": HERE}, {"key": NEW}, {"key": NEW},
    {"whose": 1}, {"whose": 2, "key": "x"}, {}, {"wait": False}, {"tie": HERE},
]  # fmt: skip

_PLAIN = list(product(_SHAPES, _LEASES, (None, None, None, 600)))


@st.composite
def asks(draw: st.DrawFn) -> Ask:
    """Whatever can be asked."""
    who, task = at(draw, _TASKS)
    terms, how = at(draw, _TERMS), at(draw, _HOWS)
    return Ask(who, task, at(draw, _SHAPES), at(draw, _PLACES), terms, **how)


@st.composite
def plain_asks(draw: st.DrawFn) -> Ask:
    """Somebody waits for so many GPUs, for so long, and now and then not for ever."""
    who, task = at(draw, _TASKS)
    shape, lease, give_up = at(draw, _PLAIN)
    return Ask(who, task, shape, None, (lease, None), give_up=give_up)
