"""Refusals: why a well-formed request is turned down, from a closed set.

Where several reasons apply, the first in the order of `REASONS` counts.
"""

from __future__ import annotations

from .facts import Asked, AskedChange, AskedExtend, AskedRelease, Record
from .fit import Held
from .limit import Breach
from .spent import SECOND_US

REASONS = {
    "never": "this pool could not do it even when empty",
    "not_permitted": "the actor has no right to it",
    "limit": "it is above a limit of the pool",
    "drained": "it would fit if nothing were drained",
    "no_gpus": "too few GPUs are free",
    "no_cpus": "too few CPUs are free",
    "fragmented": "enough is free, but not together",
    "waiting": "it would fit, but others wait in line for it",
}

REPEAT_US = 60 * SECOND_US
"""The same request of the same actor is not recorded again within this time."""


class Free(Record, frozen=True):
    """What is free on one server: GPUs neither held nor drained, and CPUs."""

    server: str
    gpus: int
    cpus: int


class Ahead(Record, frozen=True):
    """One who waits in line: the request's id, its task and user."""

    request: int
    task: str
    user: str


class Refusal(Record, frozen=True):
    """A request turned down, with the facts that a sentence needs.

    `free` lists the servers that matter, most free first, at most eight; `gpus_free`,
    `cpus_free` count what is free on all of them; `largest` is the most GPUs free on one
    server; `servers` is a number of servers over which it would fit now; `most` tells
    what is possible (seconds, of an extension), `breach` which limit stands in the way, `ahead`
    who waits, at most eight.
    """

    act: str
    reason: str
    user: str
    asked: Asked | None = None
    asked_release: AskedRelease | None = None
    asked_change: AskedChange | None = None
    free: tuple[Free, ...] = ()
    gpus_free: int = 0
    cpus_free: int = 0
    largest: int = 0
    servers: int | None = None
    held: tuple[Held, ...] = ()
    breach: Breach | None = None
    most: int | None = None
    asked_extend: AskedExtend | None = None
    ahead: tuple[Ahead, ...] = ()
