"""An independent look at a log: at no prefix of it is anything held twice, or longer than leased.

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
        self.until: dict[int, int] = {}
        self.grants = 0

    def follow(self, rows: Iterable[Raw]) -> Booked:
        """Take in events in order of seq."""
        for row in rows:
            data = json.loads(row.data)
            self._in_time(row, data)
            self._one(row.seq, row.kind, data)
            self._leased(row, data)
        return self

    def _in_time(self, row: Raw, data: dict[str, Any]) -> None:
        """A lease ends at its own end, the first to end first, before anything else is done."""
        lapsed = row.kind == "allocation.released" and data["cause"] == "lease"
        for number in data["allocations"] if lapsed else ():
            assert row.at == self.until[number], f"{row.seq} ends {number} at another time"
        for number, until in self.until.items():
            assert until >= row.at if lapsed else until > row.at, f"{number} ran on at {row.seq}"

    def _leased(self, row: Raw, data: dict[str, Any]) -> None:
        if row.kind == "allocation.granted" and "lease" in data:
            self.until[row.seq] = row.at + data["lease"] * 1_000_000
        for one in data["extensions"] if row.kind == "allocation.extended" else ():
            self.until[one["allocation"]] = one["until"]

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
        self.until.pop(number, None)
        for share in self.owned.pop(number):
            for gpu in share["gpus"]:
                assert self.gpus[share["server"], gpu] == number
                self.gpus[share["server"], gpu] = 0
            self.cpus[share["server"]] += share["cpus"]

    def _held(self, name: str) -> int:
        return sum(bool(by) for (at, _), by in self.gpus.items() if at == name)
