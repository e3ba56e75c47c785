"""An event: one row of the log, frozen.

The ledger floor knows its bytes and its place in the chain, never what it
means. `docs/FORMAT.md` tells the same to a stranger.
"""

from __future__ import annotations

import msgspec


class Head(msgspec.Struct, frozen=True, gc=False):
    """Where the log ends: its last seq, that event's hash and its time.

    An empty log has seq 0, 32 zero bytes and time 0.
    """

    seq: int
    hash: bytes
    at: int


class Draft(msgspec.Struct, frozen=True, gc=False):
    """An event before it has a place: `at` in microseconds UTC, `data` canonical JSON bytes."""

    at: int
    kind: str
    version: int
    actor: str
    key: str | None
    data: bytes


class Event(msgspec.Struct, frozen=True, gc=False):
    """One recorded act. `prev` and `hash` are 32 bytes, `data` canonical JSON bytes."""

    seq: int
    at: int
    kind: str
    version: int
    actor: str
    key: str | None
    data: bytes
    prev: bytes
    hash: bytes


ZERO_HASH = bytes(32)
START = Head(0, ZERO_HASH, 0)
