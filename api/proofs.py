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


class _Grown(NamedTuple):
    """Which tree is over the log: its origin, the seq of its first leaf, hashes of what is lost."""

    origin: str
    first: int
    known: dict[int, bytes]


class Proofs:
    """What can be shown of a ledger to somebody who does not have it."""

    log: SqliteLog

    def state(self, at: int | None = None) -> State:
        """The state now, or at a past instant."""
        raise NotImplementedError

    def tree(self) -> tuple[str, int, bytes]:
        """Origin, size and root of the Merkle tree over the log.

        Raises BrokenChain where an event is missing that no gap names.
        """
        grown = self._grown()

        def ask(conn: sqlite3.Connection) -> tuple[int, bytes]:
            size = head_in(conn).seq - grown.first + 1
            return size, merkle.root(tiles.fetching(conn, grown.first, grown.known), size)

        return grown.origin, *self.log.reading(ask)

    def proof(self, number: int, size: int, *, consistency: bool = False) -> list[bytes]:
        """What proves that leaf `number` (the first is 1) is in the tree of `size`, or that this
        tree extends the one of size `number`. Raises BrokenChain, BadRequest.
        """
        if not 1 <= number <= size:
            raise BadRequest("the number of an event", str(number), f"1 to {size}")
        grown = self._grown()

        def ask(conn: sqlite3.Connection) -> list[bytes]:
            fetch = tiles.fetching(conn, grown.first, grown.known)
            if consistency:
                return merkle.consistency(fetch, number, size)
            return merkle.inclusion(fetch, number - 1, size)

        return self.log.reading(ask)

    def tree_start(self) -> int:
        """The seq of the tree's first leaf: 1, unless a gap made it begin anew."""
        return self._grown().first

    def _grown(self) -> _Grown:
        found = gaps.losses(self.state().pieces)
        known: dict[int, bytes] = {}
        for seq in {gap.recorded for gap in found if gap.recorded is not None}:
            for event in self.log.read(seq - 1, seq):
                told: GapRecorded = decode(event)
                known.update({one.seq: bytes.fromhex(one.hash) for one in told.known})
                known.update({gap.last: bytes.fromhex(gap.after) for gap in told.gaps})
        first = gaps.tree_start(found, known)
        origin = checkpoint.origin_of(self.ledger_id())
        return _Grown(origin if first == 1 else f"{origin}/{first}", first, known)

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
