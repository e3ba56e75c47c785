"""The pages of a database file and of its -wal, however damaged: their size, and what is where.

A row that does not fit its page goes on in a chain of overflow pages. Of a page the file has one
image and the -wal may have more, of other times or less damaged: all are offered.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

WAL_HEADER, FRAME_HEADER = 32, 24
SIZES = tuple(2**power for power in range(9, 17))
_MAGIC = (0x377F0682, 0x377F0683)
_KINDS = (2, 5, 10, 13)
"""What the first byte of a page of a table or an index is."""


class Paging(msgspec.Struct, frozen=True):
    """How long a page is, and how many bytes of it are used: a few at its end may be reserved."""

    size: int
    usable: int

    def local(self, length: int) -> int:
        """How many of a row's `length` bytes lie in its own page, the others in overflow pages."""
        if length <= self.usable - 35:
            return length
        least = (self.usable - 12) * 32 // 255 - 23
        local = least + (length - least) % (self.usable - 4)
        return local if local <= self.usable - 35 else least


def pagings(file: bytes, wal: bytes) -> list[Paging]:
    """How the pages may be laid out, the likeliest first: headers may be damaged as well."""
    told = [int.from_bytes(file[16:18], "big")]
    told = [2**16 if size == 1 else size for size in told]
    if int.from_bytes(wal[:4], "big") in _MAGIC:
        told.append(int.from_bytes(wal[8:12], "big"))
    told.append(_guessed(file))
    sizes = dict.fromkeys(size for size in told if size in SIZES)
    reserved = file[20] if len(file) > 20 and file[20] <= 32 else 0
    found = [Paging(size, size) for size in sizes]
    return found + [Paging(size, size - reserved) for size in sizes if reserved]


def unlikely(likely: list[Paging]) -> list[Paging]:
    """How the pages may be laid out besides, where nothing that could tell is right."""
    told = {paging.size for paging in likely}
    return [Paging(size, size) for size in SIZES if size not in told]


def _guessed(file: bytes) -> int:
    """The page size at whose steps the most pages begin as pages do; 4096 where that tells nothing.

    Every multiple of the true one does as well, so the smallest that is nearly the best counts.
    """
    shares = {size: _share(file, size) for size in SIZES}
    best = max(shares.values())
    return next(size for size in SIZES if shares[size] >= 0.7 * best) if best > 0.1 else 4096


def _share(file: bytes, size: int) -> float:
    starts = range(size, len(file), size)
    if not starts:
        return 0.0
    return sum(_begins(file, start, size) for start in starts) / len(starts)


def _begins(file: bytes, start: int, size: int) -> bool:
    """Whether a page of a table or an index may begin there, by its kind and its cell count."""
    if file[start] not in _KINDS:
        return False
    cells = int.from_bytes(file[start + 3 : start + 5], "big")
    content = int.from_bytes(file[start + 5 : start + 7], "big") or 2**16
    return 0 < cells <= size // 4 and 8 + 2 * cells <= content <= size


class Allowance:
    """How many bytes may still be looked at: a hostile file is not searched for ever."""

    def __init__(self, left: int) -> None:
        self.left = left

    def spend(self, count: int) -> bool:
        """Take so many; False where there are no longer as many."""
        self.left -= count
        return self.left >= 0


class Pages:
    """Every image of every page, by its number, in a file and its -wal of one layout."""

    def __init__(self, file: bytes, wal: bytes, paging: Paging) -> None:
        self.paging = paging
        self._file = file
        self._wal = wal
        self._frames: dict[int, list[int]] = {}
        step = FRAME_HEADER + paging.size
        for frame in range(WAL_HEADER, len(wal) - FRAME_HEADER, step):
            number = int.from_bytes(wal[frame : frame + 4], "big")
            self._frames.setdefault(number, []).append(frame + FRAME_HEADER)

    def images(self, number: int) -> list[bytes]:
        """What is known of a page, each once: as the file has it, then the -wal, the last first."""
        size = self.paging.size
        frames = reversed(self._frames.get(number, ()))
        found = [self._wal[start : start + size] for start in frames]
        if number > 0 and (number - 1) * size < len(self._file):
            found.insert(0, self._file[(number - 1) * size : number * size])
        return list(dict.fromkeys(found))

    def overflow(self, number: int, length: int, allowance: Allowance) -> Iterator[bytes]:
        """Every way to read `length` bytes from the chain that begins at page `number`.

        It ends with the allowance; a chain that bites its tail ends with `length`.
        """
        most = self.paging.usable - 4
        ways: list[tuple[_Link | None, int, int]] = [(None, number, length)]
        while ways:
            link, page, left = ways.pop()
            if left <= 0:
                yield _joined(link)
                continue
            for image in reversed(self.images(page)):
                if not allowance.spend(self.paging.size):
                    return
                part = image[4 : 4 + min(most, left)]
                ways.append(((part, link), int.from_bytes(image[:4], "big"), left - most))


_Link = tuple[bytes, "_Link | None"]


def _joined(link: _Link | None) -> bytes:
    """The parts of a chain, of which the last is at hand."""
    parts: list[bytes] = []
    while link is not None:
        parts.append(link[0])
        link = link[1]
    return b"".join(reversed(parts))
