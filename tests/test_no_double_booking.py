"""Invariant 3: whatever is asked, in any order and through any handle, no GPU is held twice.

A Hypothesis state machine drives several handles on one file against a ten-line model. In
between it sets the clock back and damages the stores, which are only caches.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

import forging
from booking_model import Model
from brute_force import Wish, best, reason
from drawn_pools import benches_of, shares_of
from gpuledger.handle import Ledger
from gpuledger.ledger.errors import GpuledgerError, KeyReused
from gpuledger.replay.actor import Actor
from gpuledger.replay.errors import (
    ReasonNeeded,
    Refused,
    ServerInUse,
    TaskInUse,
)
from gpuledger.replay.facts import Card, Limits, Placed, Pool, Server
from gpuledger.replay.piece import state_hash
from gpuledger.replay.state import replay
from prefixes import Booked
from small_pools import ADA, BOB, ROOT, ledger

ACTORS = (ROOT, ADA, BOB)
TASKS = st.sampled_from(["a", "b", "c", "d"])
CPUS = st.none() | st.integers(1, 12)
WHO = st.sampled_from(range(4))
STORES = ("snapshot", "pieces", "holdings", "capacity")


@st.composite
def pools(draw: st.DrawFn) -> Pool:
    """One to four servers of one to five GPUs, now and then with UUIDs, gaps or a limit."""
    servers = [draw(facts(f"s{at}")) for at in range(draw(st.integers(1, 4)))]
    return Pool(tuple(servers), Limits(draw(st.none() | st.integers(2, 6))))


@st.composite
def facts(draw: st.DrawFn, name: str) -> Server:
    indices = sorted(draw(st.sets(st.integers(0, 5), min_size=1, max_size=5)))
    stem = draw(st.sampled_from([None, None, "GPU-a", "GPU-b"]))
    cards = tuple(Card(at, None if stem is None else f"{stem}-{at}") for at in indices)
    return Server(name, draw(st.integers(1, 24)), cards)


def outcome(act: Callable[[], Any]) -> tuple[Any, GpuledgerError | None]:
    """What an act answers, or with which error of ours it ends."""
    try:
        return act(), None
    except GpuledgerError as error:
        return None, error


class Booking(RuleBasedStateMachine):
    """Three people and a program that opens the ledger once a command, all on one file."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="booking-"))
        self.path = self.folder / "ledger.db"
        self.now = 1_800_000_000_000_000
        self.keys: dict[tuple[str, str], tuple[Any, int]] = {}
        self.damaged = False

    def teardown(self) -> None:
        if hasattr(self, "handles"):
            Booked().follow(forging.rows(self.path))
            for handle in self.handles:
                handle.close()
        shutil.rmtree(self.folder)

    @initialize(pool=pools())
    def make(self, pool: Pool) -> None:
        self.reader = ledger(self.path, pool)
        first = self.reader.state()
        self.model = Model(msgspec.structs.replace(pool, admins=first.pool.admins))
        self.handles = [self.open(actor) for actor in ACTORS] + [self.reader]

    def open(self, actor: Actor, *, once: bool = False) -> Ledger:
        return Ledger(str(self.path), actor=actor, once=once, clock_us=lambda: self.now)

    def handle(self, who: int) -> Ledger:
        """One of the long-lived handles, or one for this act alone, as a command has it."""
        return self.handles[who] if who < len(ACTORS) else self.open(ROOT, once=True)

    def ask(self, who: int, task: str, wish: Wish, key: str | None = None) -> None:
        """Ask, and hold the answer against the model."""
        handle = self.handle(who)
        owner = handle.actor.identity
        on = tuple(Placed(name, gpus) for name, gpus in wish.exact) or tuple(map(Placed, wish.on))
        used = self.keys.get((owner, key)) if key is not None else None
        before, running = self.reader.head(), self.model.running(owner)
        given, error = outcome(
            lambda: handle.allocate(
                task, wish.gpus, wish.cpus, on=on, servers=wish.servers, key=key
            )
        )
        if used is not None and used[0] != (task, wish):
            assert isinstance(error, KeyReused)
            assert error.seq == used[1]
        elif used is not None:
            assert given.id == used[1]
        elif task in running:
            assert isinstance(error, TaskInUse)
        elif error is not None:
            limit = self.model.pool.limits.gpus_per_task
            assert isinstance(error, Refused)
            assert error.reason == reason(self.model.benches(), wish, limit=limit)
            assert self.reader.head().seq - before.seq in (0, 1)
            return
        else:
            assert shares_of(given.grant) == best(self.model.benches(), wish)
            self.model.take(given.id, owner, task, given.servers)
            if key is not None:
                self.keys[owner, key] = ((task, wish), given.id)
            return
        assert self.reader.head() == before

    @rule(who=WHO, task=TASKS, gpus=st.integers(1, 4), cpus=CPUS, servers=st.integers(1, 3))
    def allocate(self, who: int, task: str, gpus: int, cpus: int | None, servers: int) -> None:
        whole = None if cpus is None else cpus * servers
        self.ask(who, task, Wish(gpus * servers, whole, servers))

    @rule(who=WHO, task=TASKS, gpus=st.integers(1, 4), cpus=CPUS, data=st.data())
    def allocate_on(
        self, who: int, task: str, gpus: int, cpus: int | None, data: st.DataObject
    ) -> None:
        names = st.sampled_from([server.name for server in self.model.pool.servers])
        on = data.draw(st.lists(names, unique=True, min_size=1))
        self.ask(who, task, Wish(gpus, cpus, on=tuple(on)))

    @rule(who=WHO, task=TASKS, cpus=CPUS, data=st.data())
    def allocate_exactly(self, who: int, task: str, cpus: int | None, data: st.DataObject) -> None:
        servers = st.sampled_from(self.model.pool.servers)
        chosen = data.draw(st.lists(servers, unique_by=lambda s: s.name, min_size=1, max_size=2))
        exact = []
        for server in chosen:
            indices = st.sampled_from([card.index for card in server.gpus])
            exact.append((server.name, tuple(sorted(data.draw(st.sets(indices, min_size=1))))))
        self.ask(who, task, Wish(sum(len(gpus) for _, gpus in exact), cpus, exact=tuple(exact)))

    @rule(who=WHO, task=TASKS, key=st.sampled_from("xyz"), gpus=st.integers(1, 2))
    def allocate_with_a_key(self, who: int, task: str, key: str, gpus: int) -> None:
        self.ask(who, task, Wish(gpus), key)

    @rule(task=TASKS, gpus=st.integers(1, 2))
    def allocate_in_a_thread(self, task: str, gpus: int) -> None:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(self.ask, 1, task, Wish(gpus)).result()

    def end(self, act: Callable[[], Any], numbers: set[int]) -> None:
        """A release that must end exactly these allocations."""
        released = act()
        assert {grant.event.seq for grant in released.grants} == numbers
        for number in numbers:
            self.model.give(number)

    @rule(who=st.sampled_from(range(3)), task=TASKS)
    def release(self, who: int, task: str) -> None:
        handle = self.handle(who)
        mine = {n for n, own in self.model.owner.items() if own == (handle.actor.identity, task)}
        theirs = {n for n, (_, name) in self.model.owner.items() if name == task}
        if mine:
            self.end(lambda: handle.release(task), mine)
            return
        _, error = outcome(lambda: handle.release(task))
        assert error is not None
        assert error.code in (("refused", "ambiguous_task") if theirs else ("no_such_task",))

    @rule(who=st.sampled_from(range(3)))
    def release_mine(self, who: int) -> None:
        handle = self.handle(who)
        mine = {n for n, (by, _) in self.model.owner.items() if by == handle.actor.identity}
        self.end(lambda: handle.release(mine=True, if_held=True), mine)

    @precondition(lambda self: self.model.owner)
    @rule(who=WHO, data=st.data(), force=st.booleans())
    def release_by_number(self, who: int, data: st.DataObject, force: bool) -> None:
        handle = self.handle(who)
        number = data.draw(st.sampled_from(sorted(self.model.owner)))
        owned = self.model.owner[number][0] == handle.actor.identity
        why = "for upkeep" if force else None

        act = partial(handle.release, f"@{number}", force=force, reason=why)
        if owned or (force and handle.actor == ROOT):
            self.end(act, {number})
            return
        _, error = outcome(act)
        assert isinstance(error, Refused)
        assert error.reason == "not_permitted"

    @rule(data=st.data(), who=WHO, back=st.booleans())
    def drain_or_resume(self, data: st.DataObject, who: int, back: bool) -> None:
        handle = self.handle(who)
        facts = data.draw(st.sampled_from(self.model.pool.servers))
        gpus = data.draw(st.none() | st.sampled_from([(card.index,) for card in facts.gpus]))
        act = handle.resume if back else handle.drain
        _, error = outcome(lambda: act((Placed(facts.name, gpus),)))
        assert (error is None) == (handle.actor == ROOT)
        if error is not None:
            return
        places = {(facts.name, gpu) for gpu in gpus or [card.index for card in facts.gpus]}
        self.model.drained = self.model.drained - places if back else self.model.drained | places

    @rule(
        data=st.data(),
        remove=st.booleans(),
        force=st.booleans(),
        why=st.sampled_from([None, "new racks"]),
    )
    def apply_pool(self, data: st.DataObject, remove: bool, force: bool, why: str | None) -> None:
        new = data.draw(pools())
        if not remove:
            named = {server.name for server in new.servers}
            kept = tuple(s for s in self.model.pool.servers if s.name not in named)
        else:
            kept = ()
        recorded, error = outcome(
            lambda: self.handle(0).pool_apply(new, remove=remove, force=force, reason=why)
        )
        if error is not None:
            assert isinstance(error, ReasonNeeded if force else ServerInUse)
            assert why is None or not force
            return
        for number in recorded.payload.ended if recorded else ():
            assert force
            self.model.give(number)
        state = self.reader.state()
        assert {s.facts for s in state.servers()} == {*new.servers, *kept}
        order = tuple(server.facts for server in state.servers())
        self.model.reshape(Pool(order, new.limits, self.model.pool.admins))

    @rule(who=WHO, why=st.sampled_from([None, "new term"]))
    def reset(self, who: int, why: str | None) -> None:
        handle = self.handle(who)
        others = {by for by, _ in self.model.owner.values()} - {handle.actor.identity}
        _, error = outcome(lambda: handle.reset(why))
        if handle.actor != ROOT:
            assert isinstance(error, Refused)
        elif others and why is None:
            assert isinstance(error, ReasonNeeded)
        else:
            assert error is None
            for number in list(self.model.owner):
                self.model.give(number)

    @rule(by_s=st.integers(-100, 100))
    def move_the_clock(self, by_s: int) -> None:
        self.now += by_s * 1_000_000

    @rule(data=st.data(), table=st.sampled_from(STORES), delete=st.booleans())
    def damage_a_store(self, data: st.DataObject, table: str, delete: bool) -> None:
        with forging.opened(self.path) as connection:
            column = {"snapshot": "seq", "pieces": "key"}.get(table, "n")
            found = [one for (one,) in connection.execute(f"SELECT {column} FROM {table}")]
            if not found:
                return
            chosen = data.draw(st.sampled_from(found))
            act = f"DELETE FROM {table}" if delete else f"UPDATE {table} SET digest = zeroblob(32)"
            connection.execute(f"{act} WHERE {column} = ?", (chosen,))
        self.damaged = True

    @rule()
    def rebuild(self) -> None:
        rebuilt = self.handle(3).rebuild()
        assert rebuilt.state_hash == state_hash(self.reader.state().pieces)
        self.damaged = False

    @invariant()
    def holds(self) -> None:
        """State, model and a replay from the start agree; verify finds what was damaged."""
        if not hasattr(self, "handles"):
            return
        state = self.reader.state()
        again = replay(self.reader.log.read(0))
        assert state.pieces == again.pieces
        assert benches_of(state) == self.model.benches()
        assert {piece.id for piece in state.allocations()} == set(self.model.owner)
        problems = self.reader.verify().problems
        if self.damaged:
            assert {one.what for one in problems} <= {"snapshot", "piece", "holdings", "capacity"}
        else:
            assert problems == ()


def test_nothing_is_ever_booked_twice(full: bool) -> None:
    """Whatever people ask, no GPU has two holders, CPUs add up, and state is a replay."""
    size = settings(
        max_examples=400 if full else 25, stateful_step_count=60 if full else 30, deadline=None
    )
    run_state_machine_as_test(Booking, settings=size)
