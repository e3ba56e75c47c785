"""A program that grants and releases in turns of their own: LEDGER TIMES KIND [SEED].

KIND `acts` writes, `looks` reads as often and tells every notice, `struck` writes while a timer
strikes it with Ctrl-C at random moments. Prints how many turns were struck, or the notices.
"""

from __future__ import annotations

import os
import random
import signal
import sys

from gpuledger.handle import Ledger


def acts(book: Ledger, times: int) -> None:
    name = f"task-{os.getpid()}"
    for number in range(times):
        book.allocate(f"{name}-{number}", 1, 1)
        book.release(f"{name}-{number}")


def looks(book: Ledger, times: int) -> None:
    for _ in range(times):
        book.state()


def struck(book: Ledger, times: int, dice: random.Random) -> int:
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    hits = 0
    for number in range(times):
        try:
            signal.setitimer(signal.ITIMER_REAL, dice.uniform(1e-4, 3e-2))
            book.allocate(f"task-{number}", 1, 1)
            book.release(f"task-{number}")
            signal.setitimer(signal.ITIMER_REAL, 0)
        except KeyboardInterrupt:
            hits += 1
        book.release(mine=True, if_held=True)
    return hits


def main() -> None:
    path, times, kind = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    with Ledger(path) as book:
        if kind == "struck":
            sys.stdout.write(str(struck(book, times, random.Random(sys.argv[4]))))
            return
        (acts if kind == "acts" else looks)(book, times)
        sys.stdout.write("\n".join(sorted(set(book.notices))))


if __name__ == "__main__":
    main()
