"""The check of the rows themselves: order, bytes, hashes, links, and nobody holds twice.

Nothing here is the writer's: the canonical form is made by the standard library, and
holders are counted in a dictionary.
"""

from __future__ import annotations

from contextlib import suppress
from hashlib import sha256
from typing import Any

import msgspec

from ..ledger.note import Note, Unreadable
from .checked_gaps import NamedGaps
from .checked_json import strictly, text
from .gap import Hole
from .problem import Problem

DIGITS = 16


class Row(msgspec.Struct, frozen=True, gc=False):
    """A row as it lies in the file, texts as bytes; a damaged file may hold any type anywhere."""

    seq: int
    at: Any
    kind: Any
    version: Any
    actor: Any
    key: Any
    data: Any
    prev: Any
    hash: Any

    @property
    def seq_text(self) -> str:
        """The seq as text, for messages."""
        return str(self.seq)


class ChainCheck:
    """Goes along the rows; `problems` gathers what is wrong, `seq` and `hash` are the head so
    far, `gaps` the stretches that are lost, as `named` says, and `crossed` the one that lies
    before the row checked last.
    """

    def __init__(self, named: NamedGaps) -> None:
        self.problems: list[Problem] = []
        self.seq = 0
        self.hash = bytes(32)
        self.count = 0
        self.ledger = ""
        self._also = self.hash
        self._at = 0
        self._hashes: dict[int, bytes] = {}
        self.gaps: list[Hole] = []
        self.crossed: Hole | None = None
        self._named = named
        self._doubtful: set[int] = set()
        self._holders: dict[tuple[Any, Any], int] = {}
        self._grants: dict[int, list[tuple[Any, Any]]] = {}
        self._data: Any = None

    def check(self, row: Row) -> None:
        """Check one row against the one before."""
        self._data = None
        self.crossed = None
        self._missing(row.seq)
        self.count += 1
        texts = (row.kind, row.actor, row.data)
        blobs = all(isinstance(one, bytes) for one in (*texts, row.prev, row.hash))
        numbers = isinstance(row.at, int) and isinstance(row.version, int)
        if not (blobs and numbers):
            self._say(row, "type")
            self._advance(row, b"")
            return
        if row.prev not in (self.hash, self._also):
            self._say(row, "prev")
        if row.at < self._at:
            self._say(row, "at")
        computed = self._check_bytes(row)
        if computed != row.hash:
            self._say(row, "hash")
        self._advance(row, computed)

    def _check_bytes(self, row: Row) -> bytes:
        """The row's hash, made anew from its fields; says where the data is not canonical."""
        try:
            data = strictly(row.data)
        except (ValueError, RecursionError):
            self._say(row, "canonical")
            data = None
        self._data = data
        try:
            key = "null" if row.key is None else text(row.key.decode())
            kind, actor = text(row.kind.decode()), text(row.actor.decode())
        except UnicodeDecodeError:
            return b""
        front = f"[1,{row.seq},{row.at},{kind},{row.version},{actor},{key},".encode()
        return sha256(b"\0" + front + row.data + b',"' + row.prev.hex().encode() + b'"]').digest()

    def book(self, row: Row, *, void: bool) -> None:
        """Who holds what, in a dictionary: no GPU has two holders, what is void changes nothing.

        To be called after `check`; data that is no such record is named by whoever decodes it.
        """
        data, self._data = self._data, None
        if not isinstance(data, dict):
            return
        if row.seq == 1:
            self.ledger = str(data.get("ledger", ""))
        with suppress(TypeError, AttributeError, KeyError):
            if row.kind == b"allocation.granted":
                self._take(row, data.get("servers", []), void=void)
            if not void:
                for one in data.get("extensions", []):
                    self._doubtful.discard(one["allocation"])  # it runs
                for ended in [*data.get("allocations", []), *data.get("ended", [])]:
                    for one in self._grants.pop(ended, []):
                        self._holders.pop(one, None)

    def _take(self, row: Row, shares: list[dict[str, Any]], *, void: bool) -> None:
        taken = [(share.get("server"), gpu) for share in shares for gpu in share.get("gpus", [])]
        for held_by in {self._holders.get(one, 0) for one in taken} & self._doubtful:
            for one in self._grants.pop(held_by, []):  # it ended in a gap
                self._holders.pop(one, None)
        if len(set(taken)) < len(taken) or any(one in self._holders for one in taken):
            self._say(row, "double")
        elif not void:
            self._holders.update(dict.fromkeys(taken, row.seq))
            self._grants[row.seq] = taken

    def _missing(self, seq: int) -> None:
        if seq <= self.seq + 1:
            return
        hole = self.crossed = self._named.between(self.seq + 1, seq - 1)
        if hole is None:
            last = "" if seq == self.seq + 2 else f"up to {seq - 1}"
            self.problems.append(Problem(self.seq + 1, "missing", last))
            return
        if hole.before not in (self.hash, self._also):
            self.problems.append(Problem(hole.first, "gap", f"up to {hole.last}"))
        self.gaps.append(hole)
        self.ledger = self.ledger or hole.ledger or ""
        lost = {seq: one for seq, one in self._named.known.items() if hole.first <= seq < hole.last}
        self._hashes |= {**lost, hole.last: hole.after}
        self.hash = self._also = hole.after
        self._doubtful |= self._grants.keys()

    def _advance(self, row: Row, computed: bytes) -> None:
        """Both the stored and the computed hash may be what comes next links to: one problem,
        not two.
        """
        self.seq, self._at = row.seq, row.at if isinstance(row.at, int) else self._at
        self.hash = row.hash if isinstance(row.hash, bytes) else b""
        self._also = computed
        self._hashes[row.seq] = self.hash

    def _say(self, row: Row, what: str) -> None:
        self.problems.append(Problem(row.seq, what))

    def finish(self, head: int) -> None:
        """Say what is missing between the last row and the head."""
        self._missing(head + 1)

    def check_note(self, note: Note | Unreadable | None) -> None:
        """Hold the note of the head against the log: it may lag, but never lead."""
        if note is None or (isinstance(note, Unreadable) and note.why == "permission"):
            return
        if isinstance(note, Unreadable):
            self.problems.append(Problem(None, "note", note.why))
        elif note.ledger.hex() != self.ledger:
            self.problems.append(Problem(None, "note", "it belongs to another ledger"))
        elif note.seq > self.seq:
            missing = f"{self.seq + 1} to {note.seq}"
            self.problems.append(Problem(self.seq + 1, "tail", missing))
        elif note.seq and self._hashes.get(note.seq) != note.hash:
            self.problems.append(Problem(note.seq, "note", "it has another hash there"))

    def check_expected(self, expect: tuple[int, str] | None) -> bool:
        """Whether an expected head was given and is in the log; a problem where it is not."""
        if expect is None:
            return False
        seq, digits = expect
        there = self._hashes.get(seq, b"").hex()
        if not there and any(gap.first <= seq <= gap.last for gap in self.gaps):
            self.problems.append(Problem(seq, "lost", digits))
            return False
        if seq > self.seq:
            self.problems.append(Problem(seq, "cut", str(self.seq)))
            return False
        if not there.startswith(digits.lower()) or len(digits) < DIGITS or not there:
            self.problems.append(Problem(seq, "expected", digits))
            return False
        return True
