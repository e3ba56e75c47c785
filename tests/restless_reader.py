"""A program that asks a ledger for everything without a pause, until its input ends: LEDGER.

Says `reading` once it has read, and at the end how often it read. Every state that it sees
must hold together, and never be older than the one before.
"""

from __future__ import annotations

import sys
import threading

from gpuledger.handle import Ledger
from gpuledger.replay.interval import Window
from gpuledger.replay.invariants import broken
from gpuledger.replay.state import replay

ALWAYS = Window(0, 1 << 60)


def say(word: object) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def main(path: str) -> None:
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    last, times = 0, 0
    while not ended.is_set():
        with Ledger(path) as ledger:
            for _ in range(5):
                state = ledger.state()
                assert broken(state.pieces) == []
                assert state.seq >= last
                last = state.seq
                spells, head = ledger.history(ALWAYS)
                assert head.seq >= last
                running = {spell.allocation for spell in spells if spell.end is None}
                assert running == _running(ledger, head.seq)
                ledger.who("s0", window=ALWAYS)
                ledger.usage(ALWAYS)
                assert ledger.notices == []
        times += 1
        if times == 1:
            say("reading")
    say(times)


def _running(ledger: Ledger, seq: int) -> set[int]:
    """Which allocations ran at a head, by a replay up to it."""
    state = replay(ledger.log.read(0, seq))
    return {piece.id for piece in state.allocations()}


if __name__ == "__main__":
    main(*sys.argv[1:])
