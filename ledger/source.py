"""Sources: where events can be had from when a ledger is made again from what there is.

A ledger or a backup of one, an export (`.jsonl`, plain or through gzip), or a mirror's folder.
Nothing is believed but an event's own hash: what does not fit is passed over and counted.
Nothing is written to a source, and nothing of it is run.
"""

from __future__ import annotations

import gzip
import heapq
import os
import re
import zlib
from collections.abc import Iterator
from itertools import groupby, pairwise
from typing import BinaryIO, Literal

from .chain import has_own_hash
from .cloudevent import from_line, source_of
from .errors import Damaged, LedgerMissing, NotALedger
from .event import Event
from .failure import from_system
from .foreign import ForeignReader
from .format import MAX_INTEGER
from .row import RUN, read_events
from .segment import LONGEST, is_plain, pass_over
from .witness import id_told

Kind = Literal["ledger", "export", "mirror"]
File = BinaryIO | gzip.GzipFile

_SEGMENT = re.compile(r"([0-9]{12,})-.+\.jsonl")
_FOLDER = re.compile(r"[0-9a-f]{32}")
_SQLITE, _GZIP = b"SQLite format 3\0", b"\x1f\x8b"


class Source:
    """One place to read events from. `kind` is `ledger`, `export` or `mirror`.

    While `events` runs, `skipped` counts the rows and lines that were no events or whose hash
    was not theirs, and `ledger` becomes the ledger's id (32 hex digits) once one told it. `cut`
    becomes the seq behind which a ledger's file cannot be read, where nobody knows how many
    events lay there.
    """

    def __init__(self, path: str, kind: Kind, folder: str = "") -> None:
        self.path = path
        self.kind: Kind = kind
        self.skipped = 0
        self.cut: int | None = None
        self.ledger: str | None = None
        self._unsure: list[int] = []
        self._folder = folder

    def events(self) -> Iterator[Event]:
        """Each event that proves itself, as it comes: by seq, but for a shuffled export.

        Counts anew each time. Raises NotPermitted, StorageFailed.
        """
        self.skipped, self.cut, self._unsure = 0, None, []
        if self.kind == "ledger":
            found = self._rows()
        elif self.kind == "export":
            found = self._lines(self.path)
        else:
            found = self._segments()
        for event in found:
            if not proves_itself(event):
                self.skipped += 1
                continue
            if event.seq == 1:
                self.ledger = id_told(event) or self.ledger
            yield event

    def _rows(self) -> Iterator[Event]:
        """The rows, in runs; a run that cannot be read whole is read row by row."""
        reader = ForeignReader(self.path)
        try:
            after = dark = 0
            last = _last(reader) if self._opens(reader) else 0
            while after < last and dark < _DARK:
                run, lost, upto = _next(reader, after, last)
                self._miss(run, lost)
                dark = dark + 1 if lost and not run else 0
                yield from run
                after = upto
            self._end(after, last)
        finally:
            reader.close()

    def _miss(self, run: list[Event], lost: list[int]) -> None:
        """Count rows that cannot be read where one behind them can: only then they are there."""
        self._unsure += lost
        if run:
            behind = [seq for seq in self._unsure if seq > run[-1].seq]
            self.skipped += len(self._unsure) - len(behind)
            self._unsure = behind

    def _end(self, after: int, last: int) -> None:
        """Of what nothing was read behind: as far as the last row, where that is known."""
        if self._unsure and last < MAX_INTEGER:
            self.skipped += len(self._unsure) + last - after
        elif self._unsure:
            self.cut = self._unsure[0] - 1

    def _opens(self, reader: ForeignReader) -> bool:
        """Whether SQLite can read so much as the schema."""
        try:
            reader.read(lambda _: None)
        except Damaged:
            self.cut = 0
            return False
        return True

    def _segments(self) -> Iterator[Event]:
        """The lines of the segments; two that begin alike, sealed and open, told as one."""
        path = self._folder
        try:
            names = sorted(filter(_SEGMENT.fullmatch, os.listdir(path)))
            plain = [name for name in names if is_plain(path := os.path.join(self._folder, name))]
        except OSError as error:
            raise from_system(error, path) from error
        self.skipped += len(names) - len(plain)
        for _, alike in groupby(plain, key=_first_seq):
            parts = [self._lines(os.path.join(self._folder, name)) for name in alike]
            yield from heapq.merge(*parts, key=_seq)

    def _lines(self, path: str) -> Iterator[Event]:
        try:
            with _opened(path) as file:
                for line in self._whole_lines(file):
                    try:
                        event = from_line(line)
                    except (ValueError, RecursionError, OverflowError):
                        self.skipped += 1
                        continue
                    if self.ledger is None:
                        self.ledger = source_of(line)
                    yield event
        except (EOFError, zlib.error, gzip.BadGzipFile):
            self.skipped += 1
        except OSError as error:
            raise from_system(error, path) from error

    def _whole_lines(self, file: File) -> Iterator[bytes]:
        while line := file.readline(LONGEST):
            if len(line) < LONGEST or line.endswith(b"\n"):
                if line.strip():
                    yield line
                continue
            self.skipped += 1
            pass_over(file)


