"""Words for people: one or many of something, and texts of others quoted safely.

Sentences are written whole, with named places that are filled:
`_("task {task} has ended").format(task=…)`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

from .printable import printable

MOST_SHOWN = 60
"""Longer texts of others are cut in sentences; the facts hold them whole."""


def _(text: str, many: str | None = None, count: int = 1) -> str:
    """The text; where it has a form for `many`, that one for a `count` other than one."""
    return text if many is None or count == 1 else many


def quoted(value: object, most: int = MOST_SHOWN) -> str:
    """A value as it stands in a sentence: texts in quotes, escaped and cut, the rest plain."""
    if isinstance(value, (tuple, list)):
        return quoted(" ".join(map(str, cast("Sequence[object]", value))), most)
    shown = bare(value, most)
    return f"'{shown}'" if isinstance(value, str) else shown


def bare(value: object, most: int = MOST_SHOWN) -> str:
    """A name or number as it stands in a sentence without quotes, escaped and cut."""
    shown = printable(str(value))
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"


def gpu_count(count: int) -> str:
    """`1 GPU`, `2 GPUs`."""
    return _("{count} GPU", "{count} GPUs", count).format(count=count)


def cpu_count(count: int) -> str:
    """`1 CPU`, `2 CPUs`."""
    return _("{count} CPU", "{count} CPUs", count).format(count=count)


def ids(allocations: Iterable[object], most: int = 8) -> str:
    """Allocations as `@12, @14`; of many the first few and how many more."""
    listed = [f"@{number}" for number in allocations]
    shown = ", ".join(listed[:most])
    more = len(listed) - most
    if more <= 0:
        return shown
    return _("{shown} and {more} more").format(shown=shown, more=more)


def stretch(first: int, last: int) -> str:
    """Seqs from the first to the last of them: `17`, `17 to 20`."""
    return str(first) if first == last else _("{first} to {last}").format(first=first, last=last)
