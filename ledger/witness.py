"""Which ledger this is, and whether its log still ends where its last writer noted.

A damaged -wal makes SQLite forget the last commits without a word: what is left is a
valid chain, only shorter. The note in the lock file is what remembers.
"""

from __future__ import annotations

import sqlite3

import msgspec

from .errors import BrokenChain, Damaged, LostTail
from .event import Event, Head
from .note import Note, Unreadable


class _Born(msgspec.Struct, frozen=True):
    """All that this floor reads of an event's data: the ledger's own id, in the first event."""

    ledger: str


_NAMED = (
    "SELECT CAST(data AS BLOB) FROM events WHERE kind = 'gap.recorded' ORDER BY seq DESC LIMIT 1"
)
_first = msgspec.json.Decoder(_Born)


def id_in(data: bytes) -> bytes:
    """Return the ledger id, 16 bytes, that the first event's `data` holds."""
    ledger = bytes.fromhex(_first.decode(data).ledger)
    if len(ledger) != 16:
        raise ValueError(f"a ledger id of {len(ledger)} bytes")
    return ledger


def id_told(event: Event) -> str | None:
    """Return the ledger id, 32 hex digits, that an event holds as a first one does, if it does."""
    try:
        return id_in(event.data).hex()
    except (ValueError, TypeError, RecursionError):
        return None


def ledger_id(connection: sqlite3.Connection, path: str) -> bytes:
    """Return the 16 bytes that tell the ledger in `connection` from every other.

    Where the first event is lost, the one that names that gap tells them.
    """
    row = connection.execute("SELECT CAST(data AS BLOB) FROM events WHERE seq = 1").fetchone()
    if row is None:
        row = connection.execute(_NAMED).fetchone()
    if row is None:
        raise BrokenChain(path, "the first event is missing", 1)
    try:
        return id_in(row[0])
    except (ValueError, TypeError, RecursionError) as error:
        raise BrokenChain(path, "the first event holds no ledger id", 1) from error


def check_note(
    connection: sqlite3.Connection,
    path: str,
    ledger: bytes,
    noted: Note | Unreadable | None,
    head: Head,
) -> None:
    """Raise LostTail where the log that ends at `head` lacks what was `noted`.

    No note, or one that cannot be read, says nothing; one of another ledger means that the
    two files do not belong together.
    """
    if not isinstance(noted, Note):
        return
    if noted.ledger != ledger:
        raise Damaged(path, "the lock file beside it belongs to another ledger")
    if noted.seq > head.seq:
        raise LostTail(path, "the log ends too early", first=head.seq + 1, last=noted.seq)
    row = connection.execute("SELECT hash FROM events WHERE seq = ?", (noted.seq,)).fetchone()
    if row is None or row[0] != noted.hash:
        raise LostTail(path, "another event than noted", first=noted.seq, last=noted.seq)
