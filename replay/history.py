"""History: allocations as a user knows them, from their holdings."""

from __future__ import annotations

from collections.abc import Iterable

from .facts import Record, Share, cpus_in, gpus_in
from .holding import Holding


class Spell(Record, frozen=True):
    """One allocation from grant to end (microseconds UTC); `end` None while it runs.

    Where a gap hides when it ended, `uncertain` and `sure` are those of its holdings.
    """

    allocation: int
    task: str
    user: str
    servers: tuple[Share, ...]
    start: int
    end: int | None = None
    project: str | None = None
    note: str | None = None
    cause: str | None = None
    reason: str | None = None
    uncertain: int | None = None
    sure: int | None = None

    @property
    def gpus(self) -> int:
        """How many GPUs it holds or held, on all servers."""
        return gpus_in(self.servers)

    @property
    def cpus(self) -> int:
        """How many CPUs it holds or held, on all servers."""
        return cpus_in(self.servers)


def spells(holdings: Iterable[Holding]) -> list[Spell]:
    """The allocations that these holdings make up, by id."""
    parts: dict[int, list[Holding]] = {}
    for holding in holdings:
        parts.setdefault(holding.allocation, []).append(holding)
    return [_spell(parts[number]) for number in sorted(parts)]


def _spell(parts: list[Holding]) -> Spell:
    first = parts[0]
    shares = tuple(Share(part.server, part.gpus, part.cpus, part.uuids) for part in parts)
    return Spell(
        first.allocation, first.task, first.user, shares, first.start, first.end,
        first.project, first.note, first.cause, first.reason, first.uncertain, first.sure,
    )  # fmt: skip
