"""Random histories by the real allocator: whatever a team does, drawn by a seed.

Grants on one server and several, on named ones and named GPUs, with leases and ties; requests in
line, served, cancelled and left; extensions, releases, drains, resets, and changes of the pool
that add, change, swap and remove servers, by force, too.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from random import Random

import msgspec

from drawn_teams import HERE, _limits, _people, _servers
from gpuledger.ledger.canonical import encode
from gpuledger.ledger.errors import GpuledgerError
from gpuledger.ledger.event import Draft, Event
from gpuledger.replay import request as requests
from gpuledger.replay.allocator import Allocator
from gpuledger.replay.catalogue import LedgerCreated, RequestQueued, version
from gpuledger.replay.facts import (
    Admins,
    AdminUser,
    Asked,
    AskedExtend,
    AskedRelease,
    By,
    Card,
    Placed,
    Pool,
    Process,
    Server,
    Tie,
)
from gpuledger.replay.request import AllocateRequest, placed_text
from gpuledger.replay.state import State
from memory_log import MemoryLog
from small_pools import ADA, BOB, ROOT

S = 1_000_000
TEAM = tuple(msgspec.structs.replace(actor, host=HERE) for actor in (ROOT, ADA, BOB))
ADMINS = Admins((AdminUser("root", "uid:0"),))
ID = "0" * 32
BEGINS = 444_444 * 3_600
ACTS = (
    "ask ask ask ask ask ask ask line line come come come release release release forced mine"
    " extend extend cancel drain resume apply apply wait wait wait die reset"
).split()


class History:
    """A team at work on a log in memory; `events` are all that it wrote."""

    def __init__(
        self, seed: int, acts: int, log: Callable[[Callable[[], int]], MemoryLog] | None = None
    ) -> None:
        self._random = Random(seed)
        self._now = BEGINS
        self._dead: set[int] = set()
        self._born = 0
        self._asking: dict[int, tuple[int, AllocateRequest]] = {}
        self.log = MemoryLog(self._first(), self.clock_us) if log is None else log(self.clock_us)
        self._now = self.log.head().at // S
        self._allocator = Allocator(self.log, gone=self._gone)
        self._allocator.tidy(TEAM[0])
        for _ in range(acts):
            with suppress(GpuledgerError):
                getattr(self, "_" + self._random.choice(ACTS))()

    def _first(self) -> Draft:
        first = LedgerCreated(ID, 1, self._pool(), By("root", 0))
        return Draft(self._now * S, first.KIND, version(first.KIND), "uid:0", None, encode(first))

    def clock_us(self) -> int:
        """The time of the next act."""
        return self._now * S

    @property
    def allocator(self) -> Allocator:
        """Who writes."""
        return self._allocator

    @property
    def events(self) -> list[Event]:
        """All that was written, in order."""
        return list(self.log.read(0))

    @property
    def _state(self) -> State:
        state = self._allocator._keeping._state
        assert state is not None
        return state

    def _pool(self) -> Pool:
        projects, members = _people(self._random)
        limits = _limits(self._random)
        servers = _servers(self._random, self._random.randrange(40))
        return Pool(servers, limits, ADMINS, projects, members)

    def _gone(self, tie: Tie) -> str | None:
        return "process" if tie.processes[0].pid in self._dead else None

    def _actor(self) -> int:
        return self._random.choice([0, 1, 1, 1, 2, 2, 2])

    def _request(self, who: int) -> AllocateRequest:
        random = self._random
        servers = list(self._state.servers())
        on: tuple[Placed, ...] = ()
        spread, each = random.choice([(1, 1), (1, 1), (1, 2), (1, 3), (2, 1), (2, 2)])
        if random.random() < 0.3:
            one = random.choice(servers)
            gpus = tuple(sorted(random.sample([c.index for c in one.facts.gpus], 1)))
            on, spread, each = (Placed(one.facts.name, random.choice([None, gpus])),), 1, 1
        cpus = random.choice([None, 1, 2, 4])
        lease = random.choice([None, None, 60, 600, 3600])
        other = random.choice([None] * 6 + ["ada"]) if who == 0 else None
        asked = Asked(
            random.choice(["a", "b", f"t{self._state.seq}"]), each * spread, cpus and cpus * spread,
            spread, tuple(map(placed_text, on)), lease=lease, beneficiary=other,
        )  # fmt: skip
        tie = None
        if random.random() < 0.2:
            self._born += 1
            tie = Tie(HERE, "boot", 1, (Process(self._born, 1),))
        request = requests.allocate(asked, on, uid=1001 if other else None, tie=tie)
        return msgspec.structs.replace(request, waiter=tie)

    def _ask(self) -> None:
        who = self._actor()
        self._allocator.allocate(self._request(who), TEAM[who])

    def _line(self) -> None:
        who = self._actor()
        request = self._request(who)
        recorded = self._allocator.join(request, TEAM[who])
        if isinstance(recorded.payload, RequestQueued):
            number = recorded.event.seq
            self._asking[number] = who, msgspec.structs.replace(request, waiting=number)

    def _come(self) -> None:
        if self._asking:
            number = self._random.choice(sorted(self._asking))
            who, request = self._asking[number]
            if self._allocator.serve(request, TEAM[who]) is not None:
                del self._asking[number]

    def _some(self) -> str:
        return f"@{self._random.choice(self._state.allocations()).id}"

    def _release(self) -> None:
        every = self._state.allocations()
        if every:
            piece = self._random.choice(every)
            who = next(actor for actor in TEAM if actor.identity == piece.owner)
            self._allocator.release(AskedRelease((f"@{piece.id}",)), who)

    def _forced(self) -> None:
        if self._state.allocations():
            asked = AskedRelease((self._some(),), force=True, reason="upkeep")
            self._allocator.release(asked, TEAM[0])

    def _mine(self) -> None:
        asked = AskedRelease(mine=True, if_held=True)
        if self._random.random() < 0.3:
            self._allocator.release(asked, TEAM[self._actor()])

    def _extend(self) -> None:
        leased = [one.id for one in self._state.allocations() if one.until is not None]
        if leased:
            task = f"@{self._random.choice(leased)}"
            more = self._random.choice([60, 600])
            self._allocator.extend(AskedExtend((task,), more, None, True, "so"), TEAM[0])

    def _cancel(self) -> None:
        line = self._state.docket.line()
        if line:
            number = self._random.choice(line).id
            asked = AskedRelease((f"@{number}",), force=True, reason="full")
            self._allocator.cancel(asked, TEAM[0])

    def _places(self) -> tuple[Placed, ...]:
        server = self._random.choice(list(self._state.servers())).facts
        gpu = self._random.choice(server.gpus).index
        return (Placed(server.name, self._random.choice([None, (gpu,)])),)

    def _drain(self) -> None:
        self._allocator.drain(self._places(), TEAM[0], None)

    def _resume(self) -> None:
        self._allocator.resume(self._places(), TEAM[0], None)

    def _pool_now(self) -> list[Server]:
        """The servers, one of them changed, gone, or a new one beside."""
        random = self._random
        servers = [server.facts for server in self._state.servers()]
        at = random.randrange(len(servers))
        what = random.choice(["more", "fewer", "cpus", "swap", "gone", "new", "new", "other"])
        facts = servers[at]
        cards = facts.gpus
        if what == "more":
            free = [index for index in range(7) if index not in {card.index for card in cards}]
            more = Card(random.choice(free)) if free else cards[0]
            cards = tuple(sorted({*cards, more}, key=lambda card: card.index))
        elif what == "fewer" and len(cards) > 1:
            out = random.choice(cards)
            cards = tuple(card for card in cards if card != out)
        elif what == "swap":
            swapped = random.choice(cards)
            uuid = random.choice(["GPU-x", "GPU-y"])
            cards = tuple(Card(c.index, uuid if c == swapped else c.uuid) for c in cards)
        cpus = random.choice([3, 8, 16, 24]) if what == "cpus" else facts.cpus
        servers[at] = Server(facts.name, cpus, cards)
        if what == "gone" and len(servers) > 1:
            del servers[at]
        elif what == "new":
            name = f"s{random.randrange(5)}"
            fresh = msgspec.structs.replace(random.choice(_servers(random, 3)), name=name)
            servers = [*(one for one in servers if one.name != name), fresh]
        elif what == "other":
            servers = list(_servers(random, random.randrange(40)))
        return servers

    def _pool_(self) -> Pool:
        projects, members = _people(self._random)
        return Pool(tuple(self._pool_now()), _limits(self._random), ADMINS, projects, members)

    def _apply(self) -> None:
        self._allocator.apply_pool(
            self._pool_(), TEAM[0], remove=True, force=self._random.random() < 0.6, reason="term"
        )

    def _wait(self) -> None:
        self._now += self._random.choice([1, 30, 60, 600, 3600])

    def _die(self) -> None:
        if self._born:
            self._dead.add(self._random.randint(1, self._born))
            self._allocator.tidy(TEAM[1])

    def _reset(self) -> None:
        if self._random.random() < 0.3:
            self._allocator.reset(TEAM[0], "new term")
