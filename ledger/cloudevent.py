"""Events as CloudEvents 1.0 envelopes, one JSON object a line, and back bit by bit.

`id` is the seq, `source` names the ledger by its random id, `type` is the kind behind
`gpuledger.`, `time` is `at`; `version`, `actor`, `key`, `prev` and `hash` are extension
attributes, `key` only where there is one. `data` is the stored text itself. Text that
is no JSON on one line, which no writer of ours makes, goes as `data_base64`.
"""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime, timedelta

import msgspec

from .event import Event

TYPE = "gpuledger."
SOURCE = "gpuledger:"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_CYCLE_US = 146_097 * 86_400 * 1_000_000
"""400 years, after which the calendar is the same again."""

_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")
_NO_DATA = msgspec.Raw(b"")


class _Envelope(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The attributes in the order in which they are written; all but `version` are texts."""

    specversion: str
    id: str
    source: str
    type: str
    time: str
    version: int
    actor: str
    prev: str
    hash: str
    key: str | None = None
    datacontenttype: str | None = None
    data: msgspec.Raw = _NO_DATA
    data_base64: str | None = None


_decode = msgspec.json.Decoder(_Envelope).decode
_encode = msgspec.json.Encoder().encode


def to_line(event: Event, ledger: str) -> bytes:
    """Return the envelope of an event of the ledger with the id `ledger`, without a line's end."""
    plain = _on_one_line(event.data)
    return _encode(
        _Envelope(
            "1.0", str(event.seq), SOURCE + ledger, TYPE + event.kind, _time(event.at),
            event.version, event.actor, event.prev.hex(), event.hash.hex(), event.key,
            "application/json" if plain else None,
            msgspec.Raw(event.data) if plain else _NO_DATA,
            None if plain else base64.b64encode(event.data).decode(),
        )
    )  # fmt: skip


def from_line(line: bytes) -> Event:
    """Return the event in an envelope, its bytes as they were; raise ValueError for others."""
    try:
        told = _decode(line)
    except msgspec.MsgspecError as error:
        raise ValueError(f"no envelope of an event: {error}") from error
    if told.specversion != "1.0" or not told.type.startswith(TYPE) or not told.id.isdecimal():
        raise ValueError("a CloudEvent of somebody else's")
    if told.data is _NO_DATA:
        data = base64.b64decode(told.data_base64 or "", validate=True)
    else:
        data = bytes(told.data)
    return Event(
        int(told.id), _at(told.time), told.type.removeprefix(TYPE), told.version, told.actor,
        told.key, data, bytes.fromhex(told.prev), bytes.fromhex(told.hash),
    )  # fmt: skip


def source_of(line: bytes) -> str | None:
    """Return the id of the ledger that an envelope names as its source; None where it has none.

    No hash covers it: a hint for messages.
    """
    try:
        told = _decode(line).source.removeprefix(SOURCE)
    except msgspec.MsgspecError:
        return None
    return told if re.fullmatch(r"[0-9a-f]{32}", told) else None


def _on_one_line(data: bytes) -> bool:
    """Say whether stored text may stand in a line as it is: one JSON value, and no line's end."""
    if b"\n" in data or b"\r" in data:
        return False
    try:
        msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _time(at: int) -> str:
    """The time by RFC 3339; a year beyond 9999, which only damage brings, with all its digits."""
    cycles, rest = divmod(at, _CYCLE_US)
    moment = _EPOCH + rest * _MICROSECOND
    text = moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
    return f"{moment.year + 400 * cycles:04d}{text[4:]}"


def _at(told: str) -> int:
    if not _TIME.fullmatch(told):
        raise ValueError(f"{told} is no time with microseconds and Z")
    return (datetime.fromisoformat(told) - _EPOCH) // _MICROSECOND
