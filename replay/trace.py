"""A past that lies elsewhere, in the order in which it becomes events.

At one instant ends come before starts, so that what one job gives back the next can have;
a job of no length ends right after its own start.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator

from .errors import BadRequest
from .facts import Asked, Placed, Record
from .request import AllocateRequest, allocate, placed_text


class TraceRow(Record, frozen=True):
    """One job of a trace file: `line` of the file, times in microseconds UTC, totals over
    `nodes`.
    """

    line: int
    job: str
    user: str
    start: int
    gpus: int
    project: str | None = None
    end: int | None = None
    cpus: int | None = None
    nodes: int = 1
    servers: tuple[tuple[str, tuple[int, ...]], ...] = ()


class Unusable(Record, frozen=True):
    """A row that became no grant: its line, its job and why."""

    line: int
    job: str
    why: str


def in_order(rows: Iterable[TraceRow]) -> list[TraceRow]:
    """The rows that ask for GPUs by start, then line."""
    return sorted((row for row in rows if row.gpus), key=lambda row: (row.start, row.line))


class Ends:
    """The ends of jobs that were granted, the earliest first, then in the order of their grants."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int]] = []

    def add(self, end: int, allocation: int) -> None:
        """Remember that `allocation` ends at `end` (microseconds UTC)."""
        heapq.heappush(self._heap, (end, allocation))

    def until(self, at: int | None) -> Iterator[tuple[int, int]]:
        """Pairs of end and allocation due up to and at `at`; all where it is None."""
        while self._heap and (at is None or self._heap[0][0] <= at):
            yield heapq.heappop(self._heap)


def request(row: TraceRow, imported: int) -> AllocateRequest:
    """The row as a request on behalf of its user. Raises BadRequest where it cannot be one."""
    on = tuple(Placed(server, gpus) for server, gpus in row.servers)
    if not row.user:
        raise BadRequest("user", row.user, "a name")
    asked = Asked(
        row.job, row.gpus, row.cpus or None, len(on) or row.nodes, tuple(map(placed_text, on)),
        project=row.project, beneficiary=row.user,
    )  # fmt: skip
    checked = allocate(asked, on)
    return AllocateRequest(checked.asked, checked.on, imported=imported)
