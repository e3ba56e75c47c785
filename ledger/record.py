"""A row of the log as SQLite keeps it: a header of types, then the values, and no checksum.

The row's own hash is what tells it from anything that only looks like one.
"""

from __future__ import annotations

import re

import msgspec

from .chain import has_own_hash
from .event import Event
from .format import MAX_INTEGER
from .varint import read_varint

LOOKS_LIKE = re.compile(rb"(?=[\x0a-\x20]\x00[\x01-\x06\x08\x09].{5,24}?\x4c\x4c)", re.DOTALL)
"""Where the header of a row of `events` may begin: its length, the seq (kept outside, so NULL),
the time, five more types, and twice that of a blob of 32 bytes."""

_COLUMNS = 9
_BLOB_32 = 12 + 2 * 32
_WIDTHS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8, 8: 0, 9: 0}
"""Bytes of an integer by its type; the last two are the numbers 0 and 1 themselves."""


class Layout(msgspec.Struct, frozen=True, gc=False):
    """Where a row's values lie: `header` bytes, then values of `sizes` bytes, of these `types`."""

    header: int
    types: tuple[int, ...]
    sizes: tuple[int, ...]

    @property
    def length(self) -> int:
        """How many bytes header and values have together."""
        return self.header + sum(self.sizes)


def layout_at(raw: bytes, at: int) -> Layout | None:
    """Return the layout of the row of `events` whose header begins at `at`, None for all else."""
    header = raw[at]
    types: list[int] = []
    place, end = at + 1, at + header
    while place < end and len(types) <= _COLUMNS:
        found = read_varint(raw, place)
        if found is None:
            return None
        types.append(found[0])
        place = found[1]
    if place != end or not _fits(types):
        return None
    return Layout(header, tuple(types), tuple(map(_size, types)))


def _fits(types: list[int]) -> bool:
    """Whether these are the types of a row of `events`."""
    if len(types) != _COLUMNS or types[0] != 0 or types[7:] != [_BLOB_32, _BLOB_32]:
        return False
    _, at, kind, version, actor, key, data, _, _ = types
    integers = at in _WIDTHS and version in _WIDTHS
    texts = all(one >= 13 and one % 2 for one in (kind, actor, data))
    return integers and texts and (key == 0 or (key >= 13 and key % 2 == 1))


def _size(kind: int) -> int:
    return (kind - 12) // 2 if kind >= 12 else _WIDTHS.get(kind, 0)


def event_in(payload: bytes, layout: Layout, seq: int) -> Event | None:
    """Return the event in a row's bytes, if that is what its hash says; None otherwise."""
    values: list[bytes] = []
    place = layout.header
    for size in layout.sizes:
        values.append(payload[place : place + size])
        place += size
    _, at, kind, version, actor, key, data, prev, digest = values
    numbers = (seq, _integer(layout.types[1], at), _integer(layout.types[3], version))
    try:
        retry = None if layout.types[5] == 0 else key.decode()
        event = Event(
            seq, numbers[1], kind.decode(), numbers[2], actor.decode(), retry, data, prev, digest
        )
    except UnicodeDecodeError:
        return None
    return event if proves_itself(event) else None


def proves_itself(event: Event) -> bool:
    """Whether the event has the hash of what it says, and could stand in the log."""
    return could_stand(event) and has_own_hash(event)


def could_stand(event: Event) -> bool:
    """Whether the table of the log would take the event, and one behind it."""
    numbers = (event.seq, event.seq + 1, event.version)
    texts = (event.kind, 64), (event.actor, 256), ("-" if event.key is None else event.key, 256)
    return (
        0 <= event.at <= MAX_INTEGER
        and all(1 <= number <= MAX_INTEGER for number in numbers)
        and all(1 <= len(text) <= most for text, most in texts)
        and len(event.data) >= 2
        and len(event.prev) == len(event.hash) == 32
    )


def _integer(kind: int, raw: bytes) -> int:
    return kind - 8 if kind in (8, 9) else int.from_bytes(raw, "big", signed=True)
