"""One way to draw a table: boxed on a terminal, aligned text elsewhere, CSV where asked.

On a terminal a rounded frame holds the rows; numbers stand right, what matters less is
dim, and colour says only what calls for attention. Where the width does not suffice,
columns that may shrink lose their ends to `…`, then columns that may go are left out and
named below; where even that does not help, and where there are very many rows, the text
stands without a frame. Elsewhere the same cells are plain text, aligned, unshortened and
without colour. `rich` is loaded only for a terminal.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TextIO

import msgspec

from .csvtext import csv_lines
from .printable import printable
from .width import display_width, padded
from .words import _

STYLES = {
    "": "",
    "dim": "dim",
    "strong": "bold",
    "good": "green",
    "warn": "yellow",
    "bad": "red",
}
"""What a style looks like. `warn` and `bad` are for what calls for attention, nothing else."""

LAST = 1
"""The level of `shrink` of what a row is known by."""

MOST_FRAMED = 500
"""Rows; beyond them nobody looks at a frame, and drawing it would be felt."""


class Column(msgspec.Struct, frozen=True, gc=False):
    """A column: its name, `right` for numbers, its style.

    `shrink` above 0 lets it lose width down to `least`, the highest first, by `…` or, with
    `fold`, onto more lines; 1 is for what a row is known by, and loses width only where leaving
    columns out does not help. `drop` above 0 lets it go where the width does not suffice, the
    highest first. With `hide_empty` it is not shown on a terminal where all its cells are empty.
    """

    name: str
    right: bool = False
    style: str = ""
    shrink: int = 0
    least: int = 8
    fold: bool = False
    drop: int = 0
    hide_empty: bool = False


class Cell(msgspec.Struct, frozen=True, gc=False):
    """A text with a style of its own; `brief` stands for it where a terminal is too narrow."""

    text: str
    style: str = ""
    brief: str = ""


Row = Sequence[str | Cell]


class Table(msgspec.Struct, frozen=True, gc=False):
    """Columns, rows, and a row of totals below them."""

    columns: tuple[Column, ...]
    rows: Sequence[Row]
    totals: Row | None = None


def with_column(
    table: Table, column: Column, cells: Iterable[Cell | str], total: str = ""
) -> Table:
    """The table with one more column on its right, where any of its cells is not empty."""
    added = list(cells)
    if not any(map(text_of, added)):
        return table
    rows = [(*row, cell) for row, cell in zip(table.rows, added, strict=True)]
    totals = None if table.totals is None else (*table.totals, total)
    return Table((*table.columns, column), rows, totals)


def text_for(table: Table, stream: TextIO | None = None) -> str:
    """The table as it suits a stream (stdout): boxed on a terminal, else plain."""
    out = sys.stdout if stream is None else stream
    return boxed_text(table, out) if is_terminal(out, os.environ) else plain_text(table)


def is_terminal(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether a stream is a terminal that can draw."""
    return stream.isatty() and environ.get("TERM") != "dumb"


def plain_text(table: Table) -> str:
    """The table as aligned text without colour; the same wherever it is written."""
    rows = [[text_of(cell) for cell in row] for row in table.rows]
    totals = [[text_of(cell) for cell in table.totals]] if table.totals is not None else []
    header = [column.name for column in table.columns]
    widths = [
        max(display_width(line[at]) for line in [header, *rows, *totals])
        for at in range(len(header))
    ]
    rule = ["-" * width for width in widths]
    lines = [header, rule, *rows, *([rule] if totals else []), *totals]
    return "".join(f"{_aligned(line, widths, table.columns)}\n" for line in lines)


def csv_text(table: Table) -> str:
    """The table as CSV, without its totals."""
    header = [column.name for column in table.columns]
    rows = ([cell if isinstance(cell, str) else cell.text for cell in row] for row in table.rows)
    return "".join(f"{line}\n" for line in csv_lines(header, rows))


