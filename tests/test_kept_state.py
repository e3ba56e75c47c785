"""What a process keeps between turns is right, whatever others wrote meanwhile."""

from __future__ import annotations

import random
from pathlib import Path

from gpuledger.handle import Ledger
from gpuledger.replay.piece import state_hash
from gpuledger.replay.state import replay
from small_pools import ADA, BOB, ledger, pool


def test_pieces_kept_by_their_digest_are_the_stored_ones(ledger_path: Path, rng_seed: int) -> None:
    """On a wide pool three handles in turns grant from a state that equals a replay."""
    rng = random.Random(rng_seed)
    ledger(ledger_path, pool(100, 2, 8)).close()
    books = [Ledger(str(ledger_path), actor=who) for who in (ADA, BOB, ADA)]
    held: list[list[int]] = [[], [], []]
    for step in range(240):
        at = rng.choice((0, 0, 0, 1, 2))
        if held[at] and rng.random() < 0.4:
            books[at].release(f"@{held[at].pop(rng.randrange(len(held[at])))}")
        else:
            held[at].append(books[at].allocate(f"t{at}-{step}", rng.choice((1, 2)), 1).id)
    everything = replay(books[0].log.read(0))
    assert state_hash(books[1].state().pieces) == state_hash(everything.pieces)
    assert books[2].verify().ok
    for book in books:
        assert book.notices == []
        book.close()
