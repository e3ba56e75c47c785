"""The proving half of a ledger handle: which ledger it is, its tree, and proofs of its parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

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

if TYPE_CHECKING:
    from gpuledger.replay.piece import Loss


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
        """The tree over the log, made from the events' hashes alone, since it is to be signed.

        Raises BrokenChain where an event is missing that no gap names, HeadMoved where another
        ledger was put in place meanwhile.
        """
        found = gaps.losses(self.state().pieces)
        known = self._known(found)
        first = gaps.tree_start(found, known)
        origin = checkpoint.origin_of(self.ledger_id())

        def read(start: int, count: int) -> list[bytes]:
            return self.log.reading(lambda db: leaves(db, first - 1 + start, count, known))

        head = self.log.head()
        size = head.seq - first + 1
        fetch = merkle.over(read, size)
        if size < 1 or fetch(0, size - 1, 1) != [head.hash]:  # each hash covers all before it
            raise HeadMoved(head.seq, self.log.head().seq)
        root = merkle.root(fetch, size)
        return Tree(origin if first == 1 else f"{origin}/{first}", size, root, first, fetch)

    def _known(self, found: Sequence[Loss]) -> dict[int, bytes]:
        """The hashes of lost events that the log tells where it names its gaps."""
        known: dict[int, bytes] = {}
        for seq in {gap.recorded for gap in found if gap.recorded is not None}:
            for event in self.log.read(seq - 1, seq):
                told: GapRecorded = decode(event)
                known.update((one.seq, _hash(one.hash)) for one in told.known)
                known.update((gap.last, _hash(gap.after)) for gap in told.gaps)
        return {seq: hashed for seq, hashed in known.items() if len(hashed) == 32}

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


def _hash(told: str) -> bytes:
    """A hash told in hex; nothing where it is none, as in an event that somebody forged."""
    try:
        return bytes.fromhex(told)
    except ValueError:
        return b""
