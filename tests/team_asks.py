"""The half of the team's state machine that asks: allocate, wait in line, come, leave it again."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from brute_force import Shares, Wish, there
from drawn_pools import shares_of
from drawn_teams import NEW, Ask, asks, plain_asks, pools
from gpuledger.ledger.errors import KeyReused
from gpuledger.replay import request as requests
from gpuledger.replay.actor import Actor
from gpuledger.replay.catalogue import RequestQueued
from gpuledger.replay.errors import (
    NoSuchProject,
    NoSuchServer,
    NotWaiting,
    Refused,
    TaskInUse,
)
from gpuledger.replay.facts import Asked, Placed, Pool
from gpuledger.replay.fold import decode
from gpuledger.replay.line import serve
from gpuledger.replay.piece import WaitingPiece
from gpuledger.replay.request import AllocateRequest, placed_text
from limit_model import Want, lease, takes
from team_model import LAST, Plan
from team_turns import TEAM, S, Turn, Turns, shares_by

WHO = st.sampled_from((1, 2, 1, 2, 0, 3))
MOSTLY_OWN = st.sampled_from((*[None] * 8, 0, 1, 2, 3))
"""Who acts on what is somebody's: mostly he himself."""
PICK = st.integers(0, 7)


class Asking(NamedTuple):
    """A request that waits: as it is asked again, by whom, with which key."""

    request: AllocateRequest
    who: int
    key: str | None


