"""The note of the head beside the log: what SQLite forgets in silence, it remembers."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuledger.ledger import note
from gpuledger.ledger.errors import BrokenChain, Damaged, LostTail
from gpuledger.ledger.sqlite_log import SqliteLog
from plain_log import ID, a_log, child, said, tell

notes = st.builds(
    note.Note,
    st.binary(min_size=16, max_size=16),
    st.integers(0, 2**53 - 1),
    st.binary(min_size=32, max_size=32),
)
names = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)
holders = st.builds(note.Holder, st.integers(0, 2**31), names, names, st.integers(0, 2**53))


def lock_of(path: Path) -> Path:
    """The lock file beside a ledger."""
    return path.with_name(path.name + ".lock")


def noted(path: Path) -> note.Note:
    """The note beside a ledger, which must be one."""
    found = note.read_note(str(lock_of(path)))
    assert isinstance(found, note.Note)
    return found


@given(notes)
def test_a_note_is_64_bytes_and_back(written: note.Note) -> None:
    """Id, seq, hash and checksum come back from 64 bytes, laid out as FORMAT.md says."""
    raw = note.encode_note(written)
    assert raw[:16] == written.ledger
    assert int.from_bytes(raw[16:24], "big") == written.seq
    assert raw[24:56] == written.hash
    assert raw[56:] == hashlib.sha256(raw[:56]).digest()[:8]
    assert note.decode_note(raw) == written


@given(notes, st.integers(0, 63), st.integers(1, 255))
def test_a_flipped_byte_makes_no_other_note(written: note.Note, place: int, flip: int) -> None:
    """A note with a flipped byte is unreadable, never another note."""
    raw = bytearray(note.encode_note(written))
    raw[place] ^= flip
    assert note.decode_note(bytes(raw)) == note.Unreadable("checksum")


@given(holders)
def test_a_holder_fits_its_room(written: note.Holder) -> None:
    """A holder is 256 bytes and comes back whole; names without room are left out."""
    raw = note.encode_holder(written)
    assert len(raw) == note.HOLDER_SIZE
    found = note.decode_holder(raw)
    assert found is not None
    assert (found.pid, found.since_us) == (written.pid, written.since_us)
    assert found == written or (found.host, found.user) == ("", "")


@given(st.binary(max_size=256))
def test_nonsense_names_nobody(raw: bytes) -> None:
    """Bytes that are no holder name nobody, and raise nothing."""
    note.decode_holder(raw)
    note.decode_note(raw)


def test_every_commit_is_noted(ledger_path: Path) -> None:
    """After each turn the note has the ledger's id and the head; byte 0 to 15 stay untouched."""
    log = a_log(ledger_path)
    for number in range(3):
        event = tell(log, number)
        assert noted(ledger_path) == note.Note(bytes.fromhex(ID), event.seq, event.hash)
    raw = lock_of(ledger_path).read_bytes()
    assert raw[: note.NOTE_AT] == bytes(16)
    assert raw[note.HOLDER_AT :] == note.NO_HOLDER
    log.close()


def test_a_turn_that_appends_nothing_notes_nothing(ledger_path: Path) -> None:
    """A turn without events, or one that raised, leaves the note as it was."""
    log = a_log(ledger_path, 2)
    before = noted(ledger_path)
    with log.turn():
        pass
    with pytest.raises(ZeroDivisionError), log.turn():
        raise ZeroDivisionError
    assert noted(ledger_path) == before
    log.close()