def boxed_text(table: Table, stream: TextIO, width: int | None = None) -> str:
    """The table in a frame for a terminal, `width` places wide (the terminal's)."""
    if len(table.rows) > MOST_FRAMED:
        return plain_text(table)
    from .frame import framed

    text = framed(table, stream, width)
    return plain_text(table) if text is None else text


def text_of(cell: str | Cell) -> str:
    """A cell's text, safe to print."""
    return printable(cell if isinstance(cell, str) else cell.text)


def style_of(cell: str | Cell, column: Column) -> str:
    """The look of a cell: its own style, else its column's."""
    own = "" if isinstance(cell, str) else cell.style
    return STYLES[own or column.style]


def suited(table: Table, width: int) -> Table:
    """The table as it is where it fits a width whole, else with its brief texts."""
    shown = [at for at in range(len(table.columns)) if not _hidden(table, at)]
    if sum(_natural(table, at) for at in shown) + _frame(len(shown)) <= width:
        return table
    rows = [[_brief(cell) for cell in row] for row in table.rows]
    return Table(table.columns, rows, table.totals)


def _brief(cell: str | Cell) -> str | Cell:
    return Cell(cell.brief, cell.style) if isinstance(cell, Cell) and cell.brief else cell


def fitted(table: Table, width: int) -> tuple[list[int], list[int]] | None:
    """Which columns stand in `width` places beside frame and gaps, and how wide each is.

    None where they do not fit, whatever is shrunk and left out.
    """
    return _fitted(table, width, spare=LAST) or _fitted(table, width, spare=0)


def _fitted(table: Table, width: int, *, spare: int) -> tuple[list[int], list[int]] | None:
    """The same, where no column of the level `spare` loses width."""
    shown = [at for at in range(len(table.columns)) if not _hidden(table, at)]
    while True:
        widths = [_natural(table, at) for at in shown]
        columns = [table.columns[at] for at in shown]
        _shrink(columns, widths, _frame(len(shown)) - width, spare=spare)
        if sum(widths) + _frame(len(shown)) <= width:
            return shown, widths
        goes = max(shown, key=lambda at: table.columns[at].drop, default=None)
        if goes is None or not table.columns[goes].drop:
            return None
        shown.remove(goes)


def left_out(table: Table, shown: Sequence[int]) -> str | None:
    """A line that names the columns for which there was no room, None where there are none."""
    names = [
        column.name
        for at, column in enumerate(table.columns)
        if at not in shown and not _hidden(table, at)
    ]
    if not names:
        return None
    return _("no room for: {columns}").format(columns=", ".join(names))


def _aligned(line: Sequence[str], widths: Sequence[int], columns: Sequence[Column]) -> str:
    cells = (
        padded(text, width, right=column.right)
        for text, width, column in zip(line, widths, columns, strict=True)
    )
    return "  ".join(cells).rstrip()


def _lines(table: Table) -> Iterator[Row]:
    yield from table.rows
    if table.totals is not None:
        yield table.totals


def _hidden(table: Table, at: int) -> bool:
    return table.columns[at].hide_empty and not any(text_of(row[at]) for row in _lines(table))


def _natural(table: Table, at: int) -> int:
    texts = (display_width(text_of(row[at])) for row in _lines(table))
    return max(display_width(table.columns[at].name), max(texts, default=0))


def _frame(columns: int) -> int:
    """Places for the frame, the space inside of it, and two between columns."""
    return 4 + 2 * (columns - 1)


def _shrink(columns: Sequence[Column], widths: list[int], beyond: int, *, spare: int) -> None:
    """Take from the widths what is too much: of the most shrinkable columns the widest first."""
    excess = sum(widths) + beyond
    least = [max(column.least, display_width(column.name)) for column in columns]
    levels = {column.shrink for column in columns if column.shrink not in (0, spare)}
    for level in sorted(levels, reverse=True):
        while excess > 0:
            able = [
                at
                for at, column in enumerate(columns)
                if column.shrink == level and widths[at] > least[at]
            ]
            if not able:
                break
            widths[max(able, key=lambda at: widths[at])] -= 1
            excess -= 1
