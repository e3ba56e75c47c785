"""What a write answers: an allocation that can be given back, and what a release ended."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING

from gpuledger.replay.batch import Recorded
from gpuledger.replay.catalogue import AllocationGranted
from gpuledger.replay.errors import NoSuchTask
from gpuledger.replay.facts import Share

if TYPE_CHECKING:
    from gpuledger.handle import Ledger


class Allocation:
    """A grant. As a context manager it is released at the end of the block."""

    def __init__(self, ledger: Ledger, recorded: Recorded) -> None:
        payload = recorded.payload
        assert isinstance(payload, AllocationGranted)
        self._ledger = ledger
        self.event = recorded.event
        self.grant = payload

    @property
    def id(self) -> int:
        """The allocation's id: the seq of its granted event."""
        return self.event.seq

    @property
    def task(self) -> str:
        """The task's name."""
        return self.grant.task

    @property
    def servers(self) -> tuple[Share, ...]:
        """What it holds on each server: GPU indices, UUIDs, CPUs."""
        return self.grant.servers

    @property
    def start(self) -> int:
        """When it was granted, microseconds UTC."""
        return self.event.at

    @property
    def runs(self) -> bool:
        """Whether it has not ended yet; a retry key answers with its grant even afterwards."""
        return self._ledger.state().allocation(self.id) is not None

    def release(self) -> Released:
        """Give it back. Raises NoSuchTask where it has ended already, or is not in a ledger that
        was restored in the meantime.
        """
        if not self._recorded():
            raise NoSuchTask(f"@{self.id}", self.grant.user)
        return self._ledger.release(f"@{self.id}", user=self.grant.asked.beneficiary)

    def __enter__(self) -> Allocation:
        """The allocation itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give it back, unless that was done inside the block."""
        if self._recorded():
            self._ledger.release(f"@{self.id}", user=self.grant.asked.beneficiary, if_held=True)

    def _recorded(self) -> bool:
        """Whether its event is in the ledger, and no other one of the same id: a ledger that was
        restored gives ids once more.
        """
        return self.event in self._ledger.log.read(self.id - 1, self.id)


class Released:
    """What a release ended: `seq` of its event (the head where it ended nothing), and the
    grants.

    `ends` tells when their leases would have ended (microseconds UTC), None for one without; it
    is empty where a retry key was answered with what was recorded before.
    """

    def __init__(
        self,
        seq: int,
        end: int,
        grants: tuple[Recorded, ...],
        ends: Mapping[int, int | None] = {},
    ) -> None:
        self.seq = seq
        self.end = end
        self.grants = grants
        self.ends = ends