@pytest.mark.parametrize("cut", ["flipped", "truncated", "removed"])
def test_a_tail_that_sqlite_forgot_is_named(ledger_path: Path, cut: str) -> None:
    """Where a damaged -wal lost commits the next turn names the seqs, and reading goes on."""
    a_log(ledger_path, 3).close()
    with child("hold", ledger_path) as holder:
        assert said(holder) == "held"
        holder.kill()
        holder.wait()
    with child("stay", ledger_path, 20) as writer:
        assert [said(writer) for _ in range(20)][-1] == "24"
        writer.kill()
        writer.wait()
    wal = ledger_path.with_name("ledger.db-wal")
    if cut == "removed":
        wal.unlink()
    elif cut == "truncated":
        os.truncate(wal, wal.stat().st_size // 2)
    else:
        raw = bytearray(wal.read_bytes())
        raw[len(raw) // 2] ^= 1
        wal.write_bytes(raw)
    ledger_path.with_name("ledger.db-shm").unlink(missing_ok=True)
    log = SqliteLog(str(ledger_path))
    left = log.head().seq
    assert left < 24
    for _ in range(2):
        with pytest.raises(LostTail) as caught:
            tell(log)
        assert (caught.value.first, caught.value.last) == (left + 1, 24)
    assert [event.seq for event in log.read(0)] == list(range(1, left + 1))
    log.close()


def test_another_event_than_noted_is_named(ledger_path: Path) -> None:
    """A log that went on differently from where it was noted is refused, the seq named."""
    log = a_log(ledger_path, 5)
    log.close()
    with closing(sqlite3.connect(ledger_path, isolation_level=None)) as shell:
        shell.execute("DROP TRIGGER events_update")
        shell.execute("UPDATE events SET hash = zeroblob(32) WHERE seq = 6")
    with pytest.raises(LostTail) as caught:
        tell(log)
    assert (caught.value.first, caught.value.last) == (6, 6)
    log.close()


def test_a_note_that_lags_is_brought_up(ledger_path: Path) -> None:
    """After a power cut the note may be older than the log: writing goes on and notes anew."""
    log = a_log(ledger_path, 2)
    old = lock_of(ledger_path).read_bytes()
    for number in range(3):
        tell(log, number)
    lock_of(ledger_path).write_bytes(old)
    event = tell(log)
    assert event.seq == 7
    assert noted(ledger_path).seq == 7
    log.close()


@pytest.mark.parametrize("raw", [b"", bytes(16), bytes(336), b"x" * 336, b"x" * 50])
def test_no_note_and_an_unreadable_one_stop_nobody(ledger_path: Path, raw: bytes) -> None:
    """A lock file without a legible note says nothing against the log; the next commit notes."""
    log = a_log(ledger_path, 2)
    lock_of(ledger_path).write_bytes(raw)
    found = note.read_note(str(lock_of(ledger_path)))
    assert found == (note.Unreadable("checksum") if raw.startswith(b"x" * 80) else None)
    assert tell(log).seq == 4
    assert noted(ledger_path).seq == 4
    log.close()


def test_the_note_of_another_ledger(ledger_path: Path, tmp_path: Path) -> None:
    """A lock file that belongs to another ledger is damage: the two files were mixed up."""
    log = a_log(ledger_path, 2)
    strange = note.Note(bytes(16), 3, bytes(32))
    lock_of(ledger_path).write_bytes(bytes(16) + note.encode_note(strange))
    with pytest.raises(Damaged, match="another ledger"):
        tell(log)
    log.close()


def test_no_lock_file_no_note(tmp_path: Path) -> None:
    """Where there is no lock file there is no note and no holder."""
    assert note.read_note(str(tmp_path / "none.lock")) is None
    assert note.read_holder(str(tmp_path / "none.lock")) is None


def test_a_note_that_one_may_not_read(ledger_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who may read the ledger but not its lock file cannot compare, which is not damage."""
    a_log(ledger_path).close()

    def refuse(*_: object) -> int:
        raise PermissionError

    monkeypatch.setattr(os, "open", refuse)
    assert note.read_note(str(lock_of(ledger_path))) == note.Unreadable("permission")
    assert note.read_holder(str(lock_of(ledger_path))) is None


@pytest.mark.parametrize("data", ["{}", '{"ledger":7}', '{"ledger":"c0ffee"}', "[]", "nonsense"])
def test_a_first_event_without_an_id(ledger_path: Path, data: str) -> None:
    """A log whose first event names no ledger is broken at seq 1."""
    log = a_log(ledger_path)
    log.close()
    with closing(sqlite3.connect(ledger_path, isolation_level=None)) as shell:
        shell.execute("DROP TRIGGER events_update")
        shell.execute("UPDATE events SET data = ?", (data,))
    with pytest.raises(BrokenChain) as caught:
        tell(log)
    assert caught.value.seq == 1
    log.close()
