"""Sources of events: ledgers, exports and mirrors, each event believed for its own hash alone."""

from __future__ import annotations

import gzip
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from forging import opened
from gpuledger.ledger.chain import head_of, seal
from gpuledger.ledger.cloudevent import to_line
from gpuledger.ledger.errors import LedgerMissing, NotALedger
from gpuledger.ledger.event import Event
from gpuledger.ledger.joining import Joining
from gpuledger.ledger.source import source_at
from gpuledger.recovery import restore
from plain_log import ID, a_log, draft, tell
from small_pools import ADA, ROOT, ledger

Made = list[Event]


@pytest.fixture
def made(ledger_path: Path) -> Made:
    """A closed log of 30 events at `ledger_path`, and its events."""
    log = a_log(ledger_path, 29)
    events = list(log.read(0))
    log.close()
    return events


def lines(events: Made) -> bytes:
    return b"".join(to_line(event, ID) + b"\n" for event in events)


def as_export(path: Path, events: Made) -> None:
    path.write_bytes(lines(events))


def as_zipped(path: Path, events: Made) -> None:
    path.write_bytes(gzip.compress(lines(events)))


def as_mirror(path: Path, events: Made) -> None:
    """Two segments sealed, one of them with its open file still beside it, and an open tail."""
    folder = path / ID
    folder.mkdir(parents=True)
    for first in (0, 10):
        part = events[first : first + 10]
        name = f"{part[0].seq:012d}-{part[-1].seq:012d}-{part[-1].hash.hex()}.jsonl"
        (folder / name).write_bytes(lines(part))
    (folder / "000000000011-open.jsonl").write_bytes(lines(events[10:20]))
    (folder / "000000000021-open.jsonl").write_bytes(lines(events[20:]))


@pytest.mark.parametrize("write", [as_export, as_zipped, as_mirror])
def test_each_kind_tells_the_same(
    made: Made, tmp_path: Path, write: Callable[[Path, Made], None]
) -> None:
    """A ledger, an export, plain or zipped, and a mirror's folder or the one above tell alike."""
    path = tmp_path / "source"
    write(path, made)
    source = source_at(str(path))
    found = list(source.events())
    assert list(dict.fromkeys(found)) == made
    assert (source.skipped, source.ledger) == (0, ID)
    if path.is_dir():
        assert list(source_at(str(path / ID)).events()) == found


def test_a_ledger_is_read_and_left_as_it_lies(made: Made, ledger_path: Path) -> None:
    """Nothing is made beside a closed file; a second name, as links to backups are, is fine."""
    other = ledger_path.parent / "linked.db"
    other.hardlink_to(ledger_path)
    before = sorted(one.name for one in ledger_path.parent.iterdir())
    source = source_at(str(other))
    assert list(source.events()) == made
    assert (source.kind, source.ledger) == ("ledger", ID)
    assert sorted(one.name for one in ledger_path.parent.iterdir()) == before


def test_a_copy_with_its_wal(ledger_path: Path, tmp_path: Path) -> None:
    """What lies in a copied -wal is read with the file, neither of them changed."""
    log = a_log(ledger_path)
    tell(log, 1)
    for suffix in ("", "-wal"):
        shutil.copyfile(f"{ledger_path}{suffix}", tmp_path / f"copy.db{suffix}")
    log.close()
    assert [event.seq for event in source_at(str(tmp_path / "copy.db")).events()] == [1, 2]
    assert not (tmp_path / "copy.db-shm").exists()


def test_what_does_not_prove_itself_is_passed_over(made: Made, tmp_path: Path) -> None:
    """A changed line, a torn one, somebody else's and an endless one are counted, not read."""
    path = tmp_path / "events.jsonl"
    whole = lines(made).splitlines(keepends=True)
    whole[4] = whole[4].replace(b'"number":3', b'"number":4')
    whole[7] = whole[7][:50] + b"\n"
    whole[9] = b'{"specversion":"1.0","id":"1","type":"other"}\n'
    whole[11] = b'{"a":' + b"[" * 100_000 + b"\n"
    path.write_bytes(b"\n".join(whole))
    source = source_at(str(path))
    assert [event.seq for event in source.events()] == [
        seq for seq in range(1, 31) if seq not in (5, 8, 10, 12)
    ]
    assert source.skipped == 4


