"""The check of gaps: which stretches of seqs the log itself names as lost.

Asked only where a hole is met. The names are read with the standard library, as all that
verifies is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from ..ledger.errors import GpuledgerError
from .checked_reading import Checked
from .gap import Hole

STEP = 50_000
"""Seqs that one read transaction goes over."""


class NamedGaps:
    """The gaps that events up to seq `head` name, and `known` hashes of lost events by seq."""

    def __init__(self, log: Checked) -> None:
        self._log = log
        self.head = 0
        self._holes: dict[tuple[int, int], Hole] | None = None
        self.known: dict[int, bytes] = {}

    def between(self, first: int, last: int) -> Hole | None:
        """The gap from one seq to another, where an event behind it names exactly that."""
        if self._holes is None:
            self._holes = {}
            for data in _records(self._log, last, self.head):
                with suppress(ValueError, TypeError, KeyError, RecursionError):
                    self._take(json.loads(data))
        return self._holes.get((first, last))

    def _take(self, record: dict[str, Any]) -> None:
        assert self._holes is not None
        for one in record.get("known", []):
            self.known[int(one["seq"])] = bytes.fromhex(one["hash"])
        for gap in record["gaps"]:
            before, after = bytes.fromhex(gap["before"]), bytes.fromhex(gap["after"])
            hole = Hole(int(gap["first"]), int(gap["last"]), before, after, record.get("ledger"))
            self._holes[hole.first, hole.last] = hole


def _records(log: Checked, after: int, head: int) -> Iterator[bytes]:
    """The data of the events that name gaps; a stretch that cannot be read names none."""
    ask = (
        "SELECT CAST(data AS BLOB) FROM events WHERE seq > ? AND seq <= ? AND kind = 'gap.recorded'"
    )
    while after < head:
        start, after = after, min(head, _next(log, after) + STEP)
        with suppress(GpuledgerError):
            yield from (
                data
                for (data,) in log.reading(lambda db: db.execute(ask, (start, after)).fetchall())  # noqa: B023 - runs at once
            )


def _next(log: Checked, after: int) -> int:
    """The seq before the next row: a forged one may lie 2**63 away."""
    ask = "SELECT seq FROM events WHERE seq > ? ORDER BY seq LIMIT 1"
    with suppress(GpuledgerError):
        row = log.reading(lambda db: db.execute(ask, (after,)).fetchone())
        if row is not None and row[0] > after:
            return int(row[0]) - 1
    return after
