"""Mirrors: a second copy grows with the log, is always a prefix of it, and says when it lags."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

import gpuledger.ledger.mirror as writing
import gpuledger.ledger.mirror_check as checking
import gpuledger.ledger.segment as segmenting
from gpuledger import MirrorUnusable, NoSuchMirror, Refused
from gpuledger.handle import Ledger
from gpuledger.ledger.mirror_check import check
from gpuledger.ledger.mirrored import Mirrored
from gpuledger.replay.actor import Actor
from small_pools import ledger, pool


@pytest.fixture(autouse=True)
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight events fill a segment, and twenty are written at once."""
    for module in (writing, segmenting):
        monkeypatch.setattr(module, "BLOCK", 8)
    monkeypatch.setattr(writing, "AT_ONCE", 20)


@pytest.fixture
def book(ledger_path: Path) -> Iterator[Ledger]:
    with ledger(ledger_path, pool(1, 8, 64)) as made:
        yield made


@pytest.fixture
def there(tmp_path: Path) -> Path:
    made = tmp_path / "disk"
    made.mkdir()
    return made


def use(book: Ledger, times: int) -> None:
    """Append two events so many times."""
    for _ in range(times):
        book.allocate("train", 1)
        book.release("train")


def folder(book: Ledger, there: Path) -> Path:
    return there / book.ledger_id()


def text(book: Ledger, there: Path) -> bytes:
    """All that the mirror holds, one segment after the other."""
    return b"".join(path.read_bytes() for path in sorted(folder(book, there).glob("*.jsonl")))


def lines(book: Ledger) -> bytes:
    return b"".join(line + b"\n" for line in book.export())


def state(book: Ledger) -> Mirrored:
    (one,), _ = book.mirrors()
    return one


