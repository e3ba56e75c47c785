"""The peer that replay is held against: the library `eventsourcing` with its SQLite persistence.

An aggregate that grants and releases GPUs, in the library's own way of writing one, with its
defaults: events as JSON, no snapshots, no cache.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event

RUN = 1_000
"""Events saved at a time."""


@dataclass
class Running:
    """An allocation that runs."""

    task: str
    user: str
    server: str
    gpus: list[int]
    cpus: int


class Cluster(Aggregate):
    """A pool of servers, and who holds what."""

    def __init__(self, servers: dict[str, int]) -> None:
        self.free_cpus = servers
        self.holders: dict[str, int] = {}
        self.allocations: dict[int, Running] = {}
        self.last_cause = ""

    @event("Granted")
    def grant(
        self, *, allocation: int, task: str, user: str, server: str, gpus: list[int], cpus: int
    ) -> None:
        """Record who holds what."""
        for gpu in gpus:
            place = f"{server}:{gpu}"
            if place in self.holders:
                raise ValueError(f"{place} is held")
            self.holders[place] = allocation
        self.free_cpus[server] -= cpus
        self.allocations[allocation] = Running(task, user, server, gpus, cpus)

    @event("Released")
    def release(self, allocation: int, cause: str) -> None:
        """Give it back."""
        ended = self.allocations.pop(allocation)
        for gpu in ended.gpus:
            del self.holders[f"{ended.server}:{gpu}"]
        self.free_cpus[ended.server] += ended.cpus
        self.last_cause = cause


class Peer:
    """An application on a database of its own, holding one aggregate of about `events` events."""

    def __init__(self, path: Path, events: int, servers: int) -> None:
        self._application = Application[UUID](
            env={"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": str(path)}
        )
        names = {f"gpu-server-{at}": 64 for at in range(servers)}
        cluster = Cluster(names)
        for at in range(events // 2):
            gpus = list(range(1 + at % 4))
            server = f"gpu-server-{at % servers}"
            cluster.grant(
                allocation=at, task=f"job-{at}", user=f"user-{at % 40}", server=server,
                gpus=gpus, cpus=8 * len(gpus),
            )  # fmt: skip
            cluster.release(at, "owner")
            if len(cluster.pending_events) >= RUN:
                self._application.save(cluster)
        self._application.save(cluster)
        self._id = cluster.id
        self.events = cluster.version

    def replay(self) -> Cluster:
        """The aggregate, from all of its events."""
        cluster: Cluster = self._application.repository.get(self._id)
        assert cluster.version == self.events
        return cluster

    def close(self) -> None:
        """Close the application."""
        self._application.close()
