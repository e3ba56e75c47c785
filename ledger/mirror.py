"""A mirror: a second copy of the log, as lines in files, that grows with it.

A folder called by the ledger's id has a segment for each block of seqs, only ever appended to, by
one writer under the ledger's lock: it may lie on a network filesystem. A line's bytes follow from
its event, so whoever finds a torn one writes the rest; where anything else stands, it has diverged.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterator
from itertools import groupby, islice

from .cloudevent import from_line, to_line
from .descriptors import give
from .errors import GpuledgerError, MirrorUnusable
from .event import START, Event, Head
from .failure import FAULTS
from .folder import sync
from .mirrored import Diverged, Mirrored, troubled
from .segment import BLOCK, End, Segment, first_of, open_name, read_end, sealed_name, segments
from .tail import STRANGE, Left, Tail

AT_ONCE = 20_000
"""So many events that a mirror lacked from before are written in one turn."""

Read = Callable[[int, int], Iterator[Event]]
"""The log: the events with a seq above the first number, up to the second."""

_FLAGS = sum(getattr(os, f"O_{name}", 0) for name in "CLOEXEC NOFOLLOW NONBLOCK BINARY".split())


class Mirror:
    """The mirror of the ledger with the id `ledger` (32 hex digits) in `directory`.

    `model` is the ledger's path, whose group and modes it takes over.
    """

    def __init__(self, directory: str, ledger: str, model: str) -> None:
        self.directory = directory
        self.folder = os.path.join(directory, ledger)
        self._ledger = ledger
        self._model = model
        self._seq = 0
        self._tail: Tail | None = None
        self._left: Left | None = None

    def prepare(self) -> None:
        """Make the folder where it is missing; only here, so that an empty mount point is never
        taken for the disk that belongs there. Raises OSError.
        """
        with contextlib.suppress(FileExistsError):
            os.mkdir(self.folder, 0o700)
        if not os.listdir(self.folder):  # and where a maker was killed half way
            self._share()
        sync(self.directory)

    def _share(self) -> None:
        """Let into the folder whom the ledger is shared with."""
        found = os.stat(self._model)
        mode = stat.S_IMODE(found.st_mode)
        mode |= (mode & 0o444) >> 2 | (stat.S_ISGID if mode & stat.S_IWGRP else 0)
        if os.name == "nt":
            return
        fd = os.open(self.folder, os.O_RDONLY | _FLAGS)
        try:
            with contextlib.suppress(PermissionError):  # a filesystem may know no modes
                give(fd, mode, found.st_gid, uid=found.st_uid)
        finally:
            os.close(fd)

    def look(self, read: Read, noted: Head, *, count: bool = False) -> Mirrored:
        """Where it stands beside a log whose last writer noted `noted`; nothing is written.

        Sealed segments are counted where `count` asks for it, which lists the folder.
        Not under the lock: `read` is asked after the mirror, so that the log cannot lag behind.
        """
        try:
            try:
                self._find(read, noted, os.O_RDONLY)
            except FileNotFoundError:  # sealed in between, or gone
                self._find(read, noted, os.O_RDONLY)
            self._check_torn(read)
            sealed = sum(one.sealed for one in segments(self.folder)) if count else 0
        except (OSError, Diverged, GpuledgerError, *FAULTS) as error:
            return self._troubled(error, noted)
        finally:
            self._close()
        lacks = max(noted.seq - self._seq, 0)
        trouble = "behind" if lacks else None
        return Mirrored(self.directory, self._seq, trouble, "", lacks, sealed)

    def write(self, read: Read, before: Head, head: Head) -> Mirrored:
        """Write what it lacks of the log up to `head`, under the ledger's lock, synced to disk.

        `before` is where the log ended when the turn began: what came in the turn is written
        whole, of what was lacking earlier `AT_ONCE` events. Never raises what a disk can do.
        """
        try:
            self._find(read, before, os.O_RDWR)
            most = None if self._seq >= before.seq else AT_ONCE
            self._left = None
            self._append(islice(read(self._seq, head.seq), most))
            self._seal_if_full()
            self._left = None if self._tail is None else self._tail.left()
        except (OSError, Diverged, GpuledgerError, *FAULTS) as error:
            return self._troubled(error, head)
        finally:
            self._close()
        lacks = max(head.seq - self._seq, 0)
        return Mirrored(self.directory, self._seq, "behind" if lacks else None, "", lacks)

    def _troubled(self, error: Exception, head: Head) -> Mirrored:
        return troubled(self.directory, error, self._seq, max(head.seq - self._seq, 0))

    def _find(self, read: Read, guess: Head, how: int) -> None:
        """Open the segment that is being written, which is the one of `guess` if it stands there,
        and know its last event. Raises Diverged.
        """
        self._seq = 0
        if "\0" in self.directory or not os.path.isabs(self.directory):  # Somebody else's words.
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        if guess.seq:
            name = open_name(guess.seq)
            with contextlib.suppress(FileNotFoundError):
                self._open(name, read, how, guess)
                return
            if os.path.exists(os.path.join(self.folder, sealed_name(guess.seq, guess.hash))):
                self._seq = guess.seq
                return
        found = segments(self.folder)
        if not found:
            return
        if found[-1].sealed:
            self._follow(found[-1], read)
        else:
            self._open(found[-1].name, read, how)

    def _follow(self, sealed: Segment, read: Read) -> None:
        """Stand behind a sealed segment. Raises Diverged where its name is not of the log."""
        self._seq = sealed.last
        known = next(read(sealed.last - 1, sealed.last), None)
        if known is None or known.hash != sealed.hash:
            raise Diverged(f"its segment {sealed.name} is not of this log")

    def _open(self, name: str, read: Read, how: int, guess: Head = START) -> None:
        """Open a segment, and check its last line against the log: unless it is as this process
        left it, at the event where the log ends, which is `guess`.
        """
        fd = os.open(os.path.join(self.folder, name), how | _FLAGS)
        tail = self._tail = Tail(fd, name, 0, b"", None)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise Diverged(f"its segment {name} is no plain file")
        if self._left is not None and tail.stands_as(self._left, guess):
            self._seq = guess.seq
            return
        end = read_end(fd)
        if end is None:
            raise Diverged(f"its segment {name} ends in a line that is no event")
        tail.at, tail.torn = end.whole + len(end.torn), end.torn
        if end.line:
            tail.last = self._last(end, read, name)
            self._seq = tail.last.seq
            return
        for before in [one for one in segments(self.folder) if one.sealed][-1:]:
            self._follow(before, read)
        self._seq = int(name.partition("-")[0]) - 1  # its first line is not whole yet

    def _last(self, end: End, read: Read, name: str) -> Event:
        """The event in the last whole line, which must be the very line of the log's."""
        try:
            seq = from_line(end.line).seq
        except (ValueError, RecursionError, OverflowError):
            raise Diverged(f"its segment {name} ends in a line that is no event") from None
        known = next(read(seq - 1, seq), None)
        if known is None:
            self._seq = seq
            raise Diverged(f"it holds event {seq}, which the log does not")
        if self._line(known) != end.line or name != open_name(seq):
            raise Diverged(f"its event {seq} is another than the log's")
        return known

    def _append(self, events: Iterator[Event]) -> None:
        """Append the lines of `events`, a block at a time, each synced; seal what is full."""
        for first, block in groupby(events, key=_first):
            if self._tail is not None and (last := self._tail.last) and _first(last) != first:
                self._seal()
            part = list(block)
            if self._tail is None:
                self._begin(open_name(first))
            assert self._tail is not None
            self._tail.put(b"".join(map(self._line, part)))
            self._tail.last = part[-1]
            self._seq = part[-1].seq
            self._seal_if_full()
        if self._tail is not None and self._tail.torn:
            raise Diverged(STRANGE)

    def _check_torn(self, read: Read) -> None:
        """Raise Diverged where half a line is no part of the next one."""
        tail = self._tail
        if tail is not None and tail.torn:
            following = next(read(self._seq, self._seq + 1), None)
            if following is None or not self._line(following).startswith(tail.torn):
                raise Diverged(STRANGE)

    def _begin(self, name: str) -> None:
        """Make an empty segment, as the ledger is shared, and only then give it its name."""
        path = os.path.join(self.folder, name)
        new = path + ".new"
        found = os.stat(self._model)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(new)
        fd = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL | _FLAGS, 0o600)
        try:
            with contextlib.suppress(PermissionError):  # a filesystem may know no modes
                give(fd, stat.S_IMODE(found.st_mode), found.st_gid, uid=found.st_uid)
        finally:
            os.close(fd)
        os.rename(new, path)
        self._tail = Tail(os.open(path, os.O_RDWR | _FLAGS), name, 0, b"", None)
        sync(self.folder)

    def _seal_if_full(self) -> None:
        tail = self._tail
        if tail is not None and tail.last is not None and not tail.last.seq % BLOCK:
            self._seal()

    def _seal(self) -> None:
        """Close the open segment and name it by its last event; its lines are synced already."""
        tail = self._tail
        assert tail is not None
        assert tail.last is not None
        if os.fstat(tail.fd).st_size > tail.at:
            os.ftruncate(tail.fd, tail.at)  # zero bytes that a power cut left
        os.fsync(tail.fd)
        self._close()
        sealed = sealed_name(tail.last.seq, tail.last.hash)
        os.rename(os.path.join(self.folder, tail.name), os.path.join(self.folder, sealed))
        sync(self.folder)

    def _close(self) -> None:
        tail, self._tail = self._tail, None
        if tail is not None:
            with contextlib.suppress(OSError):  # what counts is synced; a network may still fail
                os.close(tail.fd)

    def _line(self, event: Event) -> bytes:
        return to_line(event, self._ledger) + b"\n"


def _first(event: Event) -> int:
    return first_of(event.seq)


def prepare(mirror: Mirror, read: Read, head: Head) -> None:
    """Make the mirror's folder where its directory is there, and see that what lies in it is of
    the log that ends at `head`. Raises MirrorUnusable.
    """
    try:
        mirror.prepare()
    except OSError as error:
        told = troubled(mirror.directory, error, 0, 0)
    else:
        told = mirror.look(read, head)
    if told.trouble not in (None, "behind"):
        raise MirrorUnusable(mirror.directory, told.trouble or "", told.why)
