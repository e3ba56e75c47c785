"""The invariants of a state, each by its name: a sound state breaks none, one edit breaks it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from gpuledger.replay.facts import NO_LIMITS, Admins, Asked, Share
from gpuledger.replay.invariants import INVARIANTS, broken
from gpuledger.replay.piece import (
    POOL,
    AllocationPiece,
    Piece,
    PoolPiece,
    ServerPiece,
    SpentPiece,
    TasksPiece,
    WaitingPiece,
)
from small_pools import server

HELD = ServerPiece(server("s0"), (2, 2, 0, 0), 16, drained=(3,))
RUNS = AllocationPiece(2, "train", "uid:1001", "ada", 1_000, (Share("s0", (0, 1), 16),))
SOUND: dict[str, Piece] = {
    POOL: PoolPiece("a ledger's id", ("s0",), NO_LIMITS, Admins(), window=3_600),
    "server:s0": HELD,
    "allocation:2": RUNS,
    "tasks:uid:1001": TasksPiece((("train", 2),)),
    "waiting:3": WaitingPiece(3, 2_000, "uid:1002", "bob", Asked("next", 4)),
    "spent:user:uid:1001": SpentPiece(((4, 60_000_000), (5, 1))),
}
BREAKS: dict[str, dict[str, dict[str, Piece]]] = {
    "each GPU has at most one holder": {
        "the server says that a held GPU is free": {
            "server:s0": replace(HELD, holders=(2, 0, 0, 0))
        },
        "a GPU is held twice": {
            "allocation:2": replace(RUNS, servers=(Share("s0", (0, 1, 1), 16),))
        },
    },
    "CPUs are never over-committed": {
        "CPUs held and free are more than there are": {"server:s0": replace(HELD, cpus_free=17)},
        "CPUs are owed": {
            "server:s0": replace(HELD, cpus_free=-1),
            "allocation:2": replace(RUNS, servers=(Share("s0", (0, 1), 33),)),
        },
    },
    "each task is listed once": {
        "a task is listed that does not run": {
            "tasks:uid:1001": TasksPiece((("other", 7), ("train", 2)))
        },
        "a task runs that is not listed": {"tasks:uid:1001": TasksPiece(())},
    },
    "the pool is whole": {
        "a server of the pool is nowhere": {POOL: replace(SOUND[POOL], servers=("s0", "s1"))},
        "a GPU is drained that is not there": {"server:s0": replace(HELD, drained=(9,))},
    },
    "each number is one allocation's or one request's": {
        "what runs waits as well": {"waiting:2": replace(SOUND["waiting:3"], id=2)},
        "a request stands under another's number": {"waiting:3": replace(SOUND["waiting:3"], id=4)},
    },
    "GPU time is counted by hours": {
        "an hour comes before an earlier one": {
            "spent:user:uid:1001": SpentPiece(((5, 1), (4, 1)))
        },
        "less than no time was spent": {"spent:user:uid:1001": SpentPiece(((4, -1),))},
        "nothing limits GPU-hours": {POOL: replace(SOUND[POOL], window=0)},
    },
    "doubt has a gap": {
        "a request is in doubt without a gap": {
            "waiting:3": replace(SOUND["waiting:3"], uncertain=2)
        },
        "a GPU is in doubt whose holder is not": {"server:s0": replace(HELD, doubtful=(0,))},
    },
}
EDITS = [(name, what) for name, edits in BREAKS.items() for what in edits]


def test_a_sound_state_breaks_no_invariant() -> None:
    """What the edits below begin with is sound, and there is one for each invariant."""
    assert broken(SOUND) == []
    assert BREAKS.keys() == INVARIANTS.keys()


@pytest.mark.parametrize(("name", "what"), EDITS)
def test_each_invariant_is_told_by_its_name(name: str, what: str) -> None:
    """One edit of a sound state is a problem, which begins with the invariant that it breaks."""
    problems = broken(SOUND | BREAKS[name][what])
    assert {problem.what for problem in problems} == {"invariant"}
    assert any(problem.detail.startswith(name) for problem in problems)
