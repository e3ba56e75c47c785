"""The page that the state behind a gap is held against: what is true, and what can be known.

Plain dictionaries, no code of the program. `truth` knows every event. `known` knows those that are
left: a GPU is settled by the last event that tells who holds it, and in doubt if events were lost
after that one; so is whether an allocation runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

Gpu = tuple[str, int]


class Told(NamedTuple):
    """An event as plain values."""

    seq: int
    at: int
    kind: str
    data: dict[str, Any]


@dataclass
class Run:
    """An allocation or a request: whose and what, when it was last known to be there."""

    name: tuple[object, str]
    start: int
    settled: int
    gpus: set[Gpu] = field(default_factory=set)
    cpus: dict[str, int] = field(default_factory=dict)


@dataclass
class Model:
    """What is known: `settled` has for each GPU the last event that tells who holds it, and who."""

    gap: int = 0
    settled: dict[Gpu, tuple[int, int]] = field(default_factory=dict)
    runs: dict[int, Run] = field(default_factory=dict)
    line: dict[int, Run] = field(default_factory=dict)
    ended: dict[int, int] = field(default_factory=dict)
    facts: dict[str, tuple[int, int, dict[int, str | None]]] = field(default_factory=dict)

    def unsure(self, runs: dict[int, Run]) -> set[int]:
        """Those of which the last gap leaves open whether they are there still."""
        return {number for number, run in runs.items() if run.settled < self.gap}

    def status(self, gpu: Gpu) -> int | None:
        """The holder of a GPU, 0 where it is free, None where that is in doubt."""
        seq, holder = self.settled.get(gpu, (0, 0))
        return holder if seq > self.gap else None

    def over(self, numbers: Iterable[int], at: int) -> None:
        """These have ended, whenever that was."""
        for number in list(numbers):
            if self.runs.pop(number, None) is not None:
                self.ended[number] = at

    def end(self, numbers: Iterable[int], event: Told) -> None:
        """These ended now, so that they ran until now."""
        for number in numbers:
            for gpu in self.runs[number].gpus if number in self.runs else ():
                self.settled[gpu] = event.seq, 0
            self.over([number], event.at)

    def follow(self, event: Told, lost_before: int) -> None:
        """Take in an event, before which events from the seq `lost_before` on were lost, or 0."""
        self.gap = lost_before or self.gap
        seq, data = event.seq, event.data
        if event.kind in ("allocation.granted", "request.queued"):
            self._arrives(event)
        for one in data.get("extensions", []):
            run = self.runs.get(one["allocation"])
            if run is not None:
                run.settled = seq
                self.settled |= dict.fromkeys(run.gpus, (seq, one["allocation"]))
        for number in data.get("requests", []):
            self.line.pop(number, None)
        self.end([*data.get("allocations", []), *data.get("ended", [])], event)
        if event.kind == "ledger.reset":
            self.over(self.runs, event.at)
            gpus = {(name, gpu) for name, (_, _, cards) in self.facts.items() for gpu in cards}
            self.settled |= dict.fromkeys(gpus, (seq, 0))
        self._pool(event)
        for name, (told, cpus, _) in self.facts.items():
            here = {n: run.cpus[name] for n, run in self.runs.items() if name in run.cpus}
            maybe = self.unsure(self.runs)
            room = cpus - sum(amount for n, amount in here.items() if n not in maybe)
            if told > self.gap:
                no_room = (n for n, amount in here.items() if n in maybe and amount > room)
                self.over(no_room, event.at)

    def _arrives(self, event: Told) -> None:
        data, seq = event.data, event.seq
        who = data.get("uid", data["user"])
        run = Run((who, data.get("task") or data["asked"]["task"]), event.at, seq)
        for share in data.get("servers", []):
            cards = self.facts.setdefault(share["server"], (0, 0, {}))[2]
            cards |= dict(zip(share["gpus"], share.get("uuids") or [None] * 9, strict=False))
            run.gpus |= {(share["server"], gpu) for gpu in share["gpus"]}
            run.cpus[share["server"]] = share["cpus"]
        alike = {n for n, other in self.runs.items() if other.name == run.name}
        self.over({n for n, other in self.runs.items() if other.gpus & run.gpus} | alike, event.at)
        for number in [n for n, other in self.line.items() if other.name == run.name]:
            del self.line[number]
        if event.kind == "request.queued":
            self.line[seq] = run
        else:
            self.runs[seq] = run
            self.settled |= dict.fromkeys(run.gpus, (seq, seq))

    def _pool(self, event: Told) -> None:
        data = event.data
        for place in data.get("places", []) if event.kind != "request.queued" else ():
            cards = self.facts.setdefault(place["server"], (0, 0, {}))[2]
            cards |= dict.fromkeys({*place["gpus"]} - {*cards})
        for name in data.get("removed", []):
            self._gone({gpu for gpu in self.settled if gpu[0] == name}, name, event)
            self.facts.pop(name, None)
        for server in data.get("changed", []):
            told, _, old = self.facts.get(server["name"], (0, 0, {}))
            cards = {card["index"]: card.get("uuid") for card in server["gpus"]}
            sure = told > self.gap
            other = {g for g, uuid in cards.items() if len({uuid, old.get(g), None}) == 3}
            lost = {*old} - {*cards} | (other if sure else set())
            self._gone({(server["name"], gpu) for gpu in lost}, None, event)
            fresh = (cards.keys() - old.keys()) | other if sure else set()
            self.settled |= {(server["name"], gpu): (event.seq, 0) for gpu in fresh}
            self.facts[server["name"]] = event.seq, server["cpus"], cards
        pool = data.get("pool", {}).get("servers", [])
        for server in [*pool, *data.get("added", [])]:
            name, cards = server["name"], {c["index"]: c.get("uuid") for c in server["gpus"]}
            self._gone({gpu for gpu in self.settled if gpu[0] == name}, name, event)
            self.settled |= {(name, gpu): (event.seq, 0) for gpu in cards}
            self.facts[name] = event.seq, server["cpus"], cards

    def _gone(self, gpus: set[Gpu], server: str | None, event: Told) -> None:
        self.over(
            {n for n, run in self.runs.items() if run.gpus & gpus or server in run.cpus}, event.at
        )
        for gpu in gpus:
            self.settled.pop(gpu, None)


def follow(events: Iterable[Told]) -> Iterator[Model]:
    """What is known after each of these events, some of which may be missing between them."""
    model, last = Model(), 0
    for event in events:
        model.follow(event, last + 1 if event.seq > last + 1 else 0)
        last = event.seq
        yield model
