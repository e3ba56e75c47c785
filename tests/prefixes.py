"""An independent look at a log: at no prefix of it is anything held twice.

Reads the rows with json alone and counts in dictionaries; shares no code with the program.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from forging import Raw


class Booked:
    """Who holds what after the events seen so far; an AssertionError where that cannot be."""

    def __init__(self) -> None:
        self.gpus: dict[tuple[str, int], int] = {}
        self.cpus: dict[str, int] = {}
        self.owned: dict[int, list[dict[str, Any]]] = {}
        self.grants = 0

    def follow(self, rows: Iterable[Raw]) -> Booked:
        """Take in events in order of seq."""
        for row in rows:
            self._one(row.seq, row.kind, json.loads(row.data))
        return self

    def _one(self, seq: int, kind: str, data: dict[str, Any]) -> None:
        if kind == "ledger.created":
            self._reshape(data["pool"]["servers"])
        for ended in [*data.get("allocations", ()), *data.get("ended", ())]:
            self._end(ended)
        if kind == "pool.changed":
            for name in data.get("removed", ()):
                assert self._held(name) == 0, f"{seq} removes {name}, which is held"
                del self.cpus[name]
                self.gpus = {at: by for at, by in self.gpus.items() if at[0] != name}
            self._reshape([*data.get("changed", ()), *data.get("added", ())])
        if kind == "allocation.granted":
            self.grants += 1
            self._grant(seq, data["servers"])

    def _reshape(self, servers: list[dict[str, Any]]) -> None:
        for facts in servers:
            name = facts["name"]
            before = {gpu: by for (at, gpu), by in self.gpus.items() if at == name and by}
            after = {card["index"]: before.pop(card["index"], 0) for card in facts["gpus"]}
            assert not before, f"{name} loses what is held: {before}"
            self.gpus = {at: by for at, by in self.gpus.items() if at[0] != name}
            self.gpus.update({(name, gpu): by for gpu, by in after.items()})
            used = sum(s["cpus"] for own in self.owned.values() for s in own if s["server"] == name)
            assert used <= facts["cpus"], f"{name} has fewer CPUs than are held"
            self.cpus[name] = facts["cpus"] - used

    def _grant(self, seq: int, shares: list[dict[str, Any]]) -> None:
        self.owned[seq] = shares
        for share in shares:
            name = share["server"]
            for gpu in share["gpus"]:
                assert self.gpus[name, gpu] == 0, f"{name}:{gpu} is held twice, at {seq}"
                self.gpus[name, gpu] = seq
            self.cpus[name] -= share["cpus"]
            assert self.cpus[name] >= 0, f"{name} owes CPUs at {seq}"

    def _end(self, number: int) -> None:
        for share in self.owned.pop(number):
            for gpu in share["gpus"]:
                assert self.gpus[share["server"], gpu] == number
                self.gpus[share["server"], gpu] = 0
            self.cpus[share["server"]] += share["cpus"]

    def _held(self, name: str) -> int:
        return sum(bool(by) for (at, _), by in self.gpus.items() if at == name)
