"""A program that uses a log, for tests that need a process of their own: COMMAND PATH [NUMBER].

`hold` takes a turn, says `held`, appends one event, and ends with the next line of its input;
`append` appends NUMBER events and says each seq once it is acknowledged; `stay` does so and keeps
the log open until the next line of its input; `read` reads over and
over until its input ends and says how often; `head` says the last seq.
"""

from __future__ import annotations

import sys
import threading

from gpuledger.ledger.event import Draft
from gpuledger.ledger.sqlite_log import SqliteLog


def say(word: object) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def draft(at: int) -> Draft:
    return Draft(at, "number.told", 1, "uid:1001", None, b'{"number":0}')


def hold(log: SqliteLog) -> None:
    with log.turn() as turn:
        turn.append(draft(turn.head.at), turn.head)
        say("held")
        sys.stdin.readline()


def append(log: SqliteLog, events: int) -> None:
    for _ in range(events):
        with log.turn() as turn:
            event = turn.append(draft(turn.head.at), turn.head)
        say(event.seq)


def read(log: SqliteLog) -> None:
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    say("reading")
    times = 0
    while not ended.is_set():
        sum(1 for _ in log.read(max(0, log.head().seq - 2000)))
        times += 1
    say(times)


def main(command: str, path: str, number: str = "1") -> None:
    log = SqliteLog(path)
    if command == "hold":
        hold(log)
    elif command in ("append", "stay"):
        append(log, int(number))
        if command == "stay":
            sys.stdin.readline()
    elif command == "read":
        read(log)
    else:
        say(log.head().seq)
    log.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