def test_a_zipped_export_cut_short(made: Made, tmp_path: Path) -> None:
    """What can be unzipped is read."""
    path = tmp_path / "events.jsonl.gz"
    path.write_bytes(gzip.compress(lines(made), 0)[:-200])
    source = source_at(str(path))
    found = list(source.events())
    assert found == made[: len(found)]
    assert 25 < len(found) < 30
    assert source.skipped >= 1


def test_a_damaged_page_hides_its_rows_alone(ledger_path: Path) -> None:
    """Rows on whole pages are read though one between them is not; row by row, then in runs."""
    log = a_log(ledger_path, 999)
    log.close()
    raw = bytearray(ledger_path.read_bytes())
    leaf = next(at for at in range(3 * 4096, len(raw), 4096) if b'"number":500}' in raw[at:][:4096])
    raw[leaf : leaf + 8] = b"\xff" * 8
    ledger_path.write_bytes(raw)
    source = source_at(str(ledger_path))
    found = {event.seq for event in source.events()}
    assert 502 not in found
    assert {1, 1000} <= found
    assert 900 < len(found) < 1000
    assert (source.skipped, source.cut) == (1000 - len(found), None)


@pytest.mark.parametrize("harm", ["end", "all"])
def test_an_end_that_cannot_be_read(ledger_path: Path, harm: str) -> None:
    """Where the last page is damaged nobody knows how many rows it had, and none is counted."""
    log = a_log(ledger_path, 999)
    log.close()
    raw = bytearray(ledger_path.read_bytes())
    leaf = next(at for at in range(3 * 4096, len(raw), 4096) if b'"number":998}' in raw[at:][:4096])
    for at in [leaf] if harm == "end" else range(4096, len(raw), 4096):
        raw[at : at + 8] = b"\xff" * 8
    ledger_path.write_bytes(raw)
    source = source_at(str(ledger_path))
    found = [event.seq for event in source.events()]
    assert found == list(range(1, len(found) + 1))
    assert (source.skipped, source.cut) == (0, len(found))
    assert (len(found) > 900) == (harm == "end")


def test_what_is_no_source(ledger_path: Path, tmp_path: Path) -> None:
    """Other files and folders, and a file whose table of events is a program, are refused."""
    (tmp_path / "text").write_text("hello")
    (tmp_path / "empty").write_text("")
    with pytest.raises(LedgerMissing):
        source_at(str(tmp_path / "nothing"))
    for name in ("text", "empty", "."):
        with pytest.raises(NotALedger):
            source_at(str(tmp_path / name))
    a_log(ledger_path, 3).close()
    with opened(ledger_path) as connection:
        connection.execute("ALTER TABLE events RENAME TO hidden")
        connection.execute("DROP VIEW IF EXISTS events_readable")
        connection.execute("CREATE VIEW events AS SELECT * FROM hidden")
    with pytest.raises(NotALedger):
        list(source_at(str(ledger_path)).events())
    sqlite3.connect(tmp_path / "other.db").execute("CREATE TABLE t (a)")
    with pytest.raises(NotALedger):
        list(source_at(str(tmp_path / "other.db")).events())


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_what_is_no_plain_file_is_passed_over(made: Made, tmp_path: Path) -> None:
    """A pipe or a folder that is called like a segment is not waited for; a link is followed."""
    as_mirror(tmp_path / "mirror", made)
    tail = tmp_path / "mirror" / ID / "000000000021-open.jsonl"
    tail.replace(tmp_path / "elsewhere")
    tail.symlink_to(tmp_path / "elsewhere")
    os.mkfifo(tail.with_name("000000000041-open.jsonl"))
    tail.with_name("000000000061-open.jsonl").mkdir()
    source = source_at(str(tmp_path / "mirror"))
    assert sorted({event.seq for event in source.events()}) == [event.seq for event in made]
    assert source.skipped == 2


def joined(*parts: Made) -> tuple[Made, Joining]:
    joining = Joining(parts)
    return list(joining.events()), joining


