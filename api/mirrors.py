"""The mirrors of a ledger: adding and removing them, and where each stands."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from gpuledger.ledger.event import START, Head
from gpuledger.ledger.format import LOCK_SUFFIX
from gpuledger.ledger.note import Note, read_note
from gpuledger.replay import request as requests
from gpuledger.replay.actor import Actor
from gpuledger.replay.allocator import Allocator
from gpuledger.replay.errors import BadRequest, Refused
from gpuledger.replay.mirror_rows import mirrors_of
from gpuledger.replay.mirroring import decide_add, decide_remove
from gpuledger.replay.refusal import Refusal
from gpuledger.reports import Reports

if TYPE_CHECKING:
    from gpuledger.ledger.mirrored import Mirrored
    from gpuledger.replay.batch import Batch, Recorded
    from gpuledger.replay.catalogue import MirrorAdded, MirrorRemoved
    from gpuledger.replay.state import State


class Mirrors(Reports):
    """A second copy of the log in each of some folders, which grows with it."""

    _allocator: Allocator

    @property
    def actor(self) -> Actor:
        """Who acts."""
        raise NotImplementedError

    def mirror_add(self, directory: str, reason: str | None = None) -> Recorded | None:
        """Mirror the log into `directory` from now on, and copy what there is; for admins.

        None where it is one already: its folder is made anew where that is gone. Raises Refused,
        MirrorUnusable, BadRequest.
        """
        directory, why = _directory(directory), requests.reason(reason)
        recorded = self._recorded(
            lambda state, who: decide_add(state, directory, who, why), prepare=directory
        )
        self.catch_up_mirrors()
        return recorded

    def mirror_remove(self, directory: str, reason: str | None = None) -> Recorded:
        """Mirror the log into `directory` no longer; what lies there stays; for admins.

        Raises Refused, NoSuchMirror, BadRequest.
        """
        why = requests.reason(reason)
        known = directory in self.log.reading(mirrors_of)  # Whatever it is called: it must go.
        path = directory if known else _directory(directory)
        recorded = self._recorded(lambda state, who: decide_remove(state, path, who, why))
        assert recorded is not None
        return recorded

    def mirror_path(self, directory: str) -> str:
        """The absolute path by which a mirror is known. Raises BadRequest."""
        return _directory(directory)

    def catch_up_mirrors(self) -> None:
        """Write what mirrors lack that can be written to, a turn after the other."""
        while self._allocator.batch(lambda batch: batch).lagging:
            pass

    def mirrors(self) -> tuple[list[Mirrored], Head]:
        """Where each mirror stands, and the log's head."""
        head = self.log.head()
        return standings(self, self.log.reading(mirrors_of), count=True), head

    def _recorded(
        self,
        decide: Callable[[State, Actor], MirrorAdded | MirrorRemoved | Refusal | None],
        prepare: str | None = None,
    ) -> Recorded | None:
        """Decide in a turn, and record the outcome behind the leases that are due; a refusal is
        recorded, then raised. What is granted makes the mirror in `prepare` ready first.
        """

        def work(batch: Batch) -> Recorded | Refused | None:
            batch.lapse(self.actor)
            decision = decide(batch.state, self._allocator.with_groups(batch.state, self.actor))
            if isinstance(decision, Refusal):
                return batch.refuse(decision, self.actor)
            if prepare is not None:
                batch.prepare_mirror(prepare)
            return None if decision is None else batch.append(decision, self.actor.identity)

        outcome = self._allocator.batch(work)
        if isinstance(outcome, Refused):
            raise outcome
        return outcome


def standings(
    ledger: Reports, directories: tuple[str, ...], *, count: bool = False
) -> list[Mirrored]:
    """Where the mirrors in these directories stand, for a reader; sealed segments by `count`.

    The note of the last writer is what each must hold: it is written after the mirrors are. It
    is read first and the log last, so that none of the three can seem to lag behind.
    """
    from gpuledger.ledger.mirror import Mirror

    log = ledger.log
    noted = read_note(log.path + LOCK_SUFFIX)
    known = Head(noted.seq, noted.hash, 0) if isinstance(noted, Note) else START
    name = ledger.ledger_id()
    mirrors = [Mirror(one, name, log.path) for one in directories]
    return [one.look(log.read, known, count=count) for one in mirrors]


def _directory(told: str) -> str:
    """The absolute path that is recorded. Raises BadRequest for one that no event can hold."""
    path = os.path.abspath(told)
    if not told or not path.isprintable():
        raise BadRequest("DIR", told, "the path of a folder")
    return path
