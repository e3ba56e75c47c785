"""A log in memory: records become sealed events, without a file, a lock or a decision."""

from __future__ import annotations

from gpuledger.ledger.canonical import encode
from gpuledger.ledger.chain import seal
from gpuledger.ledger.event import Draft, Event
from gpuledger.replay.catalogue import (
    AllocationGranted,
    AllocationReleased,
    LedgerCreated,
    Payload,
    version,
)
from gpuledger.replay.facts import Asked, By, Pool, Share
from gpuledger.replay.holding import Effects
from gpuledger.replay.state import State

ID = "0" * 32
ROOT_DID = By("root", 0)


class Chronicle:
    """Events in order, and the state that they amount to."""

    def __init__(self, pool: Pool) -> None:
        self.events: list[Event] = []
        self.state = State()
        self.add(LedgerCreated(ID, 1, pool, ROOT_DID))

    def add(self, payload: Payload, *, at: int | None = None, actor: str = "uid:0") -> Effects:
        """Append a record and fold it; returns what it did."""
        after = self.state.head
        when = after.at + 1_000_000 if at is None else at
        draft = Draft(when, payload.KIND, version(payload.KIND), actor, None, encode(payload))
        event = seal(draft, after)
        self.events.append(event)
        return self.state.apply(event)

    def grant(self, task: str, *shares: Share, user: str = "ada", uid: int = 1001) -> int:
        """Append a grant of exactly these shares, possible or not; returns its seq."""
        asked = Asked(task, sum(len(share.gpus) for share in shares))
        self.add(AllocationGranted(task, user, shares, asked, By(user, uid), uid))
        return self.state.seq

    def release(self, *allocations: int) -> Effects:
        """Append the end of these allocations."""
        return self.add(AllocationReleased(ROOT_DID, allocations, "admin"))
