"""A pool made in Python is held to what a pool file is: what could only be void is not written."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpuledger import BadRequest, Card, Pool, Server
from gpuledger.handle import Ledger, init
from gpuledger.replay.facts import Placed
from small_pools import ROOT, ledger, server

WRONG = {
    "no servers": Pool(()),
    "a name twice": Pool((server("a"), server("b"), server("a"))),
    "no name": Pool((server(""),)),
    "a name with a space": Pool((server("a b"),)),
    "no GPUs": Pool((Server("a", 4, ()),)),
    "a GPU twice": Pool((Server("a", 4, (Card(0), Card(1), Card(0))),)),
    "a GPU below 0": Pool((Server("a", 4, (Card(-1),)),)),
    "no CPUs": Pool((Server("a", 0, (Card(0),)),)),
}


@pytest.mark.parametrize("how", WRONG)
def test_no_ledger_is_made_of_a_wrong_pool(ledger_path: Path, how: str) -> None:
    """`init` raises BadRequest and leaves no file."""
    with pytest.raises(BadRequest):
        init(ledger_path, WRONG[how], actor=ROOT)
    assert list(ledger_path.parent.iterdir()) == []


@pytest.mark.parametrize("how", WRONG)
def test_no_pool_is_changed_to_a_wrong_one(ledger_path: Path, how: str) -> None:
    """`pool_apply` raises BadRequest and records nothing."""
    with ledger(ledger_path) as opened:
        with pytest.raises(BadRequest):
            opened.pool_apply(WRONG[how], remove=True, force=True, reason="why not")
        assert opened.head().seq == 1


@pytest.mark.parametrize("gpus", [(), (0, 0), (1, 0)])
def test_places_name_each_gpu_once(ledger_path: Path, gpus: tuple[int, ...]) -> None:
    """Draining and resuming take GPU indices in ascending order, each once, or none for all."""
    opened: Ledger = ledger(ledger_path)
    for act in (opened.drain, opened.resume):
        with pytest.raises(BadRequest):
            act((Placed("s0", gpus),))
    assert opened.drain((Placed("s0"),)) is not None
    opened.close()
