"""A Hypothesis state machine of all that people do: ask, wait, extend, cancel, release, drain ...

Whatever is asked, in any order and through any allocator, is answered as the model says.
"""

from __future__ import annotations

from dataclasses import replace
from math import inf

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from brute_force import ever
from drawn_teams import pools
from gpuledger.replay.errors import (
    NoLease,
    ReasonNeeded,
    Refused,
    ServerInUse,
)
from gpuledger.replay.facts import AskedExtend, AskedRelease, Placed, Pool
from gpuledger.replay.line import serve
from gpuledger.replay.queue import queue
from limit_model import Book, Want, takes
from team_asks import MOSTLY_OWN, PICK, WHO, Asks
from team_turns import TEAM, S, Turn, shares_by

MORE = st.sampled_from((600, 3600, 7200))
WHY = st.sampled_from((None, "new term"))


class Team(Asks):
    """Root, ada and bob, and all that they may do."""

    def ended(self, turn: Turn, numbers: set[int]) -> None:
        """Exactly these allocations have ended."""
        assert turn.error is None
        assert {grant.event.seq for grant in turn.answer.grants} == numbers
        for number in numbers:
            self.model.end(number, turn.at)

    @precondition(lambda self: self.model.runs)
    @rule(pick=PICK, who=MOSTLY_OWN)
    def release(self, pick: int, who: int | None) -> None:
        _, task, who = self.picked(self.model.runs, pick, who)
        turn = self.turn(who, lambda one, by: one.release(AskedRelease((task,)), by))
        mine, theirs = self.named(self.model.runs, who, task)
        if mine:
            self.ended(turn, mine)
        else:
            codes = ("refused", "ambiguous_task") if theirs else ("no_such_task",)
            assert turn.error is not None
            assert turn.error.code in codes

    @precondition(lambda self: self.model.runs)
    @rule(who=WHO)
    def release_mine(self, who: int) -> None:
        asked = AskedRelease(mine=True, if_held=True)
        turn = self.turn(who, lambda one, by: one.release(asked, by))
        owner, runs = TEAM[who % 3].identity, self.model.runs
        mine = {number for number, run in runs.items() if run.owner == owner}
        if mine:
            self.ended(turn, mine)
        else:
            assert (turn.answer, turn.error) == (None, None)

    @precondition(lambda self: self.model.runs)
    @rule(pick=PICK, who=MOSTLY_OWN, force=st.booleans())
    def release_by_number(self, pick: int, who: int | None, force: bool) -> None:
        number, _, who = self.picked(self.model.runs, pick, who)
        asked = AskedRelease((f"@{number}",), force=force, reason="for upkeep" if force else None)
        turn = self.turn(who, lambda one, by: one.release(asked, by))
        if self.may(turn, self.model.runs.get(number), who, force):
            self.ended(turn, {number})

    def picked(self, wants: dict[int, Want], pick: int, who: int | None) -> tuple[int, str, int]:
        """One of these, its task, and who acts on it: he whose it is, where nobody is named."""
        number = sorted(wants)[pick % len(wants)]
        owners = [actor.identity for actor in TEAM]
        return number, wants[number].task, owners.index(wants[number].owner) if who is None else who

    def named(self, wants: dict[int, Want], who: int, task: str) -> tuple[set[int], set[int]]:
        """Those of that name that are one's own, and all of them."""
        every = {number for number, want in wants.items() if want.task == task}
        return {n for n in every if wants[n].owner == TEAM[who % 3].identity}, every

    def may(self, turn: Turn, found: Want | None, who: int, force: bool) -> bool:
        """Whether one may do it to what is there: his own, or as an admin who says so."""
        if found is None:
            assert turn.error is not None
            assert turn.error.code in ("no_such_task", "not_waiting")
            return False
        if found.owner == TEAM[who % 3].identity or (force and who % 3 == 0):
            return True
        assert isinstance(turn.error, Refused)
        assert turn.error.reason == "not_permitted"
        return False

    @precondition(lambda self: any(run.until < inf for run in self.model.runs.values()))
    @rule(who=WHO, pick=PICK, more=MORE)
    def extend(self, who: int, pick: int, more: int) -> None:
        owner, runs = TEAM[who % 3].identity, self.model.runs
        tasks = sorted(run.task for run in runs.values() if run.owner == owner)[: 1 + pick % 3]
        if not tasks:
            return
        turn = self.turn(who, lambda one, by: one.extend(AskedExtend(tuple(tasks), more), by))
        mine = [number for task in tasks for number in self.named(runs, who, task)[0]]
        if len(mine) < len(tasks):
            assert turn.error is not None
        else:
            self.extended(turn, mine, more)

    @precondition(lambda self: any(run.until < inf for run in self.model.runs.values()))
    @rule(pick=PICK, who=MOSTLY_OWN, force=st.booleans(), more=MORE)
    def extend_by_number(self, pick: int, who: int | None, force: bool, more: int) -> None:
        number, _, who = self.picked(self.model.runs, pick, who)
        why = "it is nearly done" if force else None
        asked = AskedExtend((f"@{number}",), more, None, force, why)
        turn = self.turn(who, lambda one, by: one.extend(asked, by))
        if self.may(turn, self.model.runs.get(number), who, force):
            self.extended(turn, [number], more, over=force and who % 3 == 0)

    def passers(self) -> list[int]:
        """What runs on a lease and was granted while somebody waited who waits still."""
        first = min(self.model.line, default=inf)
        return [n for n, run in self.model.runs.items() if n > first and run.until < inf]

    @precondition(lambda self: self.passers())
    @rule(pick=PICK, more=MORE)
    def extend_who_passed(self, pick: int, more: int) -> None:
        number = self.passers()[pick % len(self.passers())]
        owners = [actor.identity for actor in TEAM]
        who = owners.index(self.model.runs[number].owner)
        asked = AskedExtend((f"@{number}",), more)
        turn = self.turn(who, lambda one, by: one.extend(asked, by))
        if number in self.model.runs:
            self.extended(turn, [number], more)
        else:
            assert turn.error is not None

    def extended(self, turn: Turn, numbers: list[int], more: int, *, over: bool = False) -> None:
        """All of these end later, or none where a limit is in the way, or one who was passed in
        line would start later and no admin steps `over` that.
        """
        runs = self.model.runs
        if any(runs[number].until == inf for number in numbers):
            assert isinstance(turn.error, NoLease)
            return
        before = {number: runs[number] for number in numbers}
        later = {n: replace(run, until=run.until + more) for n, run in before.items()}
        delays = self.model.delays(later, turn.at)
        runs |= later
        book = Book(self.model.pool, runs.values(), self.model.spent)
        if any(book.overdone(runs[number], turn.at) for number in numbers):
            runs |= before
            assert isinstance(turn.error, Refused)
            assert turn.error.reason == "limit"
        elif over or not delays:
            assert turn.error is None
        else:
            runs |= before
            assert isinstance(turn.error, Refused)
            assert turn.error.reason == "waiting"

    @precondition(lambda self: self.model.line)
    @rule(pick=PICK, who=MOSTLY_OWN)
    def cancel(self, pick: int, who: int | None) -> None:
        _, task, who = self.picked(self.model.line, pick, who)
        turn = self.turn(who, lambda one, by: one.cancel(AskedRelease((task,)), by))
        mine, theirs = self.named(self.model.line, who, task)
        if mine:
            self.left(turn, mine)
        else:
            codes = ("refused", "ambiguous_task") if theirs else ("not_waiting",)
            assert turn.error is not None
            assert turn.error.code in codes

    @precondition(lambda self: self.model.line)
    @rule(pick=PICK, who=MOSTLY_OWN, force=st.booleans())
    def cancel_by_number(self, pick: int, who: int | None, force: bool) -> None:
        number, _, who = self.picked(self.model.line, pick, who)
        asked = AskedRelease((f"@{number}",), force=force, reason="too long" if force else None)
        turn = self.turn(who, lambda one, by: one.cancel(asked, by))
        if self.may(turn, self.model.line.get(number), who, force):
            self.left(turn, {number})

    def left(self, turn: Turn, numbers: set[int]) -> None:
        """Exactly these wait no longer."""
        assert turn.error is None
        assert set(turn.answer.payload.requests) == numbers
        for number in numbers:
            del self.model.line[number]

    @precondition(lambda self: self.state.seq > 8)
    @rule(who=st.sampled_from((0, 3, 0, 1)), pick=PICK, whole=st.booleans(), back=st.booleans())
    def drain_or_resume(self, who: int, pick: int, whole: bool, back: bool) -> None:
        server = self.model.pool.servers[pick % len(self.model.pool.servers)]
        indices = [card.index for card in server.gpus]
        gpus = indices if whole else indices[pick % len(indices) :][:1]
        on = (Placed(server.name, None if whole else tuple(gpus)),)
        turn = self.turn(who, lambda one, by: (one.resume if back else one.drain)(on, by, None))
        assert (turn.error is None) == (who % 3 == 0)
        places, drained = {(server.name, gpu) for gpu in gpus}, self.model.drained
        if turn.error is None:
            self.model.drained = drained - places if back else drained | places

    @precondition(lambda self: self.state.seq > 12)
    @rule(new=pools(), remove=st.booleans(), force=st.booleans(), why=WHY)
    def apply_pool(self, new: Pool, remove: bool, force: bool, why: str | None) -> None:
        named = {server.name for server in new.servers}
        kept = () if remove else [s for s in self.model.pool.servers if s.name not in named]
        turn = self.turn(
            0, lambda one, by: one.apply_pool(new, by, remove=remove, force=force, reason=why)
        )
        if turn.error is not None:
            assert isinstance(turn.error, ReasonNeeded if force else ServerInUse)
            assert why is None or not force
            return
        for number in turn.answer.payload.ended if turn.answer else ():
            assert force
            self.model.end(number, turn.at)
        servers = tuple(server.facts for server in self.state.servers())
        assert {*servers} == {*new.servers, *kept}
        self.model.reshape(msgspec.structs.replace(new, servers=servers))

    @precondition(lambda self: len(self.model.runs) > 2)
    @rule(who=st.sampled_from((0, 1, 3)), why=WHY)
    def reset(self, who: int, why: str | None) -> None:
        turn = self.turn(who, lambda one, by: one.reset(by, why))
        others = {run.owner for run in self.model.runs.values()} - {TEAM[who % 3].identity}
        if who % 3:
            assert isinstance(turn.error, Refused)
        elif others and why is None:
            assert isinstance(turn.error, ReasonNeeded)
        else:
            assert turn.error is None
            for number in list(self.model.runs):
                self.model.end(number, turn.at)

    @rule(by=st.sampled_from((1, 60, 600, 1800, 3600, 5400, 7200, 20_000, -100)))
    def time_passes(self, by: int) -> None:
        self.now += by

    @precondition(lambda self: self.alive())
    @rule(pick=PICK)
    def process_ends(self, pick: int) -> None:
        alive = self.alive()
        self.dead[alive[pick % len(alive)]] = "process"
        self.now += 1

    @precondition(lambda self: self.alive())
    @rule()
    def host_starts_anew(self) -> None:
        self.dead |= dict.fromkeys(self.alive(), "reboot")
        self.now += 1

    def alive(self) -> list[int]:
        """The processes that hold or wait for something and are there still."""
        kept = [*self.model.runs, *self.model.line]
        pids = {self.processes[number][0] for number in kept if number in self.processes}
        return sorted(pids - self.dead.keys())

    @precondition(lambda self: self.now > self.state.head.at // S)
    @rule(who=WHO)
    def tidy(self, who: int) -> None:
        turn = self.turn(who, lambda one, by: one.tidy(by))
        assert (turn.error, turn.event) == (None, None)
        self.nobody_gone()

    @precondition(lambda self: self.model.line)
    @rule()
    def show_the_queue(self) -> None:
        """What the queue shows: the order, who is next, and when the first without room starts."""
        at = self.turn(3, lambda one, by: one.tidy(by)).at
        rows = queue(self.state, at * S)
        plan = shares_by(serve(self.state, self.state.docket.line(), at * S))
        self.model.judge(plan, at)
        assert [row.position for row in rows] == list(range(1, len(rows) + 1))
        assert {row.piece.id for row in rows if row.reason == "next"} == plan.keys()
        for row in rows:
            want = self.model.line[row.piece.id]
            could = takes(self.model.pool, want.project) and ever(self.model.benches(), want.wish)
            assert (row.reason == "never") != could
            assert row.starts is None or row.starts >= at * S
            assert (row.starts == at * S) == (row.piece.id in plan)
