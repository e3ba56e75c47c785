"""The check that nobody holds twice: who holds what, counted in a dictionary.

Nothing here is the fold's: it reads what the data says by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, cast

import msgspec

from .checked_reading import Checked, Raw, plain_run
from .problem import Problem

_KEEPING = frozenset(("request.refused", "request.queued", "request.cancelled"))
"""Kinds that end no allocation."""

_decode: Callable[[str], Any] = msgspec.json.Decoder().decode


class Book:
    """Goes along the events; `problems` gathers those that grant what is held, `seq` is the last
    event that is in it, `ledger` the id that the first one tells.
    """

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        self.seq = 0
        self.ledger = ""
        self._doubtful: set[int] = set()
        self._holders: dict[Any, dict[Any, int]] = {}
        self._grants: dict[int, dict[Any, list[Any]]] = {}

    def take_run(
        self, rows: Sequence[Raw], values: Iterable[Any], voids: Collection[int] = ()
    ) -> None:
        """Take events at once, of which those with the seqs in `voids` are void."""
        take = self.take
        for row, data in zip(rows, values, strict=True):
            take(row[0], row[2], data, void=row[0] in voids)

    def take(self, seq: int, kind: object, data: Any, *, void: bool) -> None:  # noqa: ANN401 - any JSON value
        """Take one event; what is void changes nothing.

        Data that is no record of its kind is named by whoever decodes it.
        """
        self.seq = seq
        if not isinstance(data, dict):
            return
        record = cast("dict[str, Any]", data)
        if seq == 1:
            self.ledger = str(record.get("ledger", ""))
        try:
            if kind == "allocation.granted":
                self._grant(seq, record.get("servers", []), void=void)
            elif not void and kind not in _KEEPING:
                self._end(record)
        except (TypeError, AttributeError, KeyError):
            pass

    def name(self, first: Raw) -> None:
        """Learn the ledger's id from its first event, and no more."""
        data = _said(first)
        told = cast("dict[str, Any]", data).get("ledger", "") if isinstance(data, dict) else ""
        self.ledger = str(told)

    def catch_up(self, log: Checked, upto: int, voids: Collection[int]) -> None:
        """Take the events up to a seq that another process has checked."""
        while self.seq < upto:
            rows = plain_run(log, self.seq, upto)
            if not rows:
                self.seq = upto  # it cannot be read any more: the next run says so
                return
            self.take_run(rows, map(_said, rows), voids)

    def doubt_all(self) -> None:
        """Events are lost here, among which any holder's end may be."""
        self._doubtful |= self._grants.keys()

    def _end(self, data: dict[str, Any]) -> None:
        for one in data.get("extensions", ()):
            self._doubtful.discard(one["allocation"])  # it runs
        for ended in (*data.get("allocations", ()), *data.get("ended", ())):
            self._free(ended)

    def _free(self, grant: int) -> None:
        for server, gpus in self._grants.pop(grant, {}).items():
            holders = self._holders[server]
            for gpu in gpus:
                del holders[gpu]

    def _grant(self, seq: int, shares: list[dict[str, Any]], *, void: bool) -> None:
        taken: dict[Any, list[Any]] = {}
        for share in shares:
            server, gpus = share.get("server"), share.get("gpus", [])
            taken[server] = [*taken[server], *gpus] if server in taken else gpus
        if self._doubtful:
            self._settle(taken)
        if any(
            len({*gpus}) < len(gpus)
            or not self._holders.setdefault(server, {}).keys().isdisjoint(gpus)
            for server, gpus in taken.items()
        ):
            self.problems.append(Problem(seq, "double"))
        elif not void:
            for server, gpus in taken.items():
                self._holders[server].update(dict.fromkeys(gpus, seq))
            self._grants[seq] = taken

    def _settle(self, taken: dict[Any, list[Any]]) -> None:
        """Let those go who hold what was granted anew, where a gap may hide their end."""
        holders = {
            self._holders.get(server, {}).get(gpu, 0)
            for server, gpus in taken.items()
            for gpu in gpus
        }
        for held_by in holders & self._doubtful:
            self._free(held_by)  # it ended in a gap


def _said(row: Raw) -> Any:  # noqa: ANN401 - any JSON value
    """What the data of a row says; None where it says nothing."""
    try:
        return _decode(row[6])
    except (ValueError, TypeError, RecursionError, msgspec.MsgspecError):
        return None