def test_what_one_lost_another_fills(made: Made) -> None:
    """Joined by their links, pieces of several sources are the whole history."""
    found, joining = joined(made[:10], made[5:20], made[18:])
    assert found == made
    assert (joining.head, joining.forks, joining.unlinked) == (head_of(made[-1]), [], 0)


def test_what_nothing_links_to(made: Made) -> None:
    """Behind a hole that nobody fills the history ends; how much lies beyond is known."""
    found, joining = joined(made[:10], made[12:])
    assert found == made[:10]
    assert (joining.head.seq, joining.beyond, joining.unlinked) == (10, 30, 18)
    assert joined(made[3:])[0] == []


def branch(after: Event, count: int, number: int) -> Made:
    """Another history that follows `after`."""
    events, head = [], head_of(after)
    for _ in range(count):
        events.append(seal(draft(number), head))
        head = head_of(events[-1])
    return events


def test_the_longest_branch_is_taken(made: Made) -> None:
    """Of forked histories the longest, wherever it is named; the fork is told."""
    short, longer = branch(made[9], 5, 777), branch(made[14], 40, 888)
    found, joining = joined(made[:10] + short, made, made[:15] + longer)
    assert found == made[:15] + longer
    forks = [(fork.seq, fork.taken, fork.left, fork.upto) for fork in joining.forks]
    assert forks == [
        (11, made[10].hash, short[0].hash, 15),
        (16, longer[0].hash, made[15].hash, 30),
    ]


def test_of_equally_long_ones_the_first_named(made: Made) -> None:
    """A tie is settled by the order in which the sources were named."""
    other = made[:20] + branch(made[19], 10, 777)
    for first, second in ((made, other), (other, made)):
        found, joining = joined(first, second)
        assert found == first
        assert [(fork.seq, fork.left, fork.upto) for fork in joining.forks] == [
            (21, second[20].hash, 30)
        ]


def test_over_a_hole_that_is_named(made: Made) -> None:
    """What is named as lost is passed over where nobody has all of it; else it is taken."""
    hole = (11, 15, made[9].hash, made[14].hash)
    left = made[:10] + made[15:]
    for parts, found, unlinked in (
        ((left,), left, 0),
        ((left, made[:13]), left, 3),
        ((left, made[12:]), left, 3),
        ((left, made[:20]), made, 0),
        ((made[:13], made[12:]), made, 0),
    ):
        joining = Joining(parts, [hole])
        assert list(joining.events()) == found
        assert (joining.head, joining.forks) == (head_of(made[-1]), [])
        assert joining.unlinked == unlinked
    first = Joining([made[3:]], [(1, 3, bytes(32), made[2].hash)])
    assert list(first.events()) == made[3:]


def test_a_shuffled_export_is_put_in_order(ledger_path: Path, tmp_path: Path) -> None:
    """Two exports one after the other, the later first, are restored in the order of their seqs."""
    with ledger(ledger_path, actor=ADA) as book:
        for task in "abcd":
            book.allocate(task, 1)
        told, name = list(book.log.read(0)), book.ledger_id()
    whole = [to_line(event, name) + b"\n" for event in told]
    (tmp_path / "both.jsonl").write_bytes(b"".join(whole[3:] + whole[:2]))
    (tmp_path / "other.jsonl").write_bytes(b"".join(whole[:3]))
    sources = [tmp_path / "both.jsonl", tmp_path / "other.jsonl"]
    made = restore(tmp_path / "n.db", sources, actor=ROOT)
    assert (made.restored, made.unlinked) == (head_of(told[-1]), 0)


def test_a_source_that_names_holes_without_end(made: Made) -> None:
    """However many holes are named, of the history's own too, an event costs a look or two."""
    asked: list[int] = []

    class Counted(int):
        def __le__(self, other: int) -> bool:
            asked.append(other)
            return int(self) <= other

    every = [(Counted(seq), seq, b"\0" * 32, b"\1" * 32) for seq in range(2, 20_002)]
    joining = Joining([made], [*every, (11, 15, made[9].hash, made[14].hash)])
    assert list(joining.events()) == made
    assert len(asked) <= 3 * len(made)
