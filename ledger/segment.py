"""Segments: the files of a mirror, by their names, and how one ends.

Each holds the events of one block of seqs, one CloudEvents line each. Where a segment begins is
told by its block alone, so that the one that is open can be named without looking for it.
"""

from __future__ import annotations

import os
import re
import stat
from typing import Protocol

import msgspec

from .format import MAX_INTEGER
from .note import read_at

BLOCK = 4096
"""So many seqs a segment is for: the first begins at 1, the next at 4097."""

LONGEST = 64 * 2**20
"""Bytes of one line; what is longer is no event of ours."""


class Lines(Protocol):
    """A file that is read line by line."""

    def readline(self, size: int, /) -> bytes:
        """Read a line, of so many bytes at most."""
        ...


_NAME = re.compile(r"([0-9]{12,19})-(?:open|([0-9]{12,19})-([0-9a-f]{64}))\.jsonl")
_CHUNK = 8192


class Segment(msgspec.Struct, frozen=True, order=True):
    """A segment's name, taken apart. A sealed one tells its last event's seq and hash (32 bytes);
    an open one has 0 and nothing there.
    """

    first: int
    last: int
    hash: bytes
    name: str

    @property
    def sealed(self) -> bool:
        """Whether it is whole and will not change any more."""
        return self.last > 0

    @property
    def of_one_block(self) -> bool:
        """Whether the name is one that a writer gives: both seqs of one block, and possible."""
        return first_of(self.last) == self.first and self.last < MAX_INTEGER


class End(msgspec.Struct, frozen=True):
    """How a segment ends: `whole` bytes up to its last line's end, that `line`, what is `torn`.

    `size` is the file's; zero bytes at its end, which a power cut can leave, are not written yet.
    """

    whole: int
    line: bytes
    torn: bytes
    size: int


def first_of(seq: int) -> int:
    """The first seq of the block that `seq` lies in."""
    return (seq - 1) // BLOCK * BLOCK + 1


def open_name(seq: int) -> str:
    """The name of the open segment that `seq` goes into."""
    return f"{first_of(seq):012d}-open.jsonl"


def sealed_name(seq: int, digest: bytes) -> str:
    """The name of the sealed segment whose last event has that seq and hash."""
    return f"{first_of(seq):012d}-{seq:012d}-{digest.hex()}.jsonl"


def segment(name: str) -> Segment | None:
    """The segment of that name, or None where it is no segment's."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    first, last, digest = found.groups()
    return Segment(int(first), int(last or 0), bytes.fromhex(digest or ""), name)


def segments(folder: str) -> list[Segment]:
    """The segments in `folder` by their first seqs, one that is open before one that is sealed."""
    return sorted(one for name in os.listdir(folder) if (one := segment(name)) is not None)


def is_plain(path: str) -> bool:
    """Whether a plain file lies at `path`, also behind a link: a pipe or a device that is called
    like a segment may never end. Raises OSError.
    """
    return stat.S_ISREG(os.stat(path).st_mode)


def pass_over(file: Lines) -> None:
    """Read on to the end of a line that is longer than any of ours."""
    while (rest := file.readline(LONGEST)) and not rest.endswith(b"\n"):
        pass


def read_end(fd: int) -> End | None:
    """How the open file `fd` ends; None where its last line is longer than any of ours."""
    size = os.fstat(fd).st_size
    chunk = _CHUNK
    while chunk <= LONGEST:
        start = max(0, size - chunk)
        text = read_at(fd, size - start, start).rstrip(b"\0")
        cut = text.rfind(b"\n") + 1
        before = text.rfind(b"\n", 0, max(cut - 1, 0)) + 1
        if start == 0 or before:
            return End(start + cut, text[before:cut], text[cut:], size)
        chunk *= 8
    return None
