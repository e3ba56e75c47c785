"""Canonical bytes: one spelling for every value, and a refusal for what has none."""

from __future__ import annotations

import json
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuledger.ledger.canonical import (
    NotCanonical,
    check_integer,
    encode,
    encode_record,
    event_bytes,
)
from gpuledger.ledger.format import MAX_INTEGER

texts = st.text(st.characters(exclude_categories=["Cs"]))
keys = st.text(st.characters(max_codepoint=127))
integers = st.integers(-MAX_INTEGER, MAX_INTEGER)
values = st.recursive(
    st.none() | st.booleans() | integers | texts,
    lambda inner: st.lists(inner) | st.dictionaries(keys, inner),
    max_leaves=20,
)
hashes = st.binary(min_size=32, max_size=32)


class Pair(msgspec.Struct, frozen=True, omit_defaults=True):
    """A record with its fields out of order."""

    zeta: object
    alpha: object = None


def rfc8785(value: object) -> bytes:
    """The same by the standard library, whose sorting and escapes are RFC 8785's for ASCII keys."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


@given(values)
def test_values_are_spelled_as_rfc_8785_says(value: object) -> None:
    """Whatever may stand in an event has the bytes that RFC 8785 gives it."""
    assert encode(value) == rfc8785(value)


@given(values)
def test_bytes_say_the_value_whole(value: object) -> None:
    """Reading canonical bytes gives the value back."""
    assert json.loads(encode(value)) == value


def test_every_code_point_has_one_spelling() -> None:
    """All Unicode scalar values, control characters and U+2028 among them, are spelled alike."""
    text = "".join(map(chr, (*range(0xD800), *range(0xE000, 0x110000))))
    assert encode(text) == rfc8785(text)


def test_records_are_objects_sorted_by_key() -> None:
    """A record is an object with its keys in order, fields at their default left out."""
    assert encode(Pair(1, (2, 3))) == b'{"alpha":[2,3],"zeta":1}'
    assert encode(Pair(1)) == encode_record(Pair(1)) == b'{"zeta":1}'


@pytest.mark.parametrize(
    "value",
    [
        0.5,
        float("nan"),
        MAX_INTEGER + 1,
        -MAX_INTEGER - 1,
        2**70,
        "\ud800",
        "a\udfffb",
        b"bytes",
        {1, 2},
        {1: 2},
        {"é": 1},
        Decimal(1),
        ...,
    ],
    ids=repr,
)
def test_what_has_no_one_spelling_is_refused(value: object) -> None:
    """Floats, great integers, lone surrogates, foreign types and keys raise, however deep."""
    for nested in (value, [value], {"a": [value]}, Pair(1, value)):
        with pytest.raises(NotCanonical) as caught:
            encode(nested)
        assert caught.value.why
        assert str(caught.value)


def test_the_greatest_integers_are_allowed() -> None:
    """The bounds themselves, ±(2^53 - 1), are within."""
    for number in (MAX_INTEGER, -MAX_INTEGER):
        assert encode(number) == str(check_integer(number)).encode()


def test_single_values_are_checked_alike() -> None:
    """An integer or a text that stands alone is refused for the same reasons."""
    with pytest.raises(NotCanonical):
        check_integer(MAX_INTEGER + 1)
    with pytest.raises(NotCanonical):
        encode_record(Pair("\udc00"))


@given(integers, integers, texts, integers, texts, st.none() | texts, values, hashes)
def test_what_a_hash_covers(  # noqa: PLR0917 (given by position)
    seq: int,
    at: int,
    kind: str,
    version: int,
    actor: str,
    key: str | None,
    data: object,
    prev: bytes,
) -> None:
    """E is the canonical JSON list of all fields, data as a value and prev in hexadecimal."""
    found = event_bytes(seq, at, kind, version, actor, key, encode(data), prev)
    assert found == rfc8785([1, seq, at, kind, version, actor, key, data, prev.hex()])


def test_data_is_covered_as_it_is_stored() -> None:
    """Stored text that is not canonical keeps its own spelling in what is hashed."""
    stored = b'{ "a" : 1.50 }'
    assert stored in event_bytes(1, 2, "k", 1, "a", None, stored, bytes(32))
