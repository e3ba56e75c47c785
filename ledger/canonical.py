"""Canonical bytes: RFC 8785, restricted to what can be told apart without doubt.

Strings, integers within ±(2⁵³ − 1), booleans, null, lists and objects with ASCII keys.
Floats have no single spelling, integers beyond 2⁵³ are read differently by different
programs, a lone surrogate has no UTF-8: all three are refused before they reach the log.
"""

from __future__ import annotations

from typing import cast

import msgspec

from .format import MAX_INTEGER

_encode = msgspec.json.Encoder(order="sorted").encode
_encode_plain = msgspec.json.Encoder().encode
_Raw = msgspec.Raw


class NotCanonical(ValueError):
    """`value` cannot stand in an event; `why` is a short English phrase."""

    def __init__(self, why: str, value: object) -> None:
        super().__init__(why, value)
        self.why = why
        self.value = value

    def __str__(self) -> str:
        return f"{self.why}: {self.value!r}"


def encode(value: object) -> bytes:
    """Return the canonical JSON bytes of `value`; raise NotCanonical where it has none."""
    _check(value)
    try:
        return _encode(value)
    except UnicodeEncodeError as error:
        raise NotCanonical("a lone surrogate in a text", error.object) from None


def encode_record(record: msgspec.Struct | str) -> bytes:
    """Return the canonical JSON bytes of a text, or a typed record with integers checked before.

    A record's types admit nothing but the restricted JSON, so it is not walked again, which
    would cost more than encoding it. What keeps this honest is the verifier, which reads every
    event strictly, with an encoder of its own.
    """
    try:
        return _encode(record)
    except UnicodeEncodeError as error:
        raise NotCanonical("a lone surrogate in a text", error.object) from None


def event_bytes(  # noqa: PLR0917 (the order of what is hashed)
    seq: int,
    at: int,
    kind: str,
    version: int,
    actor: str,
    key: str | None,
    data: bytes,
    prev: bytes,
) -> bytes:
    """Return E, the bytes that an event's hash covers.

    `data` enters as it is stored, a JSON value and not a string; nothing of it is
    encoded again, so that two writers cannot differ in spelling it.
    """
    return _encode_plain([1, seq, at, kind, version, actor, key, _Raw(data), prev.hex()])


def check_integer(number: int) -> int:
    """Return `number`; raise NotCanonical where it lies beyond ±(2⁵³ − 1)."""
    if not -MAX_INTEGER <= number <= MAX_INTEGER:
        raise NotCanonical("an integer beyond 2^53 - 1", number)
    return number


def _check(value: object) -> None:
    """Walk `value` and refuse every type but those of the restricted JSON."""
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return
    if kind is int:
        check_integer(cast(int, value))
    elif kind is tuple or kind is list:
        for item in cast(list[object], value):
            _check(item)
    elif isinstance(value, msgspec.Struct):
        for field in value.__struct_fields__:
            _check(getattr(value, field))
    elif kind is dict:
        _check_object(cast(dict[object, object], value))
    else:
        raise NotCanonical(f"a {kind.__name__} has no place in an event", value)


def _check_object(value: dict[object, object]) -> None:
    """Check a dict, whose keys are ASCII texts: others would sort differently elsewhere."""
    for key, item in value.items():
        if type(key) is not str or not key.isascii():
            raise NotCanonical("an object key that is not ASCII text", key)
        _check(item)
