"""The proving half of a ledger handle: which ledger it is, its tree, and proofs of its parts."""

from __future__ import annotations

import re
from typing import NamedTuple

from gpuledger.ledger import checkpoint, merkle
from gpuledger.ledger.errors import BrokenChain, HeadMoved
from gpuledger.ledger.format import LOCK_SUFFIX
from gpuledger.ledger.note import Note, read_note
from gpuledger.ledger.sqlite_log import SqliteLog
from gpuledger.ledger.tiles import leaves
from gpuledger.ledger.witness import ledger_id
from gpuledger.replay import gap as gaps
from gpuledger.replay.catalogue import GapRecorded
from gpuledger.replay.errors import BadRequest
from gpuledger.replay.fold import decode
from gpuledger.replay.state import State

_HASH = re.compile("[0-9a-fA-F]{64}")


class Tree(NamedTuple):
    """The Merkle tree over a log as it was read: its origin, its size and root (32 bytes).

    `first` is the seq of its first leaf: 1, unless a gap made it begin anew; `fetch` hands over
    its subtrees.
    """

    origin: str
    size: int
    root: bytes
    first: int
    fetch: merkle.Fetch


class Proofs:
    """What can be shown of a ledger to somebody who does not have it."""

    log: SqliteLog

    def state(self, at: int | None = None) -> State:
        """The state now, or at a past instant."""
        raise NotImplementedError

    def tree(self) -> Tree:
        """The tree over the log, made from its events alone and from no cache, since it is signed.

        Raises BrokenChain where an event is missing that no gap names, HeadMoved where another
        ledger was put in place meanwhile.
        """
        self.state()  # for what it notices, which is told beside the tree
        origin = checkpoint.origin_of(self.ledger_id())
        head = self.log.head()
        first, known = 1, dict[int, bytes]()
        try:
            fetch = self._subtrees(head.seq, first, known)
        except BrokenChain:
            first, known = self._behind_gaps(head.seq)
            fetch = self._subtrees(head.seq, first, known)
        size = head.seq - first + 1
        if size < 1 or fetch(0, size - 1, 1) != [head.hash]:  # each hash covers all before it
            raise HeadMoved(head.seq, self.log.head().seq)
        root = merkle.root(fetch, size)
        return Tree(origin if first == 1 else f"{origin}/{first}", size, root, first, fetch)

    def _subtrees(self, last: int, first: int, known: dict[int, bytes]) -> merkle.Fetch:
        """The tree over the events `first` to `last`. Raises BrokenChain."""

        def read(start: int, count: int) -> list[bytes]:
            return self.log.reading(lambda db: leaves(db, first - 1 + start, count, known))

        return merkle.over(read, last - first + 1)

    def _behind_gaps(self, last: int) -> tuple[int, dict[int, bytes]]:
        """The first leaf's seq, and hashes of lost events, as the log tells where it names gaps."""
        holes, records, before = list[tuple[int, int]](), list[GapRecorded](), 0
        for event in self.log.read(0, last):
            if event.seq != before + 1:
                holes.append((before + 1, event.seq - 1))
            if event.kind == GapRecorded.KIND:
                records.append(decode(event))
            before = event.seq
        named = {(gap.first, gap.last) for record in records for gap in record.gaps}
        for hole in holes:
            if hole not in named:
                raise BrokenChain(self.log.path, "it is missing, and no gap names it", hole[0])
        known = _known(records)
        return gaps.tree_start(holes, known), known

    def proof(self, tree: Tree, number: int, *, consistency: bool = False) -> list[bytes]:
        """What proves that leaf `number` (the first is 1) is in the tree, or that this extends the
        one of size `number`. Raises BrokenChain, BadRequest.
        """
        if not 1 <= number <= tree.size:
            raise BadRequest("the number of an event", str(number), f"1 to {tree.size}")
        if consistency:
            path = merkle.consistency(tree.fetch, number, tree.size)
            before = number, merkle.root(tree.fetch, number)
            fits = merkle.extends(before, (tree.size, tree.root), path)
        else:
            path = merkle.inclusion(tree.fetch, number - 1, tree.size)
            (leaf,) = tree.fetch(0, number - 1, 1)
            fits = merkle.includes(leaf, number - 1, tree.size, path, tree.root)
        if not fits:
            seq = tree.first - 1 + number
            raise BrokenChain(self.log.path, "its hash changed while it was read", seq)
        return path

    def ledger_id(self) -> str:
        """The ledger's random id, 32 hex digits, from its first event.

        Where that does not tell it, from the note in the lock file. Raises BrokenChain.
        """
        try:
            return self.log.reading(lambda conn: ledger_id(conn, self.log.path)).hex()
        except BrokenChain:
            noted = read_note(self.log.path + LOCK_SUFFIX)
            if not isinstance(noted, Note):
                raise
            return noted.ledger.hex()


def _known(records: list[GapRecorded]) -> dict[int, bytes]:
    """The hashes of lost events that these tell; what is no hash is not known."""
    told = [(one.seq, one.hash) for record in records for one in record.known]
    told += [(gap.last, gap.after) for record in records for gap in record.gaps]
    return {seq: bytes.fromhex(one) for seq, one in told if _HASH.fullmatch(one)}