class Asks(Turns):
    """Root, ada and bob, and all that they may ask for."""

    def __init__(self) -> None:
        super().__init__()
        self.keys: dict[tuple[str, str], tuple[Asked, int]] = {}
        self.asking: dict[int, Asking] = {}
        self.served_as: dict[int, int] = {}
        self.prompt = False

    def want(self, asked: Asked, owner: str, wish: Wish) -> Want:
        """What is asked, as the model sees it."""
        pool = self.model.pool
        own = next((one.project for one in pool.members if one.id == owner), None)
        project = asked.project or own
        first = next((one.priority for one in pool.projects if one.name == project), 0)
        return Want(owner, asked.task, wish, project, asked.lease, first)

    @initialize(
        pool=pools(), asks=st.lists(plain_asks(), min_size=4, max_size=9), prompt=st.booleans()
    )
    def make(self, pool: Pool, asks: list[Ask], prompt: bool) -> None:
        self.begin(pool)
        self.prompt = prompt
        for ask in asks:
            self.ask(ask)

    @rule(ask=plain_asks())
    def wait_plainly(self, ask: Ask) -> None:
        self.ask(ask)

    @rule(ask=plain_asks())
    def allocate_plainly(self, ask: Ask) -> None:
        self.ask(ask._replace(wait=False))

    @rule(ask=asks())
    def wait_or_allocate(self, ask: Ask) -> None:
        self.ask(ask)

    def ask(self, ask: Ask) -> None:
        """Ask, and hold the answer against the model."""
        meant = ask.wish(self.model.pool)
        on = tuple(Placed(*one) for one in meant.exact) or tuple(map(Placed, meant.on))
        actor = TEAM[ask.who % 3]
        holder = actor if ask.whose is None else TEAM[ask.whose]
        asked = Asked(
            ask.task or f"t{self.state.seq}", meant.gpus, meant.cpus, meant.servers,
            tuple(map(placed_text, on)),
            project=ask.terms[1], lease=ask.terms[0],
            beneficiary=None if ask.whose is None else holder.user,
        )  # fmt: skip
        tie, give_up = self.tie(ask.tie), ask.give_up and (self.now + ask.give_up) * S
        request = requests.allocate(asked, on, uid=holder.uid, tie=tie)
        request = msgspec.structs.replace(request, waiter=tie, give_up=give_up)
        key = f"{NEW}{self.state.seq}" if ask.key == NEW else ask.key
        turn = self.turn(
            ask.who,
            lambda one, by: (one.join if ask.wait else one.allocate)(request, by, key=key),
        )
        if not self.answered_before(turn, actor, key, asked):
            want = self.want(asked, holder.identity, meant)
            self.judge(turn, want, Asking(request, ask.who, key), wait=ask.wait)

    def answered_before(self, answer: Turn, actor: Actor, key: str | None, asked: Asked) -> bool:
        """Whether the key answers: with what was granted then, or that it was another request."""
        used = self.keys.get((actor.identity, key)) if key is not None else None
        if used is None:
            return False
        assert answer.event is None
        if used[0] == asked:
            assert answer.answer.event.seq == used[1]
        else:
            assert isinstance(answer.error, KeyReused)
            assert answer.error.seq == used[1]
        return True

    def judge(self, turn: Turn, want: Want, asking: Asking, *, wait: bool) -> None:
        """Hold the answer to one who comes new against the model."""
        model, asked, actor = self.model, asking.request.asked, TEAM[asking.who % 3]
        taken = [one for one in (*model.runs.values(), *model.line.values())
                 if (one.owner, one.task) == (want.owner, want.task)]  # fmt: skip
        if not takes(model.pool, asked.project):
            assert isinstance(turn.error, NoSuchProject)
        elif taken:
            assert isinstance(turn.error, TaskInUse)
            assert turn.error.waits == (not taken[0].shares)
        else:
            said = model.answer(want, turn.at, lambda: self.plan(turn, want, asking))
            if want.owner != actor.identity and actor != TEAM[0] and said != "never":
                said = "not_permitted"
            lasting = said == "limit" and model.broken(want, turn.at) == "never"
            if not isinstance(said, str):
                self.granted(turn, want, said, asking)
            elif wait and not lasting and said not in ("never", "not_permitted"):
                self.queued(turn, want, asking)
            else:
                assert isinstance(turn.error, Refused)
                assert turn.error.reason == said
                breach = turn.error.facts["breach"]
                assert (breach is not None) == (said == "limit")
                assert breach is None or breach.passes is not lasting

    def plan(self, turn: Turn, want: Want, asking: Asking) -> Plan:
        """What a look down the line as far as to this one would give away."""
        docket, request = self.before.docket, asking.request
        piece = docket.waiting.get(request.waiting or 0) or WaitingPiece(
            LAST, turn.at * S, want.owner, "", request.asked, want.project, want.priority,
            request.on,
        )  # fmt: skip
        return shares_by(serve(self.before, [*docket.ahead_of(piece), piece], turn.at * S))

    def granted(self, turn: Turn, want: Want, shares: Shares, asking: Asking) -> int:
        """A grant of exactly this, its lease frozen in it."""
        assert turn.error is None
        grant, number = turn.answer.payload, turn.answer.event.seq
        assert turn.event == turn.answer.event
        assert shares_of(grant) == shares
        assert (grant.project, grant.tie) == (want.project, asking.request.tie)
        assert (grant.lease, grant.request) == (
            lease(self.model.pool, want),
            asking.request.waiting,
        )
        placed = replace(want, place=asking.request.waiting or 0)
        self.model.begin(number, placed, shares, turn.at)
        actor = TEAM[asking.who % 3]
        if asking.key is not None:
            self.keys[actor.identity, asking.key] = (asking.request.asked, number)
        if grant.tie is not None:
            self.processes[number] = (grant.tie.processes[0].pid, grant.tie.host)
        return number

    def queued(self, turn: Turn, want: Want, asking: Asking) -> None:
        """A place in the line."""
        assert turn.error is None
        assert isinstance(turn.answer.payload, RequestQueued)
        number, request = turn.answer.event.seq, asking.request
        assert turn.answer.payload.priority == want.priority
        self.model.line[number] = want
        self.asking[number] = asking._replace(
            request=msgspec.structs.replace(request, waiting=number)
        )
        if request.waiter is not None:
            self.processes[number] = (request.waiter.processes[0].pid, request.waiter.host)
        if request.give_up is not None:
            self.give_up[number] = request.give_up // S

    def come(self, number: int) -> None:
        """One who waits, or did, looks whether it is his turn."""
        asking, model = self.asking[number], self.model
        turn = self.turn(asking.who, lambda one, by: one.serve(asking.request, by, key=asking.key))
        if self.answered_before(turn, TEAM[asking.who % 3], asking.key, asking.request.asked):
            return
        if number not in model.line:
            gone = NotWaiting | TaskInUse | NoSuchServer | NoSuchProject
            assert isinstance(turn.error, gone)
            assert turn.event is None
            return
        want = model.line[number]
        if not there(model.benches(), want.wish):
            assert isinstance(turn.error, NoSuchServer)
            return
        if not takes(model.pool, want.project):
            assert isinstance(turn.error, NoSuchProject)
            return
        said = model.answer(want, turn.at, lambda: self.plan(turn, want, asking), number)
        if not isinstance(said, str):
            self.served_as[number] = self.granted(turn, want, said, asking)
            del model.line[number]
        elif said == "never" or (said == "limit" and model.broken(want, turn.at) == "never"):
            assert isinstance(turn.error, Refused)
            assert turn.error.reason == said
        else:
            assert (turn.answer, turn.error, turn.event) == (None, None, None)

    @precondition(lambda self: self.asking)
    @rule(pick=PICK)
    def one_comes(self, pick: int) -> None:
        self.come(sorted(self.asking)[pick % len(self.asking)])

    @precondition(lambda self: self.rung & self.model.line.keys())
    @rule()
    def those_told_come(self) -> None:
        while told := self.rung & self.model.line.keys():
            self.rung -= told
            for number in sorted(told):
                self.come(number)
            self.settle()

    @invariant()
    def whoever_is_prompt_has_come(self) -> None:
        """In half of the examples each who is told comes before anybody else does anything."""
        if self.prompt:
            self.those_told_come()

    @precondition(lambda self: self.asking)
    @rule(pick=PICK)
    def one_leaves(self, pick: int) -> None:
        number = sorted(self.asking)[pick % len(self.asking)]
        turn = self.turn(self.asking[number].who, lambda one, by: one.leave(number, by, "owner"))
        held = self.served_as.get(number)
        assert turn.error is None
        if number in self.model.line:
            assert turn.event is not None
            assert decode(turn.event).requests == (number,)
            del self.model.line[number]
        elif held in self.model.runs:
            assert turn.event is not None
            assert decode(turn.event).allocations == (held,)
            self.model.end(held, turn.at)
        else:
            assert turn.event is None
