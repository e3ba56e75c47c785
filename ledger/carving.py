"""Carving: every event whose bytes are still somewhere in a ledger's file or its -wal.

No table, page header or checksum is believed, since each may be what is damaged. Rows are looked
for by their shape, wherever they lie: in pages in use, free or overwritten in part, in frames of
the -wal before and behind the last commit. Each proves itself by its hash.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b

import msgspec

from .event import Event
from .page import FRAME_HEADER, WAL_HEADER, Allowance, Pages, Paging, pagings, unlikely
from .record import LOOKS_LIKE, Layout, event_in, layout_at
from .varint import varint_before

_TIMES = 16
"""How often all bytes may be looked at as parts of rows, before carving gives up."""

_ROOM = 2**24
_WAYS = 64
"""How many ways to complete one row are tried."""


class Carved(msgspec.Struct, frozen=True):
    """Events by their hash: `settled` ones, and those that only stand in frames of the -wal behind
    the last commit, where a turn may have been undone. `given_up` where the bytes hold so much that
    only looks like rows that not all of it could be looked at.
    """

    settled: dict[bytes, Event]
    unfinished: dict[bytes, Event]
    given_up: bool = False


def carve(file: bytes, wal: bytes) -> Carved:
    """Return every event in the bytes of a ledger and of its -wal, either of which may be empty."""
    layouts = pagings(file, wal)
    settled: dict[bytes, Event] = {}
    search = _Search(file, wal, [*layouts, *unlikely(layouts)])
    for event, _ in search.events(file):
        settled[event.hash] = event
    ends = [_last_commits(wal, paging) for paging in layouts]
    unfinished: dict[bytes, Event] = {}
    for event, at in search.events(wal):
        done = any(end.covers(at) for end in ends)
        (settled if done else unfinished)[event.hash] = event
    unfinished = {key: one for key, one in unfinished.items() if key not in settled}
    return Carved(settled, unfinished, search.given_up)


class _Search:
    """Looks for rows in bytes; overflow pages come from the file and the -wal together."""

    def __init__(self, file: bytes, wal: bytes, layouts: list[Paging]) -> None:
        self._file = file
        self._wal = wal
        self._layouts = layouts
        self._pages: dict[Paging, Pages] = {}
        self._total = len(file) + len(wal)
        self._allowance = Allowance(_TIMES * self._total + _ROOM)
        self._known: dict[tuple[int, bytes, Paging | None], Event | None] = {}

    @property
    def given_up(self) -> bool:
        """Whether there was more that looks like rows than may be looked at."""
        return self._allowance.left < 0

    def events(self, raw: bytes) -> Iterator[tuple[Event, int]]:
        """Every event that begins in `raw`, each time it does, with where."""
        for found in LOOKS_LIKE.finditer(raw):
            at = found.start()
            layout = layout_at(raw, at)
            seq = None if layout is None else varint_before(raw, at)
            if self.given_up:
                return
            if layout is None or not seq or layout.length > self._total:
                continue
            event = self._event(raw, at, layout, seq)
            if event is not None:
                yield event, at

    def _event(self, raw: bytes, at: int, layout: Layout, seq: int) -> Event | None:
        """The event whose row begins there: whole where it lies, or with overflow pages."""
        sizes = [one.local(layout.length) for one in self._layouts]
        if layout.length in sizes:
            found = self._once(seq, raw[at : at + layout.length], layout, None)
            if found is not None:
                return found
        for paging, local in zip(self._layouts, sizes, strict=True):
            if local < layout.length:
                found = self._once(seq, raw[at : at + local + 4], layout, paging)
                if found is not None:
                    return found
        return None

    def _once(self, seq: int, cell: bytes, layout: Layout, paging: Paging | None) -> Event | None:
        """The event of a cell, tried once however many images of its page there are."""
        if not self._allowance.spend(len(cell)):
            return None
        key = seq, blake2b(cell, digest_size=16).digest(), paging
        if key not in self._known:
            self._known[key] = (
                event_in(cell, layout, seq)
                if paging is None
                else self._overflown(paging, cell, layout, seq)
            )
        return self._known[key]

    def _overflown(self, paging: Paging, cell: bytes, layout: Layout, seq: int) -> Event | None:
        """The event of a cell that ends with the number of its first overflow page."""
        if paging not in self._pages:
            self._pages[paging] = Pages(self._file, self._wal, paging)
        pages = self._pages[paging]
        local, first = cell[:-4], int.from_bytes(cell[-4:], "big")
        rest = layout.length - len(local)
        for tried, part in enumerate(pages.overflow(first, rest, self._allowance)):
            if tried == _WAYS or not self._allowance.spend(layout.length):
                return None
            found = event_in(local + part, layout, seq)
            if found is not None:
                return found
        return None


class _Commits(msgspec.Struct, frozen=True):
    """Up to where the frames of each generation of the -wal are committed, by its salt."""

    step: int
    salts: tuple[bytes, ...]
    ends: dict[bytes, int]

    def covers(self, at: int) -> bool:
        """Whether what lies at `at` in the -wal was committed."""
        frame = (at - WAL_HEADER) // self.step
        return 0 <= frame < len(self.salts) and at < self.ends.get(self.salts[frame], 0)


def _last_commits(wal: bytes, paging: Paging) -> _Commits:
    step = FRAME_HEADER + paging.size
    salts: list[bytes] = []
    ends: dict[bytes, int] = {}
    for frame in range(WAL_HEADER, len(wal) - FRAME_HEADER, step):
        salt = wal[frame + 8 : frame + 16]
        salts.append(salt)
        if any(wal[frame + 4 : frame + 8]):
            ends[salt] = frame + step
    return _Commits(step, tuple(salts), ends)
