"""Backup and restore: a verified copy of the log, and a ledger made again from copies.

A backup is made of events read in short runs, not of pages: so it neither holds up writers nor
begins again while they write, and every hash is checked on the way.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import msgspec

from gpuledger.handle import Ledger
from gpuledger.ledger.errors import NoHistory, OtherLedger
from gpuledger.ledger.event import Event, Head
from gpuledger.ledger.failure import making
from gpuledger.ledger.foreign import ForeignReader
from gpuledger.ledger.format import LOCK_SUFFIX
from gpuledger.ledger.joining import Fork, Joining
from gpuledger.ledger.log import Turn
from gpuledger.ledger.note import Note, Unreadable, read_note
from gpuledger.ledger.partfile import part_of
from gpuledger.ledger.replacing import Site, replacing
from gpuledger.ledger.source import Kind, Source, source_at
from gpuledger.ledger.sqlite_log import SqliteLog
from gpuledger.ledger.staging import ownership_of, staged
from gpuledger.ledger.witness import id_told
from gpuledger.replay import request as requests
from gpuledger.replay.actor import Actor
from gpuledger.replay.batch import Recorded
from gpuledger.replay.catalogue import GapRecorded
from gpuledger.replay.checked_tree import REWRITTEN, Anchor
from gpuledger.replay.errors import DoesNotExtend, ReasonNeeded
from gpuledger.replay.gap import Hole
from gpuledger.replay.hole import holes_in
from gpuledger.replay.problem import Problem
from gpuledger.replay.restoring import hold_back, keep
from gpuledger.replay.store_schema import STORES
from gpuledger.replay.verification import Verified, verify

Found = TypeVar("Found")


BEHIND = frozenset({"truncated", "rewritten", "unprovable", "other_ledger", "fork"})
"""What a verification finds where a log does not extend a checkpoint."""


class BackedUp(msgspec.Struct, frozen=True):
    """A backup: where it lies, how many events it holds, where it ends, and what is wrong in it."""

    path: str
    events: int
    head: Head
    problems: tuple[Problem, ...]


class Told(msgspec.Struct, frozen=True):
    """What a source told: how many events, and how many lines or rows that were none.

    `cut` is the seq behind which it could not be read, None where its end was reached.
    """

    path: str
    kind: Kind
    events: int
    skipped: int
    cut: int | None


class Restored(msgspec.Struct, frozen=True):
    """A ledger made again: `restored` is where the history ends, `drained` the event behind it.

    `aside` is the folder in which the old one lies now. `lost` are the first and last seq that
    were noted or there before and are not in it; `differs` a seq at which another event was.
    `unlinked` counts events of the sources that nothing in the history leads to, up to `beyond`.
    `behind` is how it fails to extend a checkpoint, where that was forced.
    """

    path: str
    ledger: str
    restored: Head
    head: Head
    drained: Recorded
    sources: tuple[Told, ...]
    aside: str | None
    lost: tuple[int, int] | None
    differs: int | None
    forks: tuple[Fork, ...]
    unlinked: int
    beyond: int
    behind: tuple[Problem, ...]
    problems: tuple[Problem, ...]


class _Still:
    """A file that nobody writes, for the verifier."""

    def __init__(self, path: str) -> None:
        self._reader = ForeignReader(path)

    def reading(self, ask: Callable[[sqlite3.Connection], Found], /) -> Found:
        """Run `ask` in one read transaction."""
        return self._reader.read(ask)

    def close(self) -> None:
        """Close it."""
        self._reader.close()


def backup(log: SqliteLog, file: str, *, over: bool = False) -> BackedUp:
    """Write all events of `log` into `file`, a ledger of its own, and verify that.

    `over` replaces a backup that lies there. Raises LedgerExists, BrokenChain, UnknownEvent,
    NotPermitted, StorageFailed.
    """
    file = os.path.realpath(file)
    noted = read_note(log.path + LOCK_SUFFIX)
    like = ownership_of(log.path)
    head = log.head()
    with making(file), part_of(file, log.path, over=over) as part:
        with staged(part.path, log.read(0, head.seq), STORES, like, wal=False) as turn:
            keep(turn)
        verified = verified_file(part.path, noted)
        part.put()
    return BackedUp(file, verified.events, Head(verified.seq, verified.hash, head.at),
                    verified.problems)  # fmt: skip


def restore(
    path: str | os.PathLike[str],
    sources: Sequence[str | os.PathLike[str]],
    *,
    replace: bool = False,
    actor: Actor | None = None,
    reason: str | None = None,
    force: bool = False,
    against: Sequence[Anchor] = (),
    lock_timeout_s: float = 60.0,
) -> Restored:
    """Make the ledger at `path` again of the longest history that `sources` hold together.

    All its servers come back drained, by `actor`, by default who runs this process. `replace`
    lets it take the place of the one that is there, `force` (with a `reason`) also of another
    ledger, and although it does not extend the checkpoints `against`. Raises NoHistory,
    OtherLedger, DoesNotExtend, LedgerExists, NotALedger, ReasonNeeded, UnknownEvent, LockTimeout,
    NotPermitted, StorageFailed.
    """
    reason = requests.reason(reason)
    if force and reason is None:
        raise ReasonNeeded("restore", ())
    with Ledger(os.fspath(path), actor=actor) as ledger:
        path, actor = ledger.path, ledger.actor
    found = [_Counted(source_at(os.fspath(one))) for one in sources]
    holes = [hole for one in found for hole in one.survey()]
    with replacing(path, lock_timeout_s, over=replace) as site:
        joining = Joining(
            [one.events() for one in found],
            [(hole.first, hole.last, hole.before, hole.after) for hole in holes],
        )
        with staged(site.new, joining.events(), STORES, site.like, wal=True) as turn:
            name = _ledger_of(turn, found, holes)
            _refuse_other(site, name, force=force)
            restored = turn.head
            lost, differs = _missing(site, turn, name)
            drained = hold_back(turn, actor, reason, apart=not (replace or _remembered(site, name)))
            head = turn.head
        verified = verified_file(site.new, None, against)
        behind = _behind(verified.problems, restored.seq)
        if behind and not force:
            first = behind[0]
            raise DoesNotExtend(site.path, first.what, first.seq, first.detail)
        site.put(Note(bytes.fromhex(name), head.seq, head.hash))
    told = tuple(one.told() for one in found)
    return Restored(
        site.path, name, restored, head, drained, told, site.aside, lost, differs,
        tuple(joining.forks), joining.unlinked, joining.beyond, tuple(behind),
        tuple(one for one in verified.problems if one.what not in BEHIND),
    )  # fmt: skip


class _Counted:
    """A source, and what it told when it was read last."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._told = Told(source.path, source.kind, 0, 0, None)
        self._ordered = True

    def survey(self) -> Iterator[Hole]:
        """Read all of it once: the holes that it names, and whether it is in order."""
        before = count = 0
        for event in self.source.events():
            self._ordered = self._ordered and event.seq >= before
            before = event.seq
            count += 1
            if event.kind == GapRecorded.KIND:
                yield from holes_in([event])
        source = self.source
        self._told = Told(source.path, source.kind, count, source.skipped, source.cut)

    def events(self) -> Iterator[Event]:
        """The events in order of seq; held in memory where the source has another order."""
        told = self.source.events()
        return told if self._ordered else iter(sorted(told, key=lambda event: event.seq))

    def told(self) -> Told:
        """What it told."""
        return self._told


