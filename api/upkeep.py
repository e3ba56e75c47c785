"""The keeping half of a ledger handle: what admins do to the pool and to the ledger as a whole."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from gpuledger.mirrors import Mirrors
from gpuledger.replay import request as requests
from gpuledger.replay.batch import Recorded
from gpuledger.replay.facts import Placed, Pool

if TYPE_CHECKING:
    from gpuledger.recovery import BackedUp
    from gpuledger.replay.importing import Imported, Source
    from gpuledger.replay.rebuilding import Rebuilt


class Upkeep(Mirrors):
    """Reset, the pool, drains, imports, rebuilding. Each is one turn."""

    def reset(self, reason: str | None = None) -> Recorded:
        """End every allocation; for admins. Raises Refused, ReasonNeeded."""
        return self._allocator.reset(self.actor, requests.reason(reason))

    def pool_apply(
        self, pool: Pool, *, remove: bool = False, force: bool = False, reason: str | None = None
    ) -> Recorded | None:
        """Make the pool what `pool` says; None where it is. Raises Refused, ServerInUse,
        ReasonNeeded.
        """
        from gpuledger.replay import pool_request

        pool, why = pool_request.pool(pool), requests.reason(reason)
        return self._allocator.apply_pool(pool, self.actor, remove=remove, force=force, reason=why)

    def drain(self, on: tuple[Placed, ...], reason: str | None = None) -> Recorded | None:
        """No new work there; None where all of it is drained. Raises Refused, NoSuchServer."""
        return self._allocator.drain(requests.places(on), self.actor, requests.reason(reason))

    def resume(self, on: tuple[Placed, ...], reason: str | None = None) -> Recorded | None:
        """New work there again; None where none was drained. Raises Refused, NoSuchServer."""
        return self._allocator.resume(requests.places(on), self.actor, requests.reason(reason))

    def import_trace(
        self, source: Source, progress: Callable[[int, int], None] | None = None
    ) -> Imported:
        """Import a past that lies elsewhere; for admins. Raises Refused, NotEmpty."""
        from gpuledger.replay.importing import import_trace

        return import_trace(self._allocator, source, self.actor, progress)

    def backup(self, file: str | os.PathLike[str], *, over: bool = False) -> BackedUp:
        """Write all events into `file`, a ledger of its own, and verify that; `over` replaces a
        backup that lies there. Raises LedgerExists, BrokenChain, NotPermitted, StorageFailed.
        """
        from gpuledger.recovery import backup

        return backup(self.log, os.fspath(file), over=over)

    def rebuild(self) -> Rebuilt:
        """Make snapshot and projections anew from the log, and tell whether they were right."""
        return self._allocator.rebuild()
