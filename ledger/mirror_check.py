"""Checking a mirror, or one sealed segment of it, with nothing but the files themselves.

Each line must be an event whose hash is its own and that links to the one before; each sealed
segment must end in the event that its name tells; nothing may be missing in between but what a
`gap.recorded` event in the mirror names.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import msgspec

from .cloudevent import from_line, source_of
from .errors import GpuledgerError, MirrorUnusable, NotALedger
from .event import Event, Head
from .failure import from_system
from .segment import LONGEST, Segment, first_of, is_plain, pass_over, segment, segments
from .source import proves_itself

GAP = "gap.recorded"


class Fault(msgspec.Struct, frozen=True):
    """What is wrong in the segment `name`, at or behind `seq`: `why` is `line` (no event, or not
    with its own hash), `link`, `missing` (the seqs before this one), `block` (of another
    segment), `seal` (another end than the name tells), `torn` (an end in a sealed one), `ledger`,
    `file` (no plain file), `empty` (no event in any segment; both `name` and `seq` say nothing).
    """

    name: str
    seq: int
    why: str


class Checked(msgspec.Struct, frozen=True):
    """What a check found: `head` is the last event's, `ledger` its ledger's id where told.

    `first` is the seq of the first event, 0 where there is none; `torn` the bytes of a line at
    the end that a writer has not finished.
    """

    ledger: str | None
    segments: int
    sealed: int
    events: int
    first: int
    head: Head
    torn: int
    faults: tuple[Fault, ...]


def check(path: str) -> Checked:
    """Check the mirror at `path`, the folder `<ledger id>` in it, or a segment's file.

    A mirror may begin anywhere: older segments may have been put elsewhere. Raises
    MirrorUnusable, NotALedger, NotPermitted, StorageFailed.
    """
    folder, found, ledger = _found(path)
    checking = _Checking(ledger)
    try:
        for one in found:
            checking.segment(os.path.join(folder, one.name), one)
    except OSError as error:
        raise _unreadable(path, error) from error
    return checking.checked(found)


class _Checking:
    """One check, as it goes along."""

    def __init__(self, ledger: str | None) -> None:
        self._ledger = ledger
        self._last: Event | None = None
        self._first = self._events = self._torn = self._bad = 0
        self._faults: list[Fault] = []
        self._holes: list[tuple[Fault, int, int, str, str]] = []
        self._named: set[tuple[int, int, str, str]] = set()

    def segment(self, path: str, told: Segment) -> None:
        """Read a segment from its first line to its end."""
        self._torn, last = 0, 0
        if not is_plain(path):
            self._fault(told, told.first, "file")
            return
        with open(path, "rb") as file:
            for line in iter(lambda: file.readline(LONGEST), b""):
                if len(line) == LONGEST and not line.endswith(b"\n"):
                    pass_over(file)
                elif not line.endswith(b"\n"):
                    self._end(line, told)
                    break
                event = self._event(line, told)
                if event is not None:
                    last = event.seq
                    self._follow(event, told)
        sealed_by = self._last
        if told.sealed and (sealed_by is None or (last, sealed_by.hash) != (told.last, told.hash)):
            self._fault(told, told.last, "seal")

    def _end(self, line: bytes, told: Segment) -> None:
        """A line without its end: one that is being written, or will be finished."""
        rest = line.rstrip(b"\0")
        if told.sealed:
            self._fault(told, told.last, "torn")
        self._torn = len(rest)

    def _event(self, line: bytes, told: Segment) -> Event | None:
        try:
            event = from_line(line)
        except (ValueError, RecursionError, OverflowError):
            event = None
        if event is None or not proves_itself(event):
            self._bad += 1
            before = told.first - 1 if self._last is None else self._last.seq
            self._fault(told, before + self._bad, "line")
            return None
        named = source_of(line)
        self._ledger = self._ledger or named
        if named != self._ledger:
            self._fault(told, event.seq, "ledger")
        if first_of(event.seq) != told.first:
            self._fault(told, event.seq, "block")
        return event

    def _follow(self, event: Event, told: Segment) -> None:
        before, self._last = self._last, event
        bad, self._bad = self._bad, 0
        self._events += 1
        self._first = self._first or event.seq
        if event.kind == GAP:
            self._named |= set(_gaps_of(event))
        if before is None:
            return
        if bad and event.seq == before.seq + 1 + bad:
            return  # told already, line by line
        if event.seq > before.seq + 1:
            fault = Fault(told.name, event.seq, "missing")
            hole = before.seq + 1, event.seq - 1, before.hash.hex(), event.prev.hex()
            self._holes.append((fault, *hole))
        elif (event.seq, event.prev) != (before.seq + 1, before.hash) or event.at < before.at:
            self._fault(told, event.seq, "link")

    def _fault(self, told: Segment, seq: int, why: str) -> None:
        self._faults.append(Fault(told.name, seq, why))

    def checked(self, found: list[Segment]) -> Checked:
        """All that was found; a hole is a fault unless the log names it."""
        faults = self._faults + [one[0] for one in self._holes if one[1:] not in self._named]
        faults.sort(key=lambda one: one.seq)
        last = self._last
        if last is None and not faults and not self._torn:
            faults.append(Fault("", 1, "empty"))
        head = Head(0, bytes(32), 0) if last is None else Head(last.seq, last.hash, last.at)
        return Checked(
            self._ledger, len(found), sum(one.sealed for one in found), self._events,
            self._first, head, self._torn, tuple(faults),
        )  # fmt: skip


class _Gap(msgspec.Struct, frozen=True):
    first: int
    last: int
    before: str
    after: str


class _Gaps(msgspec.Struct, frozen=True):
    """All that this floor reads of an event that names gaps."""

    gaps: tuple[_Gap, ...]


_decode = msgspec.json.Decoder(_Gaps).decode


def _gaps_of(event: Event) -> Iterator[tuple[int, int, str, str]]:
    try:
        gaps = _decode(event.data).gaps
    except (msgspec.MsgspecError, RecursionError):
        return
    for gap in gaps:
        yield gap.first, gap.last, gap.before, gap.after


def _found(path: str) -> tuple[str, list[Segment], str | None]:
    """The folder, its segments, and the ledger's id where a folder's name tells it."""
    try:
        if not os.path.isdir(path):
            os.stat(path)
            one = segment(os.path.basename(path))
            if one is None:
                raise NotALedger(path, "a file that is no mirror's segment")
            return os.path.dirname(path), [one], None
        folder = path
        found = segments(folder)
        within = [name for name in os.listdir(path) if _is_id(name)]
        if not found and len(within) == 1:
            folder = os.path.join(path, within[0])
            found = segments(folder)
    except OSError as error:
        raise _unreadable(path, error) from error
    name = os.path.basename(os.path.abspath(folder))
    if not found and not _is_id(name):
        several = "a folder with the mirrors of several ledgers"
        raise NotALedger(path, several if len(within) > 1 else "a folder without a mirror")
    return folder, found, name if _is_id(name) else None


def _is_id(name: str) -> bool:
    return len(name) == 32 and not set(name) - set("0123456789abcdef")


def _unreadable(path: str, error: OSError) -> GpuledgerError:
    if isinstance(error, FileNotFoundError):
        return MirrorUnusable(path, "gone", error.strerror or "")
    return from_system(error, path)