def test_it_holds_what_the_log_holds(book: Ledger, there: Path) -> None:
    """What came before is copied, what comes is there with the answer, and full segments close."""
    use(book, 20)
    assert book.mirror_add(str(there)) is not None
    for _ in range(10):
        use(book, 1)
        assert text(book, there) == lines(book)
    assert state(book) == Mirrored(str(there), book.head().seq, sealed=book.head().seq // 8)
    found = check(str(there))
    assert (found.faults, found.events, found.head.hash) == ((), 62, book.head().hash)
    for path in folder(book, there).glob("*-*-*.jsonl"):
        alone = check(str(path))
        assert (alone.faults, alone.events) == ((), 8)
        assert path.name.endswith(f"{alone.head.seq:012d}-{alone.head.hash.hex()}.jsonl")
    assert book.notices == []


def test_a_second_one_and_none(book: Ledger, there: Path, tmp_path: Path) -> None:
    """Several mirrors grow alike; one that was removed grows no more, and stays as it is."""
    other = tmp_path / "other"
    other.mkdir()
    book.mirror_add(str(there))
    book.mirror_add(str(other))
    assert book.mirror_add(str(other)) is None
    use(book, 3)
    assert text(book, there) == text(book, other) == lines(book)
    book.mirror_remove(str(there), "the disk is needed")
    use(book, 1)
    assert text(book, other) == lines(book)
    assert text(book, there) == lines(book)[: len(text(book, there))]
    assert [one.directory for one in book.mirrors()[0]] == [str(other)]
    with pytest.raises(NoSuchMirror):
        book.mirror_remove(str(there))


def test_every_torn_end_is_finished(book: Ledger, there: Path) -> None:
    """Cut at any byte, with or without zero bytes behind it, the next writer completes it."""
    book.mirror_add(str(there))
    use(book, 2)
    (path,) = folder(book, there).glob("*-open.jsonl")
    whole = path.read_bytes()
    for cut in range(0, len(whole), 41):
        path = next(iter(folder(book, there).glob("*-open.jsonl")))
        path.write_bytes(whole[:cut] + bytes(cut % 3 * 700))
        assert state(book).trouble == "behind"
        book.catch_up_mirrors()
        assert text(book, there).rstrip(b"\0") == lines(book)
        assert check(str(there)).faults == ()
    use(book, 3)
    assert text(book, there) == lines(book)
    assert check(str(there)).torn == 0


def test_its_end_is_read_where_somebody_else_touched_it(
    book: Ledger, there: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer goes on where it stopped itself; who else wrote, even the same, is not believed."""
    looks: list[int] = []

    def read_end(fd: int) -> segmenting.End | None:
        looks.append(fd)
        return segmenting.read_end(fd)

    monkeypatch.setattr(writing, "read_end", read_end)
    book.mirror_add(str(there))
    book.allocate("train", 1)
    looks.clear()
    book.release("train")
    book.allocate("train", 1)
    assert not looks
    (path,) = folder(book, there).glob("*-open.jsonl")
    path.write_bytes(path.read_bytes())
    book.release("train")
    assert len(looks) == 1
    with Ledger(str(book.path), actor=Actor("ada")) as other:
        other.allocate("more", 1)
        book.allocate("train", 1)
    assert len(looks) == 3
    assert text(book, there) == lines(book)


def test_what_differs_is_not_touched(book: Ledger, there: Path) -> None:
    """A mirror whose end is not the log's has diverged: nothing is written, and that is said."""
    book.mirror_add(str(there))
    use(book, 2)
    (path,) = folder(book, there).glob("*-open.jsonl")
    whole = path.read_bytes()
    for other in (
        whole + b"x",
        whole[:-1] + b"}\n",
        b"no event\n",
        whole.replace(b"uid:0", b"uid:1"),
    ):
        path.write_bytes(other)
        book.notices.clear()
        use(book, 1)
        assert path.read_bytes() == other
        assert state(book).trouble == "diverged"
        assert "not of this ledger any more" in " ".join(book.notices)
    path.write_bytes(whole)
    book.catch_up_mirrors()
    assert text(book, there) == lines(book)


def test_a_disk_that_is_gone_is_told_until_it_is_back(book: Ledger, there: Path) -> None:
    """A grant stands without its mirror; who writes and who reads says so until it is mended."""
    book.mirror_add(str(there))
    use(book, 2)
    away = there.with_name("away")
    folder(book, there).rename(away)  # an empty mount point stays behind
    for ask in (lambda: use(book, 20), book.state, book.queue):
        book.notices.clear()
        ask()
        assert f"the mirror {there} is not there" in book.notices[0]
    assert list(there.iterdir()) == []
    away.rename(folder(book, there))
    book.notices.clear()
    book.allocate("again", 1)
    (told,) = book.notices
    assert "lacks 21 events" in told
    use(book, 10)
    book.notices.clear()
    use(book, 1)
    assert book.notices == []
    assert text(book, there) == lines(book)
    assert check(str(there)).faults == ()


def test_an_older_ledger_does_not_write_into_a_newer_mirror(
    book: Ledger, there: Path, ledger_path: Path
) -> None:
    """A ledger that went back behind its mirror finds that it holds more."""
    book.mirror_add(str(there))
    use(book, 2)
    book.close()
    before = ledger_path.read_bytes()
    use(book, 8)
    held = text(book, there)
    book.close()
    ledger_path.write_bytes(before)
    for suffix in ("-wal", "-shm", ".lock"):
        ledger_path.with_name(ledger_path.name + suffix).unlink(missing_ok=True)
    use(book, 1)
    assert text(book, there) == held
    assert state(book).trouble == "diverged"


def test_where_none_can_be(book: Ledger, there: Path) -> None:
    """A folder that is not there, or that holds another past of this ledger, is turned down."""
    head = book.head()
    with pytest.raises(MirrorUnusable) as found:
        book.mirror_add(str(there / "missing"))
    assert found.value.trouble == "gone"
    folder(book, there).mkdir()
    (folder(book, there) / "000000000001-open.jsonl").write_bytes(b"no event\n")
    with pytest.raises(MirrorUnusable) as found:
        book.mirror_add(str(there))
    assert found.value.trouble == "diverged"
    assert book.head() == head


def test_it_is_for_admins(ledger_path: Path, there: Path) -> None:
    """Anybody else is refused, which is recorded."""
    ledger(ledger_path, pool(1, 8, 64)).close()
    with Ledger(str(ledger_path), actor=Actor("bob", 1001)) as book:
        for act in (book.mirror_add, book.mirror_remove):
            with pytest.raises(Refused):
                act(str(there))
        assert book.head().seq == 3
    assert list(there.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="modes of files")
def test_it_is_shared_as_the_ledger_is(book: Ledger, there: Path, ledger_path: Path) -> None:
    """Folder and segments take over the modes of the ledger's file, whatever the umask."""
    ledger_path.chmod(0o660)
    before = os.umask(0o077)
    try:
        book.mirror_add(str(there))
        use(book, 5)
    finally:
        os.umask(before)
    assert stat.S_IMODE(folder(book, there).stat().st_mode) == 0o2770
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder(book, there).iterdir()} == {0o660}


def test_leases_that_are_due_end_first(ledger_path: Path, there: Path) -> None:
    """As with every act that writes, each at its own end: a mirror makes no lease longer."""
    now = 1_800_000_000_000_000
    with ledger(ledger_path, pool(1, 8, 64), clock_us=lambda: now) as book:
        for act in (book.mirror_add, book.mirror_remove):
            until = book.allocate("leased", 1, lease=60).start + 60_000_000
            now += 120_000_000
            act(str(there))
            released, _ = list(book.log.read(book.head().seq - 2))
            assert (released.kind, released.at) == ("allocation.released", until)


def test_an_emptied_mirror_is_no_sound_one(book: Ledger, there: Path) -> None:
    """A mirror in which no event is left proves nothing, and is told as such until it grows."""
    book.mirror_add(str(there))
    for path in folder(book, there).glob("*-*.jsonl"):
        path.unlink()
    assert [one.why for one in check(str(there)).faults] == ["empty"]
    assert state(book).trouble == "behind"
    use(book, 1)
    assert text(book, there) == lines(book)
    assert check(str(there)).faults == ()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_what_is_called_like_a_segment(book: Ledger, there: Path) -> None:
    """A check waits for no pipe, and goes on behind a line that is longer than any."""
    book.mirror_add(str(there))
    use(book, 2)
    last = book.head().seq
    os.mkfifo(folder(book, there) / "000000000009-open.jsonl")
    assert [(one.seq, one.why) for one in check(str(there)).faults] == [(9, "file")]
    (folder(book, there) / "000000000009-open.jsonl").unlink()
    (tail,) = folder(book, there).glob("*-open.jsonl")
    whole = tail.read_bytes()
    first, rest = whole.split(b"\n", 1)
    tail.write_bytes(first + b"\n" + b"x" * 10_000 + b"\n" + rest)
    with pytest.MonkeyPatch.context() as patch:
        for module in (segmenting, checking):
            patch.setattr(module, "LONGEST", 4096)
        checked = check(str(there))
    assert (checked.events, checked.torn) == (last, 0)
    assert "line" in {one.why for one in checked.faults}
