"""The snapshot store: the pieces as rows, and a header that ties them to the log.

A snapshot is a cache. Each row carries its own digest, the header the sum of them, the
seq and chain hash it stands at, the fold that made it and the last row number of each
projection. What does not fit raises Misfit, and the caller replays instead.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from hashlib import sha256

import msgspec

from ..ledger.event import Head
from . import piece as pieces_of
from .fold import FOLD_VERSION
from .piece import MODULUS, Piece
from .state import State


class Misfit(Exception):
    """A stored row does not fit the log or the other rows; `why` says which.

    Where SQLite met a damaged page, `corrupt`, the transaction can write no more.
    """

    def __init__(self, why: str, *, corrupt: bool = False) -> None:
        super().__init__(why)
        self.why = why
        self.corrupt = corrupt


_ERROR, _CORRUPT, _CONSTRAINT, _MISMATCH, _AUTH = 1, 11, 19, 20, 23
_SHAPES = frozenset({_ERROR, _CORRUPT, _CONSTRAINT, _MISMATCH, _AUTH})


def is_shape(error: BaseException | None) -> bool:
    """Whether SQLite complains of a store's shape: a table, column, text or page that is none.

    A failing disk is another matter. Where it is the log that is malformed, the replay that
    follows says so. What Python cannot decode has no code.
    """
    code = getattr(error, "sqlite_errorcode", _ERROR) & 0xFF
    return isinstance(error, sqlite3.Error) and code in _SHAPES


def is_corrupt(error: BaseException | None) -> bool:
    """Whether SQLite complains of a malformed page."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == _CORRUPT


class _Fitting:
    """Around a question to the stores: raises Misfit where their shape is not what it was."""

    def __enter__(self) -> None:
        """Nothing to do."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> None:
        """Say it as a Misfit."""
        if is_shape(error):
            corrupt = is_corrupt(error)
            why = "a page of the stores is damaged" if corrupt else str(error)
            raise Misfit(why, corrupt=corrupt) from error


FITTING = _Fitting()


class Header(msgspec.Struct, frozen=True, gc=False):
    """Where a snapshot stands. `state_hash` and `hash` are 32 bytes; the counts are last row
    numbers.
    """

    seq: int
    hash: bytes
    fold: int
    state_hash: bytes
    holdings: int
    capacity: int

    def digest(self) -> bytes:
        """SHA-256 over the canonical JSON of the header's fields."""
        return sha256(
            b'[%d,"%b",%d,"%b",%d,%d]' % (
                self.seq, self.hash.hex().encode(), self.fold, self.state_hash.hex().encode(),
                self.holdings, self.capacity,
            )
        ).digest()  # fmt: skip


class Snapshot(msgspec.Struct, frozen=True):
    """A state as it was saved, with its header and the digest of each piece."""

    header: Header
    state: State
    digests: dict[str, bytes]


def read_header(conn: sqlite3.Connection) -> Header | None:
    """The header, or None where no snapshot is saved. Raises Misfit."""
    with FITTING:
        row = conn.execute(
            "SELECT seq, hash, fold, state_hash, holdings, capacity, digest FROM snapshot"
        ).fetchone()
    if row is None:
        return None
    header = Header(*row[:6])
    typed = all(isinstance(one, kind) for one, kind in zip(row, _TYPES, strict=False))
    if not typed or header.digest() != row[6]:
        raise Misfit("the snapshot's header was changed")
    if header.fold != FOLD_VERSION:
        raise Misfit(f"the snapshot was made by fold {header.fold}")
    return header


_TYPES = (int, bytes, int, bytes, int, int)
"""Those of a header's fields: a damaged file may hold any type anywhere."""

FEW = 64
"""With fewer known pieces than this, all are read at once."""


def load(
    conn: sqlite3.Connection,
    head: Head | None = None,
    header: Header | None = None,
    kept: tuple[Mapping[str, Piece], Mapping[str, bytes]] = ({}, {}),
) -> Snapshot | None:
    """The saved state, checked row by row and against the log; None where none is saved.

    `head` is the log's, and `header` spares reading it again, where they are known. `kept` are
    pieces with the digests that they were found to have: where a row has that digest still, the
    piece is taken as it is. That is honest since the rows' digests must add up to the header's
    sum all the same. Raises Misfit.
    """
    header = read_header(conn) if header is None else header
    if header is None:
        return None
    if head is None or head.seq != header.seq:
        head = _head_at(conn, header.seq)
    if head is None or head.hash != header.hash:
        raise Misfit(f"the snapshot stands at seq {header.seq}, which the log does not have so")
    with FITTING:
        state, digests = _pieces(conn, *kept)
    try:
        summed = pieces_of.total(list(digests.values())).to_bytes(32, "big")
    except TypeError:  # a digest that is none
        summed = b""
    if summed != header.state_hash:
        raise Misfit("the snapshot's pieces do not add up to its state hash")
    return Snapshot(header, State(state, head), digests)


def _head_at(conn: sqlite3.Connection, seq: int) -> Head | None:
    row = conn.execute("SELECT hash, at FROM events WHERE seq = ?", (seq,)).fetchone()
    return None if row is None or not isinstance(row[1], int) else Head(seq, *row)


