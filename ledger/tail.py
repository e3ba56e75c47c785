"""The open segment of a mirror: where its next line goes, and whether it is as it was left."""

from __future__ import annotations

import contextlib
import os

import msgspec

from .event import Event, Head
from .mirrored import Diverged
from .note import write_at

STRANGE = "it ends in what the log does not hold"

Stamp = tuple[int, int, int, int, int]


class Left(msgspec.Struct, frozen=True):
    """How a writer left a segment: its last event, which byte its line ends before, and the
    file's stamp.
    """

    last: Event
    at: int
    stamp: Stamp


class Tail(msgspec.Struct):
    """A segment that is open for writing: after `last` its line goes to byte `at`, where `torn`
    stands already.
    """

    fd: int
    name: str
    at: int
    torn: bytes
    last: Event | None

    def put(self, lines: bytes) -> None:
        """Write what is not there yet of `lines`, and sync it. Raises Diverged, OSError.

        What cannot be synced is taken back, so that the next writer writes it again: the system
        may tell of that only once.
        """
        if not lines.startswith(self.torn):
            raise Diverged(STRANGE)
        began, rest = self.at, memoryview(lines)[len(self.torn) :]
        try:
            while rest:
                done = write_at(self.fd, rest, self.at)
                self.at += done
                rest = rest[done:]
            getattr(os, "fdatasync", os.fsync)(self.fd)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self.fd, began)
            raise
        self.torn = b""

    def left(self) -> Left | None:
        """What is to be remembered of it; None where nothing is in it yet."""
        return None if self.last is None else Left(self.last, self.at, self._stamp())

    def stands_as(self, left: Left, head: Head) -> bool:
        """Whether nobody wrote into it since it was left, and the log ended there as well.

        It is then ready for the next line. What keeps it honest: the kernel stamps every change,
        the hash is that of the log's last event, and who edits a file and its stamps is found by
        `mirror check`, as is an edit of any earlier line.
        """
        if left.last.hash != head.hash or left.last.seq != head.seq or left.stamp != self._stamp():
            return False
        self.at, self.last = left.at, left.last
        return True

    def _stamp(self) -> Stamp:
        found = os.fstat(self.fd)
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
