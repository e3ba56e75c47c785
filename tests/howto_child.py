"""One command as somebody at some time: `howto_child.py PERSON MICROSECONDS HOST WORD…`.

People, the clock and the host's name are those that a page tells of; all else is the program.
"""

from __future__ import annotations

import os
import sys

from gpuledger.cli import actor
from gpuledger.ledger import clock
from gpuledger.replay.actor import Actor

PEOPLE = {"root": 0, "ada": 1001, "bob": 1002, "eve": 1003}


def play(person: str, at_us: int, host: str) -> None:
    """Put the person, the time and the host in the place of the real ones."""

    def current(environ: object = None) -> Actor:
        del environ
        return Actor(person, PEOPLE[person], host=host)

    def named(user: str) -> Actor | None:
        return Actor(user, PEOPLE[user]) if user in PEOPLE else None

    def user_identity(user: str) -> str | None:
        return f"uid:{PEOPLE[user]}" if user in PEOPLE else None

    def with_groups(one: Actor) -> Actor:
        return one

    def now_us() -> int:
        return at_us

    def host_name() -> str:
        return host

    for function in (current, named, user_identity, with_groups, host_name):
        setattr(actor, function.__name__, function)
    clock.now_us = now_us


if __name__ == "__main__":
    person, at, host, *words = sys.argv[1:]
    play(person, int(at), host)
    from gpuledger.cli.entry import main

    os.umask(0o077)
    main(words)
