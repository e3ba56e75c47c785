"""What is said about a failure, and a careful way to its facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec

from .printable import printable
from .words import quoted


class Said(msgspec.Struct, frozen=True, gc=False):
    """`sentence` names the thing and the reason, `next` the next step; neither ends in a stop."""

    sentence: str
    next: str

    @property
    def text(self) -> str:
        """Both as one line: `9 GPUs are free, at most 5 on one server; try --servers 2`.

        Whatever it names cannot act on a terminal.
        """
        return printable(f"{self.sentence}; {self.next}")


class Facts:
    """The facts of a failure, each taken as it is or made safe to print.

    A fact that is missing is None, or an empty text: a sentence must never fail.
    """

    def __init__(self, facts: Mapping[str, object]) -> None:
        """Hold `facts`."""
        self._facts = facts

    def raw(self, name: str) -> Any:  # noqa: ANN401 — facts are of any type
        """The fact as it is, None where it is missing."""
        return self._facts.get(name)

    def number(self, name: str) -> int:
        """A whole number; 0 where there is none."""
        value = self._facts.get(name)
        return value if isinstance(value, int) else 0

    def text(self, name: str) -> str:
        """A fact to stand in a sentence as it is, its control characters escaped."""
        value = self._facts.get(name)
        return "" if value is None else printable(str(value))

    def quoted(self, name: str) -> str:
        """A fact to stand in a sentence in quotes, escaped and cut."""
        return quoted(self._facts.get(name))

    def items(self, name: str) -> tuple[Any, ...]:
        """A list of facts; empty where there is none."""
        value = self._facts.get(name)
        if not isinstance(value, (tuple, list)):
            return ()
        return tuple(cast("Sequence[Any]", value))
