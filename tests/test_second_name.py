"""A ledger has one name, an allocation one holder: what goes by a second name is minded."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import gpuledger
from gpuledger.handle import Ledger
from gpuledger.replay.actor import Actor
from small_pools import ADA, BOB, ROOT, ledger


def test_a_hard_link_is_refused(ledger_path: Path) -> None:
    """Through two names two writers would not see each other, so neither writes."""
    ledger(ledger_path).close()
    other = ledger_path.with_name("other.db")
    os.link(ledger_path, other)
    for path in (ledger_path, other):
        with gpuledger.open(path) as opened, pytest.raises(gpuledger.NotALedger) as told:
            opened.allocate("t", 1)
        assert "hard link" in told.value.found
    other.unlink()
    with gpuledger.open(ledger_path) as opened:
        assert opened.allocate("t", 1).id == 2


def test_a_grant_for_another_is_given_back_at_the_end_of_the_block(ledger_path: Path) -> None:
    """`with ledger.allocate(…, beneficiary=…)` ends what the admin took for somebody else."""
    with ledger(ledger_path) as root:
        with root.allocate("t", 1, beneficiary=ADA) as held:
            assert held.grant.user == "ada"
        assert root.state().allocations() == []
        again = root.allocate("t", 1, beneficiary=ADA)
        assert len(again.release().grants) == 1


def test_releasing_servers_is_one_act_with_one_answer(ledger_path: Path) -> None:
    """All on several servers end in one event; the same key gives the same answer again."""
    ledger(ledger_path, actor=ROOT).close()
    with Ledger(str(ledger_path), actor=BOB) as bob:
        bob.allocate("a", 4)
        bob.allocate("b", 4)
        first = bob.release(servers=("s0", "s1"), key="k")
        assert [grant.payload.task for grant in first.grants] == ["a", "b"]
        again = bob.release(servers=("s0", "s1"), key="k")
        assert again.seq == first.seq
        assert bob.release(servers=("s0", "s1"), if_held=True).grants == ()


def test_a_refusal_is_new_again_when_the_clock_went_back(ledger_path: Path) -> None:
    """A minute is a minute: a clock hours behind does not silence what is refused now."""
    now = [7_200_000_000_000]
    with ledger(ledger_path, actor=ROOT, clock_us=lambda: now[0]):
        pass
    with Ledger(str(ledger_path), actor=Actor("eve", 1005), clock_us=lambda: now[0]) as eve:
        for at in (7_200_000_000_000, 0, 30_000_000):
            now[0] = at
            with pytest.raises(gpuledger.Refused):
                eve.allocate("t", 99)
        kinds = [event.kind for event in eve.log.read(0)]
    assert kinds.count("request.refused") >= 2
