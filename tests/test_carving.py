"""Carving: rows are found by their shape, wherever they lie, and prove themselves by their hash."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuledger.ledger import page, record
from gpuledger.ledger.carving import Carved, carve
from gpuledger.ledger.chain import seal
from gpuledger.ledger.event import START, Draft, Event, Head
from gpuledger.ledger.remains import remains
from gpuledger.ledger.sqlite_log import SqliteLog
from gpuledger.ledger.varint import read_varint, varint_before
from page_places import PAGE
from plain_log import a_log, draft, tell

WAL_START, FRAME = 32, 24 + PAGE


def spelled(number: int) -> bytes:
    """A number as SQLite's varint, after the description of its file format."""
    if number >= 2**56:
        return bytes(number >> shift & 0x7F | 0x80 for shift in range(57, 7, -7)) + bytes(
            [number & 0xFF]
        )
    groups = [number & 0x7F]
    while number := number >> 7:
        groups.append(number & 0x7F | 0x80)
    return bytes(reversed(groups))


@given(st.integers(0, 2**64 - 1), st.binary(max_size=3))
def test_a_varint_is_read(number: int, behind: bytes) -> None:
    """Every number of up to 64 bits comes back, and where it ends."""
    raw = spelled(number)
    assert read_varint(raw + behind, 0) == (number, len(raw))
    assert read_varint(raw[:-1], 0) is None


@given(st.integers(0, 2**53), st.integers(0, 2**53))
def test_a_varint_is_read_backwards(before: int, number: int) -> None:
    """A number of up to 8 bytes behind another is told by where it ends."""
    raw = spelled(before) + spelled(number)
    assert varint_before(raw, len(raw)) == number


def seqs(carved: Carved) -> list[int]:
    """The seqs of what was found and settled."""
    return sorted(event.seq for event in carved.settled.values())


