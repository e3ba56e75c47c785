"""The check of many rows at once: quick where all is well, silent about what is not.

What it lets pass is what the check of single rows lets pass (`checked_rows`); where anything
is wrong it only says so, and that check goes over the same rows and tells what. The canonical
form is made by the standard library, one text for all rows of a run; the decoder only proposes
the values, and does not know of floats, of great integers or of deep nesting.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from hashlib import sha256
from types import GenericAlias
from typing import Annotated, Any

import msgspec

from .checked_json import MOST, spell, text
from .checked_reading import Raw

DEPTH = 6
_MOST_FRONTS = 10_000


def _value(depth: int) -> Any:  # noqa: ANN401 - a type that is made, which none can name
    """The type of a JSON value whose lists and objects nest so deep."""
    whole: Any = Annotated[int, msgspec.Meta(ge=-MOST, le=MOST)]
    if depth == 0:
        return str | whole | bool | None
    inner = _value(depth - 1)
    many, named = GenericAlias(list, (inner,)), GenericAlias(dict, (str, inner))
    return str | whole | bool | many | named | None


_decode: Callable[[str], Any] = msgspec.json.Decoder(
    GenericAlias(dict, (str, _value(DEPTH)))
).decode
_foreign_key = re.compile(r'[^\x00-\x7f](?:[^"\\]|\\.)*":').search
"""Finds an object key that is not ASCII, and now and then a text that is none."""


class RunCheck:
    """Remembers how kinds and actors are spelled, which are few."""

    def __init__(self) -> None:
        self._fronts: dict[tuple[str, int, str], str] = {}

    def values(self, rows: Sequence[Raw], seq: int, at: int, link: bytes) -> list[Any] | None:
        """What each row's data says, where all are sound and follow the event `seq` with the
        time `at` and the hash `link`; None where something is wrong with any.
        """
        return said(rows) if self.chained(rows, seq, at, link) else None

    def chained(self, rows: Sequence[Raw], seq: int, at: int, link: bytes) -> bool:
        """Whether each row has the hash of what it says, and follows the one before it."""
        fronts = self._fronts
        try:
            for number, when, kind, version, actor, key, data, prev, own in rows:
                seq += 1
                front = fronts.get((kind, version, actor)) or self._front(kind, version, actor)
                told = "null" if key is None else text(key)
                covered = f'\0[1,{seq},{when}{front}{told},{data},"{link.hex()}"]'
                if (
                    sha256(covered.encode()).digest() != own
                    or prev != link
                    or when < at
                    or number != seq
                    or type(when) is not int
                    or type(version) is not int
                    or type(data) is not str
                ):
                    return False
                at, link = when, own
        except (ValueError, TypeError):
            return False
        return max(seq, at) <= MOST

    def _front(self, kind: str, version: int, actor: str) -> str:
        """Raises TypeError where kind or actor is no text, ValueError for too great a version."""
        if version > MOST:
            raise ValueError(version)
        front = f",{text(kind)},{version},{text(actor)},"
        if len(self._fronts) >= _MOST_FRONTS:
            self._fronts.clear()
        self._fronts[kind, version, actor] = front
        return front


def said(rows: Sequence[Raw]) -> list[Any] | None:
    """What each row's data says, where all of it is canonical; None where any is not.

    No JSON object is the beginning of another, so that two wrong neighbours cannot make a right
    text.
    """
    texts = [row[6] for row in rows]
    whole = f"[{','.join(texts)}]"
    try:
        if not whole.isascii() and any(map(_foreign_key, texts)):
            return None
        values = [_decode(one) for one in texts]
        return values if spell(values) == whole else None
    except (ValueError, TypeError, RecursionError, msgspec.MsgspecError):
        return None
