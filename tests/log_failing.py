"""A program that appends NUMBER events, for tests in which the system fails it: PATH NUMBER.

It says each seq, or the code of the error and whether the disk was full, and goes on.
"""

from __future__ import annotations

import sys

from gpuledger.ledger.errors import GpuledgerError
from gpuledger.ledger.event import Draft
from gpuledger.ledger.sqlite_log import SqliteLog


def main(path: str, number: str) -> None:
    log = SqliteLog(path)
    for _ in range(int(number)):
        try:
            with log.turn(5.0) as turn:
                at, head = turn.head.at, turn.head
                event = turn.append(Draft(at, "number.told", 1, "uid:1", None, b"{}"), head)
            sys.stdout.write(f"{event.seq}\n")
        except GpuledgerError as error:
            sys.stdout.write(f"{error.code} {error.facts.get('full', '')}\n")
        sys.stdout.flush()
    log.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
