"""A program that allocates and releases at random: LEDGER SEED ACTS KIND, told `go` by its input.

KIND `plain` acts alone, `threads` shares one handle among four threads, `forks` goes on in a
forked child with the handle that it opened. Prints one JSON object: what was granted, what
ended, how often it was refused and why, and how long its slowest act took in seconds.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections import Counter
from random import Random
from typing import Any

from gpuledger.handle import Ledger
from gpuledger.replay.errors import Refused


class Writer:
    """One thread's acts on a handle that it may share, and what came of them."""

    def __init__(self, ledger: Ledger, name: str) -> None:
        self.ledger, self.name, self.random = ledger, name, Random(name)
        self.mine: list[int] = []
        self.granted: list[int] = []
        self.ended: list[int] = []
        self.refused: Counter[str] = Counter()
        self.slowest_s = 0.0
        self.tried = 0

    def run(self, acts: int) -> None:
        for _ in range(acts):
            self.tried += 1
            before = time.monotonic()
            if self.mine and self.random.random() < 0.5:
                self.release()
            else:
                self.allocate(f"{self.name}.{self.tried}")
            self.slowest_s = max(self.slowest_s, time.monotonic() - before)

    def allocate(self, task: str) -> None:
        gpus, cpus = self.random.choice([1, 1, 1, 2, 4]), self.random.choice([None, 1, 30])
        servers = self.random.choice([1, 1, 1, 2])
        whole = None if cpus is None else cpus * servers
        try:
            given = self.ledger.allocate(task, gpus * servers, whole, servers=servers)
        except Refused as refused:
            self.refused[refused.reason] += 1
            return
        self.mine.append(given.id)
        self.granted.append(given.id)

    def release(self) -> None:
        self.random.shuffle(self.mine)
        going = [self.mine.pop() for _ in range(min(len(self.mine), self.random.randint(1, 2)))]
        self.ledger.release(*(f"@{number}" for number in going))
        self.ended += going

    def report(self) -> dict[str, Any]:
        return {
            "granted": self.granted,
            "ended": self.ended,
            "refused": dict(self.refused),
            "slowest_s": self.slowest_s,
        }


def in_threads(ledger: Ledger, seed: str, acts: int) -> list[Writer]:
    writers = [Writer(ledger, f"{seed}-{number}") for number in range(4)]
    threads = [threading.Thread(target=writer.run, args=(acts // 4,)) for writer in writers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return writers


def in_a_child(ledger: Ledger, seed: str, acts: int) -> list[Writer]:
    """The parent writes first; the child goes on with its handle while the parent writes on."""
    parent, child = Writer(ledger, seed), Writer(ledger, seed + "-child")
    parent.run(acts // 4)
    pid = os.fork()
    if pid == 0:
        child.run(acts // 2)
        sys.stdout.write(json.dumps(child.report()) + "\n")
        sys.stdout.flush()
        os._exit(0)
    parent.run(acts // 4)
    _, status = os.waitpid(pid, 0)
    assert status == 0
    return [parent]


def main(path: str, seed: str, acts: str, kind: str) -> None:
    sys.stdin.readline()
    with Ledger(path) as ledger:
        if kind == "threads":
            writers = in_threads(ledger, seed, int(acts))
        elif kind == "forks":
            writers = in_a_child(ledger, seed, int(acts))
        else:
            writers = [Writer(ledger, seed)]
            writers[0].run(int(acts))
    for writer in writers:
        sys.stdout.write(json.dumps(writer.report()) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
