"""Words for people: the one gettext function, and texts of others quoted safely.

Sentences are written whole, with named places that are filled after translation:
`_("task {task} has ended").format(task=…)`. A catalogue is a file
(`locale/LANGUAGE/LC_MESSAGES/gpuledger.mo` beside this module) and no change of code;
while there is none, nothing is loaded. Extract with `xgettext --keyword=_:1 --keyword=_:1,2`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, cast

from .printable import printable

if TYPE_CHECKING:
    from gettext import NullTranslations

MOST_SHOWN = 60
"""Longer texts of others are cut in sentences; the facts hold them whole."""


def _(text: str, many: str | None = None, count: int = 1) -> str:
    """The text in the user's language; `many` is its form for a `count` other than one."""
    catalogue = _catalogue()
    if many is None:
        return text if catalogue is None else catalogue.gettext(text)
    if catalogue is None:
        return text if count == 1 else many
    return catalogue.ngettext(text, many, count)


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


@lru_cache(maxsize=1)
def _catalogue() -> NullTranslations | None:
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "locale")
    if not os.path.isdir(folder):
        return None
    import gettext

    return gettext.translation("gpuledger", folder, fallback=True)
