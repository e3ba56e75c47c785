"""A process that waits in line: `waiter.py LEDGER TASK GPUS [deaf]`, for tests with many of them.

It says `waiting ID` when it stands in line, `granted ID CPU` (processor seconds used while it
waited) when it is served, and ends when its stdin does. Where it is deaf, no bell reaches it.
"""

from __future__ import annotations

import math
import sys
import time

from gpuledger.bell import Bell
from gpuledger.handle import Ledger


def say(*words: object) -> None:
    """A line for whoever started this."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def deafen() -> None:
    """Let no request of this process name a port at which it could be told."""
    made = Bell.__init__

    def without_port(self: Bell) -> None:
        made(self)
        self.port = None

    Bell.__init__ = without_port  # type: ignore[method-assign]


def main(path: str, task: str, gpus: str, *deaf: str) -> None:
    """Wait, tell, and stay until stdin ends."""
    if deaf:
        deafen()
    began = 0.0

    def told(number: int) -> None:
        nonlocal began
        began = time.process_time()
        say("waiting", number)

    with Ledger(path) as ledger:
        allocation = ledger.allocate(task, int(gpus), wait_s=math.inf, told=told)
        say("granted", allocation.id, time.process_time() - began)
        sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
