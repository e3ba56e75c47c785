"""The check of the tree: its root at every size that somebody kept, made anew from the hashes.

Nothing here is the writer's: nodes are made one by one as the log is read, and held against
the stored rows and against checkpoints.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec

from ..ledger.errors import GpuledgerError
from .checked_reading import Checked
from .gap import Hole
from .problem import Problem

if TYPE_CHECKING:
    import sqlite3

TILE = 8
WIDTH = 1 << TILE
REWRITTEN = "rewritten"
EMPTY = sha256(b"").digest()


class Anchor(msgspec.Struct, frozen=True):
    """What was kept of a log: the tree's size and root, and in which words it is spoken of."""

    origin: str
    size: int
    root: bytes


class TreeCheck:
    """Follows the hashes of the log, one leaf each; `problems` gathers what is wrong.

    Over a gap it goes on with the hashes of what is lost, where the log tells them all; else a
    tree begins anew behind it, under an origin of its own.
    """

    def __init__(self, log: Checked, anchors: Iterable[Anchor], problems: list[Problem]) -> None:
        self._problems = problems
        self._anchors = tuple(anchors)
        self._sizes = {anchor.size for anchor in self._anchors}
        self._stored = _stored(log, problems)
        self._last = dict[int, int]()
        for level, n in self._stored:
            self._last[level] = max(n, self._last.get(level, 0))
        self._first = 1
        self._trees: dict[int, dict[int, bytes]] = {1: {0: EMPTY}}
        self._ends: dict[int, int] = {}
        self._edge: list[bytes] = []
        self._size = 0
        self._wrong = False

    def follow(self, leaf: bytes, crossed: Hole | None, known: Mapping[int, bytes]) -> None:
        """Take the next event's hash as the next leaf; `crossed` is the gap before it, of whose
        events `known` may tell the hashes.
        """
        if crossed is not None:
            self._cross(crossed, known)
        self._put(leaf, 0)

    def _cross(self, hole: Hole, known: Mapping[int, bytes]) -> None:
        seqs = range(hole.first, hole.last)
        # A forged gap may be of more seqs than anybody can count.
        if len(seqs) <= len(known) and all(seq in known for seq in seqs):
            for seq in seqs:
                self._put(known[seq], 0)
            self._put(hole.after, 0)
            return
        self._ends[self._first] = hole.first
        self._first, self._edge, self._size = hole.last + 1, [], 0
        self._trees[self._first] = {0: EMPTY}

    def follow_run(self, leaves: Sequence[bytes], tiles: Sequence[bytes] = ()) -> None:
        """Take the next leaves at once, no gap between them: whole tiles where they are full and
        no root inside them is asked for. `tiles` are their roots, where somebody made them.
        """
        at = 0
        while at < len(leaves):
            end = self._size + WIDTH
            whole = at + WIDTH <= len(leaves) and not self._size % WIDTH
            if whole and self._sizes.isdisjoint(range(self._size + 1, end)):
                made = tiles[at >> TILE] if tiles else complete(leaves[at : at + WIDTH])
                self._put(made, TILE)
                at += WIDTH
            else:
                self._put(leaves[at], 0)
                at += 1

    def _put(self, found: bytes, height: int) -> None:
        """Take the root of the next 2**height leaves."""
        size = self._size >> height
        self._size += 1 << height
        if height:
            self._compare(height // TILE, size, found)
        while size & 1:
            found = sha256(b"\1" + self._edge.pop() + found).digest()
            size >>= 1
            height += 1
            if not height % TILE:
                self._compare(height // TILE, size, found)
        self._edge.append(found)
        if self._size in self._sizes:
            self._trees[self._first][self._size] = self._root()

    def _root(self) -> bytes:
        """The root over all leaves so far, of which there is one."""
        *rest, found = self._edge
        for left in reversed(rest):
            found = sha256(b"\1" + left + found).digest()
        return found

    def _compare(self, level: int, n: int, found: bytes) -> None:
        """Hold a stored row against the root that it should have; only a tree from seq 1 on has
        any.
        """
        if self._first != 1:
            return
        stored = self._stored.pop((level, n), None)
        if stored is None and n > self._last.get(level, -1):
            return  # not saved yet, or none of that level is
        own = sha256(b"%d:%d:" % (level, n) + found).digest()
        if stored != (found, own) and not self._wrong:
            self._wrong = True
            self._problems.append(Problem(None, "tree", f"level {level}, number {n}"))

    def finish(self, ledger: str) -> bool:
        """Hold every anchor against the log; whether there were any and all of them fit."""
        for level, n in sorted(self._stored)[:1]:
            self._problems.append(Problem(None, "tree", f"level {level}, number {n}"))
        answers = [(anchor, self._answer(anchor, ledger)) for anchor in self._anchors]
        found = [answer for _, answer in answers if answer is not None]
        self._problems += found
        fits = {anchor.origin for anchor, answer in answers if answer is None}
        rewritten = {anchor.origin for anchor, told in answers if told and told.what == REWRITTEN}
        if fits & rewritten or self._contradict():
            self._problems.append(Problem(None, "fork", f"gpuledger/{ledger}"))
        return bool(answers) and not found

    def _answer(self, anchor: Anchor, ledger: str) -> Problem | None:
        """What is wrong by one anchor."""
        first = _first_of(anchor.origin, ledger)
        roots = self._trees.get(first)
        if roots is None:
            return Problem(None, "other_ledger", anchor.origin)
        root = roots.get(anchor.size)
        if root is not None:
            last = first - 1 + anchor.size
            return None if root == anchor.root else Problem(last, REWRITTEN)
        if first in self._ends:
            return Problem(self._ends[first], "unprovable")
        return Problem(first + self._size, "truncated", str(anchor.size))

    def _contradict(self) -> bool:
        """Whether two anchors of one log and size have different roots."""
        kept: dict[tuple[str, int], bytes] = {}
        return any(
            kept.setdefault((one.origin, one.size), one.root) != one.root for one in self._anchors
        )


def complete(hashes: Sequence[bytes]) -> bytes:
    """The root above as many hashes as a tile has."""
    while len(hashes) > 1:
        pairs = zip(hashes[::2], hashes[1::2], strict=True)
        hashes = [sha256(b"\1" + left + right).digest() for left, right in pairs]
    return hashes[0]


def _first_of(origin: str, ledger: str) -> int:
    """The seq of the first leaf of the tree that an origin names; 0 for another ledger's."""
    tree = rf"gpuledger/{re.escape(ledger)}(?:/([1-9][0-9]{{0,15}}))?"
    found = re.fullmatch(tree, origin)
    return 0 if found is None or found[1] == "1" else int(found[1] or 1)


Tile = tuple[bytes, bytes]


def _stored(log: Checked, problems: list[Problem]) -> dict[tuple[int, int], Tile]:
    """All stored rows: one for 256 events. A ledger of earlier releases has no table of them."""

    def ask(conn: sqlite3.Connection) -> list[tuple[int, int, bytes, bytes]]:
        found = conn.execute("SELECT type FROM sqlite_schema WHERE lower(name) = 'tiles'")
        if [kind for (kind,) in found] != ["table"]:
            return []
        return conn.execute("SELECT level, n, hash, digest FROM tiles").fetchall()

    try:
        rows = log.reading(ask)
    except GpuledgerError as error:
        problems.append(Problem(None, "tree", str(error.facts.get("why", error.code))))
        return {}
    fit = {(level, n): (root, own) for level, n, root, own in rows if _is_place(level, n)}
    if not all(_is_place(level, n) for level, n, *_ in rows):
        problems.append(Problem(None, "tree", "a row that is at no place in it"))
    return fit


def _is_place(level: object, n: object) -> bool:
    """Whether these are numbers: a damaged file may hold any type anywhere."""
    return isinstance(level, int) and isinstance(n, int)
