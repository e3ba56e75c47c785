"""The Merkle tree of RFC 6962 over the log: its roots, and what proves a part of it.

A leaf is an event's own hash, SHA-256(0x00 ‖ E), which the chain has made already; a node is
SHA-256(0x01 ‖ left ‖ right). Sizes count leaves, indices begin at 0. Nothing here reads a
file: a `Fetch` hands over the roots of complete subtrees of 256**level leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256

HEIGHT = 8
"""Levels of the tree in one tile, as in the tiled logs of C2SP: 256 hashes."""

WIDTH = 1 << HEIGHT

RUN = 16 * WIDTH
"""Leaves that are read at once: a read transaction of a few milliseconds."""

EMPTY = sha256(b"").digest()
"""The root of a tree without leaves."""

Fetch = Callable[[int, int, int], Sequence[bytes]]
"""`fetch(level, first, count)`: the roots of `count` subtrees of 256**level leaves each."""


def node(left: bytes, right: bytes) -> bytes:
    """Return the hash, 32 bytes, of the node above two."""
    return sha256(b"\1" + left + right).digest()


def complete(hashes: Sequence[bytes]) -> bytes:
    """Return the root above 1, 2, 4 … hashes of equal subtrees."""
    while len(hashes) > 1:
        pairs = zip(hashes[::2], hashes[1::2], strict=True)
        hashes = [sha256(b"\1" + left + right).digest() for left, right in pairs]
    return hashes[0]


def over(read: Callable[[int, int], list[bytes]], size: int) -> Fetch:
    """Return what hands over subtrees of the tree over `size` leaves, of which `read(first, count)`
    returns a run. All are read in order, and the roots of whole tiles kept in memory.
    """
    tiles: list[bytes] = []
    tail: list[bytes] = []
    for start in range(0, size, RUN):
        leaves = read(start, min(RUN, size - start))
        whole = len(leaves) >> HEIGHT << HEIGHT
        tiles += [complete(leaves[at : at + WIDTH]) for at in range(0, whole, WIDTH)]
        tail = leaves[whole:]

    def fetch(level: int, first: int, count: int) -> Sequence[bytes]:
        if level == 0:
            at = first - (len(tiles) << HEIGHT)
            return read(first, count) if at < 0 else tail[at : at + count]
        if level == 1:
            return tiles[first : first + count]
        return [complete(fetch(level - 1, n << HEIGHT, WIDTH)) for n in range(first, first + count)]

    return fetch


def root(fetch: Fetch, size: int) -> bytes:
    """Return the root, 32 bytes, of the tree over the first `size` leaves."""
    return _over(fetch, 0, size) if size else EMPTY


def inclusion(fetch: Fetch, index: int, size: int) -> list[bytes]:
    """Return what proves that leaf `index` is in the tree of `size`: RFC 6962, 2.1.1."""
    if not 0 <= index < size:
        raise ValueError(f"no leaf {index} in a tree of {size}")
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(_over(fetch, middle, end))
            end = middle
        else:
            path.append(_over(fetch, start, middle))
            start = middle
    return path[::-1]


def consistency(fetch: Fetch, old: int, new: int) -> list[bytes]:
    """Return what proves that the tree of `new` extends that of `old`: RFC 6962, 2.1.2."""
    if not 0 < old <= new:
        raise ValueError(f"a tree of {new} does not extend one of {old}")
    path: list[bytes] = []
    start, end, whole = 0, new, True
    while old != end:
        middle = start + _split(end - start)
        if old <= middle:
            path.append(_over(fetch, middle, end))
            end = middle
        else:
            path.append(_over(fetch, start, middle))
            start, whole = middle, False
    return ([] if whole else [_over(fetch, start, end)]) + path[::-1]


def includes(leaf: bytes, index: int, size: int, path: Sequence[bytes], head: bytes) -> bool:
    """Whether `path` proves `leaf` at `index` under the root `head`: RFC 9162, 2.1.3.2."""
    if not 0 <= index < size:
        return False
    at, last, found = index, size - 1, leaf
    for one in path:
        if last == 0:
            return False
        if at & 1 or at == last:
            found = node(one, found)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            found = node(found, one)
        at, last = at >> 1, last >> 1
    return last == 0 and found == head


def extends(old: tuple[int, bytes], new: tuple[int, bytes], path: Sequence[bytes]) -> bool:
    """Whether `path` proves that the tree `new` (size, root) extends `old`: RFC 9162, 2.1.4.2."""
    (size, before), (greater, after) = old, new
    if size == greater:
        return not path and before == after
    if not 0 < size < greater:
        return False
    steps = [before, *path] if size & (size - 1) == 0 else list(path)
    return bool(steps) and _climbs(size - 1, greater - 1, steps) == (before, after)


def _climbs(at: int, last: int, steps: Sequence[bytes]) -> tuple[bytes, bytes] | None:
    """The old root and the new that the steps lead to; None where they are too many or too few."""
    while at & 1:
        at, last = at >> 1, last >> 1
    first = second = steps[0]
    for one in steps[1:]:
        if last == 0:
            return None
        if at & 1 or at == last:
            first, second = node(one, first), node(one, second)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            second = node(second, one)
        at, last = at >> 1, last >> 1
    return (first, second) if last == 0 else None


def _split(size: int) -> int:
    """The greatest power of two below a size of 2 or more."""
    return 1 << ((size - 1).bit_length() - 1)


def _over(fetch: Fetch, start: int, end: int) -> bytes:
    """The root over the leaves `start` ≤ i < `end`, a range that the tree has a node for."""
    size = end - start
    if size & (size - 1) == 0:
        level, rest = divmod(size.bit_length() - 1, HEIGHT)
        return complete(fetch(level, start >> (HEIGHT * level), 1 << rest))
    middle = start + _split(size)
    return node(_over(fetch, start, middle), _over(fetch, middle, end))
