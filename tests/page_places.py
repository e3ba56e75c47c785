"""Where each event lies in a ledger's files, told by walking its tree of pages, and nothing else.

Of what is read here nothing is damaged, so that a plain walk does: it shares no code with what
carves, and knows pages by their numbers where that searches for bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

PAGE = 4096
FRAME = 24 + PAGE
WAL_HEADER = 32


class Place(NamedTuple):
    """A stretch of one of the files: `name` is `main` or `wal`."""

    name: str
    start: int
    end: int


class Tree:
    """The table `events` as its last commit left it, in a file and its -wal."""

    def __init__(self, main: bytes, wal: bytes, root: int) -> None:
        self._files = {"main": main, "wal": wal}
        self._where: dict[int, Place] = {}
        for number in range(len(main) // PAGE):
            self._where[number + 1] = Place("main", number * PAGE, (number + 1) * PAGE)
        salt = wal[16:24]
        pending: dict[int, Place] = {}
        for start in range(WAL_HEADER, len(wal) - FRAME + 1, FRAME):
            if wal[start + 8 : start + 16] != salt:
                break
            number, commit = (
                int.from_bytes(wal[start + at : start + at + 4], "big") for at in (0, 4)
            )
            pending[number] = Place("wal", start, start + FRAME)
            if commit:
                self._where.update(pending)
                pending = {}
        self.places: dict[int, set[Place]] = dict(self._events(root))

    def _page(self, number: int) -> bytes:
        place = self._where[number]
        return self._files[place.name][place.end - PAGE : place.end]

    def _events(self, number: int) -> Iterator[tuple[int, set[Place]]]:
        """Each event below a page, with all places that have a part of it."""
        page = self._page(number)
        at = 100 if number == 1 else 0
        cells = int.from_bytes(page[at + 3 : at + 5], "big")
        inner = page[at] == 5
        start = at + (12 if inner else 8)
        for cell in range(start, start + 2 * cells, 2):
            pointer = int.from_bytes(page[cell : cell + 2], "big")
            if inner:
                yield from self._events(int.from_bytes(page[pointer : pointer + 4], "big"))
            else:
                length, pointer = varint(page, pointer)
                seq, pointer = varint(page, pointer)
                yield seq, {self._where[number], *self._chain(page, pointer, length)}
        if inner:
            yield from self._events(int.from_bytes(page[at + 8 : at + 12], "big"))

    def _chain(self, page: bytes, pointer: int, length: int) -> Iterator[Place]:
        """The overflow pages of a row of `length` bytes that begins at `pointer`."""
        if length <= PAGE - 35:
            return
        least = (PAGE - 12) * 32 // 255 - 23
        local = least + (length - least) % (PAGE - 4)
        local = least if local > PAGE - 35 else local
        number = int.from_bytes(page[pointer + local : pointer + local + 4], "big")
        while number:
            yield self._where[number]
            number = int.from_bytes(self._page(number)[:4], "big")


def varint(raw: bytes, at: int) -> tuple[int, int]:
    """SQLite's integer of variable length (up to 8 bytes) at `at`, and where it ends."""
    value = 0
    while raw[at] >= 0x80:
        value, at = value << 7 | raw[at] & 0x7F, at + 1
    return value << 7 | raw[at], at + 1