def _ledger_of(turn: Turn, found: Sequence[_Counted], holes: Sequence[Hole]) -> str:
    """The id of the ledger whose history is staged, 32 hex digits; that of every source, too."""
    first = next(turn.read(0, turn.head.seq), None)
    if first is None:
        raise NoHistory(tuple(one.source.path for one in found))
    if first.seq == 1 and (told := id_told(first)) is not None:
        return _same(told, found)
    named = next((hole.ledger for hole in holes if hole.first == 1 and hole.ledger), None)
    if named is None:
        raise NoHistory(tuple(one.source.path for one in found))
    return _same(named, found)


def _same(name: str, found: Sequence[_Counted]) -> str:
    for one in found:
        if one.source.ledger not in (None, name):
            raise OtherLedger(one.source.path, str(one.source.ledger), name)
    return name


def _remembered(site: Site, name: str) -> bool:
    """Whether the lock file remembers this ledger, so that it comes back to its own place."""
    return isinstance(site.noted, Note) and site.noted.ledger.hex() == name


def _refuse_other(site: Site, name: str, *, force: bool) -> None:
    """Raise where another ledger lies in the place, or its lock file remembers one."""
    there = site.ledger or (site.noted.ledger if isinstance(site.noted, Note) else None)
    if there is not None and there.hex() != name and not force:
        raise OtherLedger(site.path, there.hex(), name, place=True)


def _missing(site: Site, turn: Turn, name: str) -> tuple[tuple[int, int] | None, int | None]:
    """The seqs that were there or noted and are not now, and one at which another event was."""
    heads: list[tuple[int, bytes]] = []
    if isinstance(site.noted, Note) and site.noted.ledger.hex() == name:
        heads.append((site.noted.seq, site.noted.hash))
    if site.head is not None and site.ledger is not None and site.ledger.hex() == name:
        heads.append((site.head.seq, site.head.hash))
    last = max((seq for seq, _ in heads), default=0)
    lost = (turn.head.seq + 1, last) if last > turn.head.seq else None
    for seq, digest in heads:
        there = next(turn.read(seq - 1, seq), None)
        if there is not None and there.hash != digest:
            return lost, seq
    return lost, None


def _behind(problems: Sequence[Problem], restored: int) -> list[Problem]:
    """How checkpoints are not extended; behind what was restored stand events of the restore's own,
    so that one of the old ledger's further events looks as if these had been rewritten.
    """
    found = [one for one in problems if one.what in BEHIND]
    short = [one for one in found if one.what == REWRITTEN and (one.seq or 0) > restored]
    if not short:
        return found
    left = [one for one in found if one not in short and one.what != "fork"]
    return [*left, *(Problem(restored + 1, "truncated", str(one.seq)) for one in short)]


def verified_file(
    path: str, noted: Note | Unreadable | None = None, against: Sequence[Anchor] = ()
) -> Verified:
    """Verify the file at `path`, which nobody writes, against what was `noted` and signed."""
    still = _Still(path)
    try:
        return verify(still, noted, None, against)
    finally:
        still.close()
