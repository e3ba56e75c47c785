"""SQLite's integers of 1 to 9 bytes: seven bits in each but the ninth, big end first."""

from __future__ import annotations

LONGEST = 9


def read_varint(raw: bytes, at: int) -> tuple[int, int] | None:
    """Return the number at `at` in `raw` and where it ends; None where `raw` ends before it."""
    value = 0
    for end, byte in enumerate(raw[at : at + LONGEST], at + 1):
        if end - at == LONGEST:
            return value << 8 | byte, end
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, end
    return None


def varint_before(raw: bytes, end: int) -> int | None:
    """Return the number whose last byte lies before `end`, None where none ends there.

    It is told from what stands before it by that having ended as well; numbers of nine bytes,
    which no event has for a seq, are not.
    """
    start = end - 1
    if start < 0 or raw[start] >= 0x80:
        return None
    while start > 0 and end - start < LONGEST - 1 and raw[start - 1] >= 0x80:
        start -= 1
    found = read_varint(raw, start)
    return None if found is None else found[0]
