"""Invariant 8: facts are frozen in the event; nothing is joined later from today's pool."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import forging
from gpuledger.handle import Ledger, init
from gpuledger.replay.actor import Actor
from gpuledger.replay.facts import Placed, Pool
from gpuledger.replay.interval import Window
from small_pools import ROOT, server

HOUR = 3_600_000_000
BEGINS = 1_600_000_000_000_000
ADA = Actor("ada", 1001, host="login-1")
MARRIED = Actor("ada-b", 1001, host="login-2")


class Team:
    """A ledger of one server with four known cards, and a clock that the test moves by hours."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.hours = 0
        init(path, Pool((server("s0", uuids="GPU-old"),)), at=BEGINS, actor=ROOT)

    def ledger(self, actor: Actor = ROOT) -> Ledger:
        """The ledger as this actor sees it."""
        return Ledger(str(self.path), actor=actor, clock_us=lambda: BEGINS + self.hours * HOUR)


@pytest.fixture
def team(ledger_path: Path) -> Team:
    """Ada holds two of four GPUs for the first hour; then the server gets four other cards."""
    made = Team(ledger_path)
    made.ledger(ADA).allocate("train", 2, 16, project="vision", note="first", on=(Placed("s0"),))
    made.hours = 1
    made.ledger(ADA).release("train")
    made.hours = 2
    made.ledger().pool_apply(Pool((server("s0", 8, 64, uuids="GPU-new"),)))
    made.hours = 3
    return made


def test_the_grant_says_who_and_what_as_they_were(team: Team) -> None:
    """User, uid, host, project, note, what was asked and given stand in the event itself."""
    (row,) = (row for row in forging.rows(team.path) if row.kind == "allocation.granted")
    assert json.loads(row.data) == {
        "task": "train",
        "user": "ada",
        "uid": 1001,
        "project": "vision",
        "note": "first",
        "by": {"user": "ada", "uid": 1001, "host": "login-1"},
        "asked": {
            "task": "train", "gpus": 2, "cpus": 16, "on": ["s0"],
            "project": "vision", "note": "first",
        },
        "servers": [
            {"server": "s0", "gpus": [0, 1], "cpus": 16, "uuids": ["GPU-old-0", "GPU-old-1"]}
        ],
    }  # fmt: skip


def test_cards_that_came_later_are_not_in_the_past(team: Team) -> None:
    """Who held GPU 0 is told with the card that it was then, not with the one that is there now."""
    ledger = team.ledger()
    ((gpu, holding),), _ = ledger.who("s0", (0,))
    assert (gpu, holding.uuid(0)) == (0, "GPU-old-0")
    (spell,), _ = ledger.history(Window(BEGINS, BEGINS + HOUR))
    assert spell.servers[0].uuids == ("GPU-old-0", "GPU-old-1")


def test_the_past_is_divided_by_its_own_pool(team: Team) -> None:
    """Usage of the first hour is a share of the four GPUs of then, of the last one of eight."""
    ledger = team.ledger()
    then, _ = ledger.usage(Window(BEGINS, BEGINS + HOUR))
    assert (then.gpu_us, then.capacity_us, then.held_share) == (2 * HOUR, 4 * HOUR, 0.5)
    now, _ = ledger.usage(Window(BEGINS + 2 * HOUR, BEGINS + 3 * HOUR))
    assert (now.gpu_us, now.capacity_us) == (0, 8 * HOUR)


def test_a_user_of_another_name_is_the_same_and_the_past_keeps_the_old_one(team: Team) -> None:
    """The uid counts for whose a task is; each event keeps the name that was true at its time."""
    team.ledger(ADA).allocate("long", 1)
    team.hours = 4
    team.ledger(MARRIED).release("long")
    granted, released = forging.rows(team.path)[-2:]
    assert json.loads(granted.data)["user"] == "ada"
    assert json.loads(released.data)["by"] == {"user": "ada-b", "uid": 1001, "host": "login-2"}
    (spell,), _ = team.ledger().history(Window(BEGINS + 3 * HOUR, BEGINS + 4 * HOUR))
    assert (spell.task, spell.user) == ("long", "ada")
