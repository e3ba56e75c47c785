"""Chosen output fields, as sacct has them: `-o id,task%20,user%-10`, `-P`, `-n`.

A number after `%` is a width, with a minus for text that stands left; what is longer is
cut and ends in `+`, as in Slurm. Without a width a column is as wide as its longest cell.
Names are taken in any case; an unknown one is an error that lists the known ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from ..replay.errors import BadRequest
from .printable import printable
from .width import clipped, display_width, padded

MOST_WIDTH = 1_000
SEPARATOR = "|"
OPTION = "-o"


class Field(msgspec.Struct, frozen=True, gc=False):
    """A chosen field: its name as the command spells it, its place among the known ones.

    `width` is None where it follows the longest cell; `left` is None where the field's own
    alignment counts.
    """

    name: str
    at: int
    width: int | None = None
    left: bool | None = None


def choose(text: str, known: Sequence[str]) -> tuple[Field, ...]:
    """The fields that a list names, in its order. Raises BadRequest."""
    places = {name.lower(): at for at, name in enumerate(known)}
    fields: list[Field] = []
    for part in text.split(","):
        name, percent, width = part.strip().partition("%")
        at = places.get(name.strip().lower())
        if at is None:
            raise BadRequest(OPTION, part.strip(), f"some of {', '.join(known)}")
        fields.append(_field(known[at], at, width if percent else None))
    return tuple(fields)


def parsable_lines(
    fields: Sequence[Field], rows: Sequence[Sequence[str]], *, header: bool = True
) -> Iterator[str]:
    r"""Lines for a program to split at `|`, without a last `|`; a `|` in a cell is `\x7c`."""
    if header:
        yield SEPARATOR.join(field.name for field in fields)
    for row in rows:
        yield SEPARATOR.join(
            printable(row[field.at]).replace(SEPARATOR, r"\x7c") for field in fields
        )


def fixed_lines(
    fields: Sequence[Field],
    rows: Sequence[Sequence[str]],
    *,
    header: bool = True,
    right: frozenset[str] = frozenset(),
) -> Iterator[str]:
    """Aligned lines with a rule below the header; `right` names fields that stand right."""
    cells = [[printable(row[field.at]) for field in fields] for row in rows]
    names = [field.name for field in fields]
    widths = [
        field.width
        if field.width is not None
        else max(display_width(line[at]) for line in ([names] if header else []) + cells or [names])
        for at, field in enumerate(fields)
    ]
    rule = ["-" * width for width in widths]
    for line in ([names, rule] if header else []) + cells:
        yield " ".join(
            padded(clipped(text, width, "+"), width, right=_stands_right(field, right))
            for text, width, field in zip(line, widths, fields, strict=True)
        ).rstrip()


def _stands_right(field: Field, right: frozenset[str]) -> bool:
    return field.name in right if field.left is None else not field.left


def _field(name: str, at: int, width: str | None) -> Field:
    if width is None:
        return Field(name, at)
    digits = width.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 4):
        raise BadRequest(OPTION, f"{name}%{width}", f"a width such as {name}%20 or {name}%-20")
    places = int(digits)
    if not 1 <= places <= MOST_WIDTH:
        raise BadRequest(OPTION, f"{name}%{width}", f"a width from 1 to {MOST_WIDTH}")
    return Field(name, at, places, width.startswith("-"))
