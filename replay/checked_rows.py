"""The check of the rows themselves: order, bytes, hashes, links.

Nothing here is the writer's: the canonical form is made by the standard library.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from hashlib import sha256
from typing import Any

from ..ledger.note import Note, Unreadable
from .checked_book import Book
from .checked_gaps import NamedGaps
from .checked_json import MOST, strictly, text
from .checked_reading import Raw, Row
from .checked_runs import RunCheck
from .gap import Hole
from .problem import Problem

DIGITS = 16


class ChainCheck:
    """Goes along the rows; `problems` gathers what is wrong, `seq` and `hash` are the head so
    far, `gaps` the stretches that are lost, as `named` says, and `crossed` the one that lies
    before the row checked last. Of the events with the seqs in `asked` the hashes are kept.
    `book` is who holds what; whoever checks a row also takes it there.
    """

    def __init__(self, named: NamedGaps, asked: Collection[int] = ()) -> None:
        self.problems: list[Problem] = []
        self.seq = 0
        self.hash = bytes(32)
        self.count = 0
        self.book = Book(self.problems)
        self._also = self.hash
        self._at = 0
        self._asked = asked
        self._hashes: dict[int, bytes] = {}
        self._runs = RunCheck()
        self.gaps: list[Hole] = []
        self.crossed: Hole | None = None
        self._named = named

    def check_run(self, rows: Sequence[Raw]) -> list[Any] | None:
        """Check rows at once, and return what the data of each says.

        None, and nothing is changed, where there are none or something is wrong with them.
        """
        values = self._runs.values(rows, self.seq, self._at, self.hash) if rows else None
        if values is not None:
            self._pass(rows)
        return values

    def take_run(self, rows: Sequence[Raw], seq: int, link: bytes) -> bool:
        """Take rows that another process has checked up to `seq` and its hash; False, and nothing
        is changed, where they are not these.
        """
        if not rows or len(rows) != seq - self.seq or rows[-1][8] != link:
            return False
        self._pass(rows)
        return True

    def _pass(self, rows: Sequence[Raw]) -> None:
        first = self.seq + 1
        self.seq, self._at, *_, self.hash = rows[-1]
        self._also, self.crossed = self.hash, None
        self.count += len(rows)
        for seq in self._asked:
            if first <= seq <= self.seq:
                self._hashes[seq] = rows[seq - first][8]

    def check(self, row: Row) -> Any:  # noqa: ANN401 - any JSON value
        """Check one row against the one before, and return what its data says."""
        self.crossed = None
        self._missing(row.seq)
        self.count += 1
        texts = (row.kind, row.actor, row.data)
        blobs = all(isinstance(one, bytes) for one in (*texts, row.prev, row.hash))
        numbers = isinstance(row.at, int) and isinstance(row.version, int)
        if not (blobs and numbers):
            self._say(row, "type")
            self._advance(row, b"")
            return None
        if max(row.seq, row.at, row.version) > MOST:
            self._say(row, "number")
        if row.prev not in (self.hash, self._also):
            self._say(row, "prev")
        if row.at < self._at:
            self._say(row, "at")
        data, computed = self._check_bytes(row)
        if computed != row.hash:
            self._say(row, "hash")
        self._advance(row, computed)
        return data

    def _check_bytes(self, row: Row) -> tuple[Any, bytes]:
        """What the data says, and the row's hash, made anew from its fields; says where the data
        is not canonical.
        """
        try:
            data = strictly(row.data)
        except (ValueError, RecursionError):
            self._say(row, "canonical")
            data = None
        try:
            key = "null" if row.key is None else text(row.key.decode())
            kind, actor = text(row.kind.decode()), text(row.actor.decode())
        except UnicodeDecodeError:
            return data, b""
        front = f"[1,{row.seq},{row.at},{kind},{row.version},{actor},{key},".encode()
        covered = b"\0" + front + row.data + b',"' + row.prev.hex().encode() + b'"]'
        return data, sha256(covered).digest()

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
        self.book.ledger = self.book.ledger or hole.ledger or ""
        lost = {seq: one for seq, one in self._named.known.items() if hole.first <= seq < hole.last}
        self._hashes |= {**lost, hole.last: hole.after}
        self.hash = self._also = hole.after
        self.book.doubt_all()

    def _advance(self, row: Row, computed: bytes) -> None:
        """Both the stored and the computed hash may be what comes next links to: one problem,
        not two.
        """
        self.seq, self._at = row.seq, row.at if isinstance(row.at, int) else self._at
        self.hash = row.hash if isinstance(row.hash, bytes) else b""
        self._also = computed
        if row.seq in self._asked:
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
        elif note.ledger.hex() != self.book.ledger:
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
