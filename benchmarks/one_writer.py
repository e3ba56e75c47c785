"""One of many writers: a program that takes and gives back GPUs when it is told to.

    python one_writer.py LEDGER NAME

It says `ready`, and for each line with a number does so many grants and releases, one after
the other, and says `done`.
"""

from __future__ import annotations

import sys

import gpuledger


def write(ledger: gpuledger.Ledger, name: str, pairs: int) -> None:
    """Take one GPU and give it back, so many times."""
    for at in range(pairs):
        with ledger.allocate(f"{name}-{at}", 1, 1):
            pass


def main(path: str, name: str) -> None:
    """Serve the lines on stdin until they end."""
    with gpuledger.open(path) as ledger:
        write(ledger, name, 1)
        print("ready", flush=True)
        for line in sys.stdin:
            write(ledger, name, int(line))
            print("done", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
