"""The chain: each event's hash covers its fields and the hash before it.

The hash is at once the link of the chain and the RFC 6962 leaf at index seq − 1, hence
the zero byte in front.
"""

from __future__ import annotations

from hashlib import sha256

from .canonical import check_integer, event_bytes
from .event import Draft, Event, Head


def event_hash(  # noqa: PLR0917 (the order of what is hashed)
    seq: int,
    at: int,
    kind: str,
    version: int,
    actor: str,
    key: str | None,
    data: bytes,
    prev: bytes,
) -> bytes:
    """Return the 32 bytes SHA-256(0x00 ‖ E) of an event."""
    return sha256(b"\0" + event_bytes(seq, at, kind, version, actor, key, data, prev)).digest()


def seal(draft: Draft, after: Head) -> Event:
    """Return `draft` as the event that follows `after`: its seq, its link and its hash."""
    if draft.at < after.at:
        raise ValueError(f"an event at {draft.at} cannot follow one at {after.at}")
    seq = after.seq + 1
    at, kind, version, actor, key, data = (
        check_integer(draft.at),
        draft.kind,
        check_integer(draft.version),
        draft.actor,
        draft.key,
        draft.data,
    )
    digest = event_hash(seq, at, kind, version, actor, key, data, after.hash)
    return Event(seq, at, kind, version, actor, key, data, after.hash, digest)


def head_of(event: Event) -> Head:
    """Return the head of a log that ends with `event`."""
    return Head(event.seq, event.hash, event.at)


def links(event: Event, after: Head) -> str | None:
    """Say what keeps `event` from following `after`: `seq`, `prev`, `at` or `hash`, or None.

    Total: a row whose columns have foreign types is an answer, not an exception.
    """
    if event.seq != after.seq + 1:
        return "seq"
    if event.prev != after.hash:
        return "prev"
    try:
        if event.at < after.at:
            return "at"
    except TypeError:
        return "hash"
    return None if has_own_hash(event) else "hash"


def has_own_hash(event: Event) -> bool:
    """Say whether the event has the hash of its other fields, so that it is what it was.

    Total, as `links`.
    """
    try:
        found = event_hash(
            event.seq,
            event.at,
            event.kind,
            event.version,
            event.actor,
            event.key,
            event.data,
            event.prev,
        )
    except (TypeError, ValueError, AttributeError):
        return False
    return found == event.hash
