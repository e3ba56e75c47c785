"""How the verifier spells records: by the canonical JSON of its own."""

from __future__ import annotations

from operator import itemgetter
from typing import Any

import msgspec

from .checked_json import canonical, text


def spelled(record: object) -> bytes:
    """The canonical JSON of a record, and of records inside it."""
    return canonical(msgspec.to_builtins(record))


class Flat:
    """The canonical JSON of records of one kind, whose fields are JSON values, at a third of the
    cost: what is the same for all is made once.
    """

    def __init__(self, kind: type[msgspec.Struct]) -> None:
        fields = msgspec.structs.fields(kind)
        order = sorted(range(len(fields)), key=lambda at: fields[at].encode_name)
        self._sorted = itemgetter(*order)
        self._told = [(text(fields[at].encode_name) + ":", fields[at].default) for at in order]

    def __call__(self, record: msgspec.Struct) -> bytes:
        """A field that has its default is left out."""
        values = self._sorted(msgspec.structs.astuple(record))
        said = [
            front + _told(value)
            for (front, default), value in zip(self._told, values, strict=True)
            if value is not default
        ]
        return ("{" + ",".join(said) + "}").encode()


def _told(value: Any) -> str:  # noqa: ANN401 - any JSON value
    kind = type(value)
    if kind is int:
        return str(value)
    return text(value) if kind is str else canonical(value).decode()
