"""The chain: any edit, insertion, removal or reordering is found at its seq."""

from __future__ import annotations

import hashlib
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuledger.ledger.canonical import NotCanonical
from gpuledger.ledger.chain import event_hash, head_of, seal
from gpuledger.ledger.clock import now_us
from gpuledger.ledger.event import START, ZERO_HASH, Draft, Event, Head
from plain_log import draft, first_break


def chain_of(count: int) -> list[Event]:
    """So many events that link."""
    events, head = [], START
    for number in range(count):
        events.append(seal(draft(number, at=1000 + number // 2), head))
        head = head_of(events[-1])
    return events


def test_the_first_hash_by_hand() -> None:
    """A stranger with hashlib and json finds the same hash, and 32 zero bytes before seq 1."""
    event = seal(Draft(7, "ledger.created", 1, "uid:0", None, b'{"a":"\xc3\xa9"}'), START)
    covered = json.dumps(
        [1, 1, 7, "ledger.created", 1, "uid:0", None, {"a": "é"}, "00" * 32],
        separators=(",", ":"),
        ensure_ascii=False,
    ).encode()
    assert event.hash == hashlib.sha256(b"\x00" + covered).digest()
    assert (event.seq, event.prev) == (1, ZERO_HASH)


def test_a_chain_that_was_sealed_links() -> None:
    """What seal made links to the end, times that stand still included."""
    assert first_break(chain_of(20)) is None


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("seq", 11, "seq"),
        ("seq", "10", "seq"),
        ("at", 10**9, "hash"),
        ("at", 1, "at"),
        ("at", "soon", "hash"),
        ("kind", "other.kind", "hash"),
        ("version", 2, "hash"),
        ("actor", "uid:0", "hash"),
        ("key", "k", "hash"),
        ("data", b'{"number":10}', "hash"),
        ("data", b'{"number": 9}', "hash"),
        ("data", "text", "hash"),
        ("prev", bytes(32), "prev"),
        ("prev", None, "prev"),
        ("hash", bytes(32), "hash"),
        ("hash", None, "hash"),
    ],
    ids=repr,
)
def test_an_edited_field_is_found(field: str, value: object, why: str) -> None:
    """Every field is covered: an edit, even to a foreign type, breaks the chain at its event."""
    events = chain_of(20)
    events[9] = msgspec.structs.replace(events[9], **{field: value})
    assert first_break(events) == (10, why)


def test_a_missing_a_swapped_and_an_inserted_event_are_found() -> None:
    """Removal, reordering and insertion break the chain where they begin."""
    events = chain_of(20)
    assert first_break(events[:9] + events[10:]) == (10, "seq")
    assert first_break([*events[:9], events[10], events[9], *events[11:]]) == (10, "seq")
    forged = seal(draft(99, at=2000), head_of(events[8]))
    assert first_break([*events[:9], forged, *events[9:]]) == (11, "seq")
    rest = [msgspec.structs.replace(event, seq=event.seq + 1) for event in events[9:]]
    assert first_break([*events[:9], forged, *rest]) == (11, "prev")


@given(st.integers(0, 19), st.integers(0, 31), st.integers(0, 7))
def test_a_flipped_bit_in_a_hash_is_found(place: int, byte: int, bit: int) -> None:
    """One bit of one stored hash is enough."""
    events = chain_of(20)
    digest = bytearray(events[place].hash)
    digest[byte] ^= 1 << bit
    events[place] = msgspec.structs.replace(events[place], hash=bytes(digest))
    assert first_break(events) == (place + 1, "hash")


def test_an_event_never_lies_before_the_one_it_follows() -> None:
    """Sealing refuses a time below the last one."""
    with pytest.raises(ValueError, match="cannot follow"):
        seal(draft(1, at=999), Head(5, bytes(32), 1000))


def test_a_time_beyond_what_json_keeps_is_refused() -> None:
    """Integers beyond 2^53 - 1 do not get into the chain."""
    with pytest.raises(NotCanonical):
        seal(draft(1, at=2**53), START)


def test_the_clock_counts_microseconds_since_1970() -> None:
    """The wall clock is in microseconds UTC: sixteen digits in this century."""
    assert 1_700_000_000_000_000 < now_us() < 5_000_000_000_000_000


def test_a_hash_stands_for_its_fields() -> None:
    """The hash of an event's own fields is the event's hash."""
    for event in chain_of(3):
        fields = [getattr(event, name) for name in event.__struct_fields__]
        assert event_hash(*fields[:-1]) == event.hash
