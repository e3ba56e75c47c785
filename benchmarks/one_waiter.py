"""One who waits: a program that stands in line, or at a bare socket, until it is its turn.

    python one_waiter.py LEDGER [LIKE]

For each line on stdin it begins to wait and says what to reach it by; it says `granted` when it
has what it waited for, and gives that back at the next line. Without a ledger of ours, where LIKE
names a file with the bytes of an event, it waits for a datagram and inserts one row.
"""

from __future__ import annotations

import socket
import sys
from pathlib import Path

from floors import BareInserts

LOOPBACK = "127.0.0.1"


def in_line(path: str) -> None:
    """Wait for eight GPUs of the ledger at `path`."""
    import gpuledger

    with gpuledger.open(path) as ledger:
        for _ in sys.stdin:
            ledger.release("waits", if_held=True)
            print("ready", flush=True)
            sys.stdin.readline()
            ledger.allocate("waits", 8, 8, wait_s=60, told=lambda number: print(number, flush=True))
            print("granted", flush=True)


def at_a_socket(path: str, like: str) -> None:
    """Wait for a datagram, then insert and commit one bare row."""
    inserts = BareInserts(Path(path), Path(like).read_bytes())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bell:
        bell.bind((LOOPBACK, 0))
        for _ in sys.stdin:
            print("ready", flush=True)
            sys.stdin.readline()
            print(bell.getsockname()[1], flush=True)
            bell.recv(64)
            inserts.insert(1)
            print("granted", flush=True)
    inserts.close()


if __name__ == "__main__":
    if sys.argv[2:]:
        at_a_socket(*sys.argv[1:])
    else:
        in_line(*sys.argv[1:])