def filled(path: Path, sizes: list[int], page_size: int = PAGE) -> list[Event]:
    """A database with a table like the log's, in pages of that size, with data of these sizes."""
    from gpuledger.ledger.format import EVENTS_KEYS, EVENTS_TABLE
    from gpuledger.ledger.row import insert

    events: list[Event] = []
    head = START
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA page_size={page_size}")
        connection.execute("BEGIN")
        connection.execute(EVENTS_TABLE)
        connection.execute(EVENTS_KEYS)
        for number, size in enumerate(sizes):
            key = None if number % 3 else f"key-{number}"
            at = 256 ** (number * 6 // len(sizes)) + number
            data = b'"%b"' % (b"x" * (size - 2))
            event = seal(
                Draft(max(head.at, at), "k" * (1 + number % 64), 1 + number % 300, "é", key, data),
                head,
            )
            insert(connection, event)
            events.append(event)
            head = Head(event.seq, event.hash, event.at)
        connection.execute("COMMIT")
    return events


@pytest.mark.parametrize("size", [512, 1024, 4096, 65536])
def test_rows_of_any_length_are_found(size: int, tmp_path: Path) -> None:
    """In pages of every size, rows that fit and rows that overflow into many pages come back."""
    chosen = Random(size)
    sizes = [2, 3, *(chosen.randint(2, 4 * size) for _ in range(60)), 50 * size]
    events = filled(tmp_path / "x.db", sizes, size)
    raw = (tmp_path / "x.db").read_bytes()
    assert carve(raw, b"").settled == {event.hash: event for event in events}
    without = bytes(size) + raw[size:]
    found = carve(without, b"").settled
    assert {event.seq for event in events if event.hash not in found} <= {1, 2, 3, 4, 5}


def test_each_bound_of_what_fits_a_page_is_right(tmp_path: Path) -> None:
    """Rows around the lengths at which they begin to overflow, or need one page more, come back."""
    sizes = [*range(3_900, 4_100), *range(8_000, 8_200)]
    events = filled(tmp_path / "x.db", sizes)
    assert seqs(carve((tmp_path / "x.db").read_bytes(), b"")) == [event.seq for event in events]


def test_what_was_deleted_is_found(tmp_path: Path) -> None:
    """Rows in pages that are free, as after a table was dropped by hand, are still there."""
    events = filled(tmp_path / "x.db", [300] * 200)
    with closing(sqlite3.connect(tmp_path / "x.db")) as connection:
        connection.execute("PRAGMA secure_delete=OFF")
        connection.execute("DROP TABLE events")
        connection.commit()
    found = carve((tmp_path / "x.db").read_bytes(), b"")
    assert len(found.settled) > len(events) * 9 // 10


def left_open(path: Path, events: int) -> SqliteLog:
    """A log whose last events stand in its -wal alone, each committed by itself."""
    log = a_log(path)
    for number in range(events):
        tell(log, number)
    return log


def test_frames_behind_a_flipped_byte_are_read(ledger_path: Path) -> None:
    """Where SQLite stops at a damaged frame, what was acknowledged behind it is found."""
    log = left_open(ledger_path, 50)
    wal = ledger_path.with_name("ledger.db-wal").read_bytes()
    main = ledger_path.read_bytes()
    flipped = wal[: WAL_START + 12] + b"\xff" + wal[WAL_START + 13 :]
    assert seqs(carve(main, flipped)) == list(range(1, 52))
    log.close()


def test_what_was_not_committed_is_told_apart(ledger_path: Path) -> None:
    """An event in frames behind the last commit is unfinished, and settled once that is there."""
    log = left_open(ledger_path, 5)
    wal = ledger_path.with_name("ledger.db-wal").read_bytes()
    main = ledger_path.read_bytes()
    frames = range(WAL_START, len(wal), FRAME)
    last = [start for start in frames if any(wal[start + 4 : start + 8])][-1]
    undone = wal[: last + 4] + bytes(4) + wal[last + 8 :]
    found = carve(main, undone)
    assert seqs(found) == [1, 2, 3, 4, 5]
    assert [event.seq for event in found.unfinished.values()] == [6]
    assert carve(main, wal).unfinished == {}
    log.close()


def test_a_damaged_image_does_not_hide_a_whole_one(ledger_path: Path) -> None:
    """A row of which one image has wrong last bytes is had from the next."""
    log = left_open(ledger_path, 1)
    main, wal = (
        ledger_path.with_name(name).read_bytes() for name in ("ledger.db", "ledger.db-wal")
    )
    (event,) = (one for one in carve(main, wal).settled.values() if one.seq == 2)
    at = wal.index(event.prev + event.hash)
    torn = wal[: at + 40] + bytes(24) + wal[at + 64 :]
    assert seqs(carve(main, torn)) == [1]
    assert seqs(carve(main, torn + wal[WAL_START:])) == [1, 2]
    log.close()


def hostile(cells: int, length: int, following: int) -> bytes:
    """Pages of cells that claim to be long rows, whose overflow pages lead to each other."""
    types = b"\x00\x01\x17\x09\x0f\x00" + spelled(13 + 2 * length) + b"\x4c\x4c"
    cell = b"\x7f\x01" + bytes([1 + len(types)]) + types
    filler = bytes(PAGE - 4)
    pages = [cell * (PAGE // len(cell)) for _ in range(cells)]
    return b"".join(
        [one.ljust(PAGE, b"\x01") for one in pages]
        + [following.to_bytes(4, "big") + filler for _ in range(50)]
    )


@pytest.mark.parametrize("length", [3, 5_000, 150_000, 2**40])
def test_a_hostile_file_is_not_searched_for_ever(length: int) -> None:
    """Chains of overflow pages that bite their tails, and lengths beyond all bytes, end soon."""
    raw = hostile(20, length, 22)
    frames = b"".join(
        (number % 70).to_bytes(4, "big") + bytes(20) + os.urandom(PAGE) for number in range(140)
    )
    for file, wal in ((raw, b""), (raw, bytes(32) + frames), (b"", raw), (os.urandom(50_000), raw)):
        found = carve(file, wal)
        assert (found.settled, found.unfinished) == ({}, {})


def test_what_only_looks_like_rows_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is more of it than may be looked at, that is told, and the end comes soon."""
    from gpuledger.ledger import carving

    monkeypatch.setattr(carving, "_ROOM", 0)
    assert carve(hostile(300, 1_900, 22), b"").given_up
    assert not carve(hostile(1, 3, 22), b"").given_up


@given(st.binary(max_size=600), st.binary(max_size=300))
def test_nonsense_holds_nothing(file: bytes, wal: bytes) -> None:
    """Any bytes are searched without an exception."""
    assert carve(file, wal) == Carved({}, {})
    for paging in page.pagings(file, wal):
        assert paging.local(100) <= 100


@given(st.binary(min_size=1, max_size=40))
def test_any_header_is_a_layout_or_none(raw: bytes) -> None:
    """What cannot be the header of a row is none, whatever it is."""
    layout = record.layout_at(raw, 0)
    if layout is not None:
        assert layout.header == raw[0]
        record.event_in(raw * 50, layout, 1)


def test_a_sector_that_cannot_be_read_counts_as_zeros(
    ledger_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the disk gives an error for some sectors, the others are read, and the loss counted."""
    import errno

    from gpuledger.ledger import remains as module

    log = a_log(ledger_path, 100)
    log.close()
    whole = ledger_path.read_bytes()
    bad = whole.index(b'{"number":50}') // PAGE * PAGE
    real = module.read_at

    def failing(fd: int, size: int, offset: int) -> bytes:
        if offset <= bad < offset + size:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(fd, size, offset)

    monkeypatch.setattr(module, "read_at", failing)
    left = remains(str(ledger_path))
    assert left.unreadable == PAGE
    zeroed = carve(whole[:bad] + bytes(PAGE) + whole[bad + PAGE :], b"")
    assert sorted(event.seq for event in left.events.values()) == seqs(zeroed)
    assert 0 < len(left.events) < 101


def test_a_row_that_says_something_else_is_none(ledger_path: Path) -> None:
    """An event of which one byte was changed is not carved, and all others are."""
    log = a_log(ledger_path)
    with log.turn() as turn:
        for number in range(20):
            turn.append(draft(number * 1_000_003), turn.head)
    log.close()
    raw = ledger_path.read_bytes()
    assert raw.count(b'{"number":7000021}') == 1
    found = carve(raw.replace(b'{"number":7000021}', b'{"number":7000022}'), b"")
    assert seqs(found) == [seq for seq in range(1, 22) if seq != 9]
