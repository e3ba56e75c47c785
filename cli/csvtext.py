"""CSV as RFC 4180 has it, one table a text.

A cell that begins with `=`, `+`, `-` or `@` is data and stays as it is, but is quoted; so
is what holds commas, quotes or spaces around it. Control characters are shown as escapes,
as everywhere: a line of CSV is a line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from .printable import printable

FORMULA = ("=", "+", "-", "@")


def csv_lines(header: Sequence[str] | None, rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """The lines of a table, without line ends; no header where it is None."""
    if header is not None:
        yield _line(header)
    yield from map(_line, rows)


def _line(cells: Sequence[str]) -> str:
    line = ",".join(map(_cell, cells))
    return line or '""'


def _cell(text: str) -> str:
    shown = printable(text)
    special = any(letter in shown for letter in ',"') or shown != shown.strip()
    if not special and not shown.startswith(FORMULA):
        return shown
    return '"' + shown.replace('"', '""') + '"'
