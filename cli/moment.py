"""A moment as a cell of a table: ISO 8601 with its offset, briefly where a terminal is narrow."""

from __future__ import annotations

from datetime import tzinfo

from .table import Cell
from .timetext import brief_text, local_text


def moment(at_us: int | None, zone: tzinfo, *, none: str = "") -> Cell:
    """The cell of an instant (microseconds UTC); `none` stands where there is none."""
    if at_us is None:
        return Cell(none)
    return Cell(local_text(at_us, zone), brief=brief_text(at_us, zone))
