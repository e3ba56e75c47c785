"""A table in a frame, drawn by rich. Loaded only where there is a terminal to draw on."""

from __future__ import annotations

from typing import TextIO

from rich.box import Box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table as Drawn
from rich.text import Text

from .table import Column, Table, fitted, left_out, style_of, suited, text_of

FRAME = Box("╭──╮\n│  │\n├──┤\n│  │\n├──┤\n├──┤\n│  │\n╰──╯\n")
"""A rounded frame with lines below the header and above the totals, none between columns."""


def framed(table: Table, stream: TextIO, width: int | None = None) -> str | None:
    """The table as a terminal shows it; None where it does not fit."""
    console = Console(file=stream, width=width, highlight=False, markup=False, emoji=False)
    table = suited(table, console.width)
    room = fitted(table, console.width)
    if room is None:
        return None
    shown, widths = room
    drawn = _drawn(table, shown, widths)
    with console.capture() as captured:
        console.print(drawn)
        missing = left_out(table, shown)
        if missing is not None:
            console.print(Text(f"  {missing}", "dim"), no_wrap=True, overflow="ellipsis")
    return captured.get()


def _drawn(table: Table, shown: list[int], widths: list[int]) -> Drawn:
    """Every cell brings its own space: one place before it, and one behind the last."""
    drawn = Drawn(box=FRAME, border_style="dim", padding=0, show_footer=table.totals is not None)
    for at, width in zip(shown, widths, strict=True):
        column, last = table.columns[at], at == shown[-1]
        total = text_of(table.totals[at]) if table.totals is not None else ""
        drawn.add_column(
            _cell(column.name, "bold", column, last=last),
            _cell(total, "bold", column, last=last),
            width=width + 1 + last,
        )
    for row in table.rows:
        drawn.add_row(
            *(
                _cell(
                    text_of(row[at]),
                    style_of(row[at], table.columns[at]),
                    table.columns[at],
                    last=at == shown[-1],
                )
                for at in shown
            )
        )
    return drawn


def _cell(text: str, style: str, column: Column, *, last: bool) -> Padding:
    drawn = Text(
        text,
        style,
        justify="right" if column.right else "left",
        no_wrap=not column.fold,
        overflow="fold" if column.fold else "ellipsis",
    )
    return Padding(drawn, (0, int(last), 0, 1))
