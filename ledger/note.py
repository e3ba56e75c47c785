"""What the lock file beside the ledger holds: the note of the head, and who holds the lock.

Byte 0 is the lock's own (on Windows nobody else may read it), 1 to 15 are unused. From 16:
ledger id (16 bytes), seq (8, big endian), hash of the head (32), the first 8 bytes of
SHA-256 over those 56; from 80 the holder, JSON padded with zero bytes to 256.

The note is not synced: after a power cut it may lag behind the log, but it never leads.
A log that is behind it has lost events that were acknowledged. The holder is for
messages only; the kernel alone decides who holds the lock.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from hashlib import sha256

import msgspec

from .format import MAX_INTEGER

NOTE_AT = 16
NOTE_SIZE = 64
HOLDER_AT = NOTE_AT + NOTE_SIZE
HOLDER_SIZE = 256
NO_HOLDER = bytes(HOLDER_SIZE)
_NO_NOTE = bytes(NOTE_SIZE)


class Note(msgspec.Struct, frozen=True, gc=False):
    """The head as it was after the last commit: ledger id (16 bytes), seq, hash (32 bytes)."""

    ledger: bytes
    seq: int
    hash: bytes


class Unreadable(msgspec.Struct, frozen=True, gc=False):
    """There is something, but no note: `why` is `checksum`, `permission` to read it, or what the
    system says.
    """

    why: str


class Holder(msgspec.Struct, frozen=True, gc=False):
    """Who took the lock, and when (microseconds UTC)."""

    pid: int
    host: str
    user: str
    since_us: int


def encode_note(note: Note) -> bytes:
    """Return the 64 bytes of `note`."""
    body = note.ledger + note.seq.to_bytes(8, "big") + note.hash
    return body + sha256(body).digest()[:8]


def decode_note(raw: bytes) -> Note | Unreadable | None:
    """Return the note in `raw`; None where none was written yet: too short, or all zero."""
    if len(raw) < NOTE_SIZE or raw == _NO_NOTE:
        return None
    body = raw[: NOTE_SIZE - 8]
    seq = int.from_bytes(body[16:24], "big")
    if sha256(body).digest()[:8] != raw[NOTE_SIZE - 8 : NOTE_SIZE] or seq > MAX_INTEGER:
        return Unreadable("checksum")
    return Note(body[:16], seq, body[24:])


def encode_holder(holder: Holder) -> bytes:
    """Return the 256 bytes of `holder`; names too long for the room are left out."""
    raw = msgspec.json.encode(holder)
    if len(raw) > HOLDER_SIZE:
        raw = msgspec.json.encode(Holder(holder.pid, "", "", holder.since_us))
    return raw.ljust(HOLDER_SIZE, b"\0")


def decode_holder(raw: bytes) -> Holder | None:
    """Return the holder in `raw`; None where nobody is named there, or not legibly."""
    try:
        return msgspec.json.decode(raw.rstrip(b"\0"), type=Holder)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _read_by_seek(fd: int, size: int, offset: int) -> bytes:
    os.lseek(fd, offset, os.SEEK_SET)
    return os.read(fd, size)


def _write_by_seek(fd: int, raw: bytes | memoryview, offset: int) -> int:
    os.lseek(fd, offset, os.SEEK_SET)
    return os.write(fd, raw)


read_at: Callable[[int, int, int], bytes] = getattr(os, "pread", _read_by_seek)
"""Read up to so many bytes of a descriptor from an offset, on every platform."""

write_at: Callable[[int, bytes | memoryview, int], int] = getattr(os, "pwrite", _write_by_seek)
"""Write bytes into a descriptor at an offset, in one call where the platform has it."""


def read_note(lock_path: str) -> Note | Unreadable | None:
    """Return the note in the lock file at `lock_path`; None where there is no file or no note."""
    try:
        return decode_note(_read(lock_path, NOTE_SIZE, NOTE_AT))
    except FileNotFoundError:
        return None
    except PermissionError:
        return Unreadable("permission")
    except OSError as error:
        return Unreadable(error.strerror or str(error))


def read_holder(lock_path: str) -> Holder | None:
    """Return who the lock file at `lock_path` names as its holder, if anybody."""
    try:
        return decode_holder(_read(lock_path, HOLDER_SIZE, HOLDER_AT))
    except OSError:
        return None


_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_NONBLOCK", 0)
)
"""Without waiting for a writer, should a FIFO lie there."""


def _read(path: str, size: int, offset: int) -> bytes:
    fd = os.open(path, _FLAGS)
    try:
        return read_at(fd, size, offset)
    finally:
        os.close(fd)
