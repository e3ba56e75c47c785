"""The proving half of a ledger handle: which ledger it is, its tree, and proofs of its parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from gpuledger.ledger import checkpoint, merkle, tiles
from gpuledger.ledger.errors import BrokenChain
from gpuledger.ledger.format import LOCK_SUFFIX
from gpuledger.ledger.note import Note, read_note
from gpuledger.ledger.row import head_in
from gpuledger.ledger.sqlite_log import SqliteLog
from gpuledger.ledger.witness import ledger_id
from gpuledger.replay import gap as gaps
from gpuledger.replay.catalogue import GapRecorded
from gpuledger.replay.errors import BadRequest
from gpuledger.replay.fold import decode
from gpuledger.replay.state import State

if TYPE_CHECKING:
    import sqlite3


class Tree(NamedTuple):
    """The Merkle tree over a log as it was read: its origin, its size and root (32 bytes).

    `first` is the seq of its first leaf: 1, unless a gap made it begin anew; `known` are hashes of
    what is lost in gaps before its end.
    """

    origin: str
    size: int
    root: bytes
    first: int
    known: dict[int, bytes]


class Proofs:
    """What can be shown of a ledger to somebody who does not have it."""

    log: SqliteLog

    def state(self, at: int | None = None) -> State:
        """The state now, or at a past instant."""
        raise NotImplementedError

    def tree(self) -> Tree:
        """The tree over the log. Raises BrokenChain where an event is missing that no gap names."""
        found = gaps.losses(self.state().pieces)
        known: dict[int, bytes] = {}
        for seq in {gap.recorded for gap in found if gap.recorded is not None}:
            for event in self.log.read(seq - 1, seq):
                told: GapRecorded = decode(event)
                known.update({one.seq: bytes.fromhex(one.hash) for one in told.known})
                known.update({gap.last: bytes.fromhex(gap.after) for gap in told.gaps})
        first = gaps.tree_start(found, known)
        origin = checkpoint.origin_of(self.ledger_id())

        def ask(conn: sqlite3.Connection) -> tuple[int, bytes]:
            size = head_in(conn).seq - first + 1
            return size, merkle.root(tiles.fetching(conn, first, known), size)

        size, root = self.log.reading(ask)
        return Tree(origin if first == 1 else f"{origin}/{first}", size, root, first, known)

    def proof(self, tree: Tree, number: int, *, consistency: bool = False) -> list[bytes]:
        """What proves that leaf `number` (the first is 1) is in the tree, or that this extends the
        one of size `number`. Raises BrokenChain, BadRequest.
        """
        if not 1 <= number <= tree.size:
            raise BadRequest("the number of an event", str(number), f"1 to {tree.size}")

        def ask(conn: sqlite3.Connection) -> list[bytes]:
            fetch = tiles.fetching(conn, tree.first, tree.known)
            if consistency:
                return merkle.consistency(fetch, number, tree.size)
            return merkle.inclusion(fetch, number - 1, tree.size)

        return self.log.reading(ask)

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