def _pieces(
    conn: sqlite3.Connection, kept: Mapping[str, Piece], known: Mapping[str, bytes]
) -> tuple[dict[str, Piece], dict[str, bytes]]:
    """The pieces with their digests; those that are known by their digest are not decoded again.

    Reading the few that changed one by one pays only where most did not.
    """
    pieces: dict[str, Piece]
    if len(known) < FEW:
        rows = conn.execute("SELECT key, CAST(value AS BLOB), digest FROM pieces").fetchall()
        digests = {row[0]: row[2] for row in rows}
        pieces = {key: _known(key, value, digests[key], kept, known) for key, value, _ in rows}
        return pieces, digests
    digests = dict(conn.execute("SELECT key, digest FROM pieces").fetchall())
    pieces = {}
    for key, digest in digests.items():
        value = b""
        if known.get(key) != digest:
            asked = conn.execute("SELECT CAST(value AS BLOB) FROM pieces WHERE key = ?", (key,))
            value = (asked.fetchone() or (b"",))[0]
        pieces[key] = _known(key, value, digest, kept, known)
    return pieces, digests


def _known(
    key: str, value: bytes, digest: bytes, kept: Mapping[str, Piece], known: Mapping[str, bytes]
) -> Piece:
    known_here = key in kept and known.get(key) == digest
    return kept[key] if known_here else _piece(key, value, digest)


def _piece(key: str, value: bytes, digest: bytes) -> Piece:
    try:
        if pieces_of.digest(key, value) == digest:
            return pieces_of.decode(key, value)
    except (msgspec.DecodeError, KeyError, TypeError, ValueError) as error:
        raise Misfit(f"the piece {key} is none") from error
    raise Misfit(f"the piece {key} was changed")


def save(
    conn: sqlite3.Connection, state: State, touched: Iterable[str], before: Header | None,
    *, holdings: int, capacity: int, stored: dict[str, bytes], whole: bool = False,
) -> Header:  # fmt: skip
    """Write the touched pieces and a new header; all pieces anew where `before` is None.

    Runs inside the caller's transaction. `holdings` and `capacity` are the projections' last row
    numbers after this save; `stored` are digests of rows as they lie there, as far as they are
    known, or of all where it is the `whole`, and takes up those written. Returns the new header.
    """
    summed = 0
    if before is None:
        conn.execute("DELETE FROM pieces")
        touched = state.pieces
    else:
        summed = int.from_bytes(before.state_hash, "big")
    rows, gone = list[tuple[str, str, bytes]](), list[tuple[str]]()
    for key in touched:
        known = stored.pop(key, None)
        if known is None and before is not None and not whole:
            known = _digest_of(conn, key)
        if known:
            summed -= int.from_bytes(known, "big")
        piece = state.pieces.get(key)
        if piece is not None:
            value = pieces_of.text(piece)
            stored[key] = digest = pieces_of.digest(key, value)
            summed += int.from_bytes(digest, "big")
            rows.append((key, value.decode(), digest))
        elif known or not whole:
            gone.append((key,))
    conn.executemany("DELETE FROM pieces WHERE key = ?", gone)
    conn.executemany("INSERT OR REPLACE INTO pieces VALUES (?, ?, ?)", rows)
    return _save_header(conn, state.head, summed, holdings, capacity)


def _save_header(
    conn: sqlite3.Connection, head: Head, summed: int, holdings: int, capacity: int
) -> Header:
    state_hash = (summed % MODULUS).to_bytes(32, "big")
    header = Header(head.seq, head.hash, FOLD_VERSION, state_hash, holdings, capacity)
    conn.execute(
        "INSERT OR REPLACE INTO snapshot VALUES (1, ?, ?, ?, ?, ?, ?, ?)",
        (*msgspec.structs.astuple(header), header.digest()),
    )
    return header


def _digest_of(conn: sqlite3.Connection, key: str) -> bytes:
    """The digest of the row that is stored, empty where there is none."""
    row = conn.execute("SELECT digest FROM pieces WHERE key = ?", (key,)).fetchone()
    return row[0] if row is not None and isinstance(row[0], bytes) else b""


def drop(conn: sqlite3.Connection) -> int:
    """Empty the stores, or make their tables anew where one is missing; how many snapshots went.

    Runs inside the caller's transaction. Raises sqlite3.Error, for a damaged page, too.
    """
    try:
        dropped = conn.execute("DELETE FROM snapshot").rowcount
        for table in ("pieces", "holdings", "capacity", "tiles"):
            conn.execute(f"DELETE FROM {table}")  # noqa: S608 - four fixed names
    except sqlite3.Error as error:
        if is_corrupt(error) or not is_shape(error):
            raise
        make_anew(conn)
        return 0
    return dropped


def make_anew(conn: sqlite3.Connection, *, damaged: bool = False) -> None:
    """Make the tables of both stores anew and empty, inside the caller's transaction.

    The old ones are dropped, or where a page of them is `damaged`, set aside.
    """
    from .store_schema import make_anew as make

    make(conn, damaged=damaged)