_DARK = 16
"""After so many runs in a row without one readable row, the rest is taken for lost."""


def source_at(path: str) -> Source:
    """Return the source at `path`: a file, or a mirror's folder or the one above it.

    Not for a file that this process has open through SQLite: looking at its first bytes would
    drop SQLite's locks. Raises LedgerMissing, NotALedger where it is nothing of the kind,
    NotPermitted, StorageFailed.
    """
    if os.path.isdir(path):
        return Source(path, "mirror", _mirror(path))
    try:
        if not is_plain(path):
            raise NotALedger(path, "a pipe or a device, which cannot be read again and again")
        with open(path, "rb") as file:
            start = file.read(len(_SQLITE))
    except FileNotFoundError:
        raise LedgerMissing(path) from None
    except OSError as error:
        raise from_system(error, path) from error
    if start == _SQLITE:
        return Source(path, "ledger")
    if start.startswith(_GZIP) or start.lstrip().startswith(b"{"):
        return Source(path, "export")
    raise NotALedger(path, "neither a ledger nor an export" if start else "an empty file")


def proves_itself(event: Event) -> bool:
    """Say whether the event can be in a chain and has its own hash."""
    numbers = (event.seq, event.at, event.version)
    bounded = event.seq >= 1 and all(0 <= one <= MAX_INTEGER for one in numbers)
    return bounded and len(event.prev) == 32 and has_own_hash(event)


def _last(reader: ForeignReader) -> int:
    """The greatest seq; where the tree's right edge cannot be read, as far as there are numbers."""
    try:
        found = reader.read(lambda db: db.execute("SELECT max(seq) FROM events").fetchone()[0])
    except Damaged:
        return MAX_INTEGER
    return min(found or 0, MAX_INTEGER)


def _run(reader: ForeignReader, after: int, upto: int, limit: int) -> list[Event]:
    """The next rows; raises Damaged where they are not in order, which a torn page can bring."""
    run = reader.read(lambda db: read_events(db, after, upto, limit))
    seqs = [after, *map(_seq, run)]
    if any(later <= earlier for earlier, later in pairwise(seqs)):
        raise Damaged(reader.path, "the seqs do not rise")
    return run


def _next(reader: ForeignReader, after: int, last: int) -> tuple[list[Event], list[int], int]:
    """The next rows that can be read, the seqs that cannot, and how far that goes."""
    try:
        run = _run(reader, after, last, RUN)
    except Damaged:
        return _singly(reader, after, min(after + RUN, last))
    return run, [], run[-1].seq if len(run) == RUN else last


def _singly(reader: ForeignReader, after: int, upto: int) -> tuple[list[Event], list[int], int]:
    """The same of a damaged stretch, row by row."""
    found: list[Event] = []
    lost: list[int] = []
    for seq in range(after + 1, upto + 1):
        try:
            found += [event for event in _run(reader, seq - 1, seq, 1) if event.seq == seq]
        except Damaged:
            lost.append(seq)
    return found, lost, upto


def _mirror(path: str) -> str:
    """The folder with a mirror's segments: the one at `path`, or the only such one within."""
    try:
        names = os.listdir(path)
        if any(map(_SEGMENT.fullmatch, names)):
            return path
        within = [os.path.join(path, name) for name in names if _FOLDER.fullmatch(name)]
        within = [one for one in within if os.path.isdir(one)]
    except OSError as error:
        raise from_system(error, path) from error
    if len(within) > 1:
        raise NotALedger(path, "a folder with the mirrors of several ledgers")
    if not within:
        raise NotALedger(path, "a folder without a mirror")
    return within[0]


def _opened(path: str) -> File:
    """The file's lines, through gzip where it is such a file."""
    with open(path, "rb") as file:
        zipped = file.read(2) == _GZIP
    return gzip.GzipFile(path, "rb") if zipped else open(path, "rb")


def _seq(event: Event) -> int:
    return event.seq


def _first_seq(name: str) -> str:
    return name.split("-", 1)[0]
