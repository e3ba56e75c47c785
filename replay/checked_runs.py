"""The check of many rows at once: quick where all is well, silent about what is not.

What it lets pass is what the check of single rows lets pass (`checked_rows`); where anything
is wrong it only says so, and that check goes over the same rows and tells what. The canonical
form is made by the standard library, one text for all rows of a run; the decoder only proposes
the values, and does not know of floats, of great integers or of deep nesting.
"""

from __future__ import annotations

import re
from binascii import hexlify
from collections.abc import Sequence
from hashlib import sha256
from typing import Annotated, Any

import msgspec

from .checked_json import MOST, canonical
from .checked_reading import Raw

DEPTH = 6
_MOST_FRONTS = 10_000

_Integer = Annotated[int, msgspec.Meta(ge=-MOST, le=MOST)]
_Value: Any = str | _Integer | bool | None
for _ in range(DEPTH):
    _Value = str | _Integer | bool | list[_Value] | dict[str, _Value] | None

_decode = msgspec.json.Decoder(dict[str, _Value]).decode
_foreign_key = re.compile(rb'[\x80-\xff](?:[^"\\]|\\.)*":').search
"""Finds an object key that is not ASCII, and now and then a text that is none."""


class RunCheck:
    """Remembers how kinds and actors are spelled, which are few."""

    def __init__(self) -> None:
        self._fronts: dict[tuple[bytes, int, bytes], bytes] = {}

    def values(self, rows: Sequence[Raw], seq: int, at: int, link: bytes) -> list[Any] | None:
        """What each row's data says, where all are sound and follow the event `seq` with the
        time `at` and the hash `link`; None where something is wrong with any.
        """
        values: list[Any] = []
        fronts = self._fronts
        try:
            for number, when, kind, version, actor, key, data, prev, own, fine in rows:
                seq += 1
                front = fronts.get((kind, version, actor)) or self._front(kind, version, actor)
                told = b"null" if key is None else canonical(key.decode())
                link_told = hexlify(prev)
                covered = b'\0[1,%d,%d%b%b,%b,"%b"]' % (seq, when, front, told, data, link_told)
                if (
                    sha256(covered).digest() != own
                    or prev != link
                    or when < at
                    or number != seq
                    or not fine
                    or type(when) is not int
                    or type(version) is not int
                    or not (data.isascii() or not _foreign_key(data))
                ):
                    return None
                values.append(_decode(data))
                at, link = when, own
            return values if _spelled(values, rows) else None
        except (ValueError, TypeError, AttributeError, RecursionError, msgspec.MsgspecError):
            return None

    def _front(self, kind: bytes, version: int, actor: bytes) -> bytes:
        front = b",%b,%d,%b," % (canonical(kind.decode()), version, canonical(actor.decode()))
        if len(self._fronts) >= _MOST_FRONTS:
            self._fronts.clear()
        self._fronts[kind, version, actor] = front
        return front


def _spelled(values: list[Any], rows: Sequence[Raw]) -> bool:
    """Whether all data is canonical. No JSON object is the beginning of another, so that two
    wrong neighbours cannot make a right text.
    """
    return canonical(values) == b"[%b]" % b",".join([row[6] for row in rows])
