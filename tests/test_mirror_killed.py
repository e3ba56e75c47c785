"""A mirror whose writer dies anywhere stays a prefix of the log; the next writer completes it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

import gpuledger.ledger.mirror as writing
import gpuledger.ledger.segment as segmenting
import gpuledger.ledger.tail as tailing
from gpuledger.handle import Ledger
from gpuledger.ledger.event import Event, Head
from gpuledger.ledger.mirror import Mirror
from gpuledger.ledger.mirror_check import check
from gpuledger.replay.facts import Placed
from small_pools import ledger, pool

Record = Callable[[str, object], None]
BLOCK, AT_ONCE = 4, 10
EVERYWHERE = (Placed("s0"),)


class Killed(BaseException):
    """The writer dies here."""


class Fate:
    """Lets the writer of a mirror die at its next `left`th call of the system, or go on."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.left = -1

    def strikes(self) -> bool:
        """Whether it is this call."""
        self.left -= 1
        return self.left == 0

    def around(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """The call, before or after which the writer may die."""

        def made(*args: object, **named: object) -> object:
            if self.strikes():
                if self.random.random() < 0.5:
                    call(*args, **named)
                raise Killed
            return call(*args, **named)

        return made

    def write_at(self, fd: int, raw: bytes, offset: int) -> int:
        """Write some of it; all of it seldom, as a system may."""
        part = self.random.randint(0, len(raw))
        if self.strikes():
            os.pwrite(fd, bytes(raw)[:part], offset)
            raise Killed
        return os.pwrite(fd, bytes(raw)[: part or len(raw)], offset)


@pytest.fixture
def fate(monkeypatch: pytest.MonkeyPatch, rng_seed: int) -> Iterator[Fate]:
    fate = Fate(Random(rng_seed))
    with monkeypatch.context() as patched:
        for module in (writing, segmenting):
            patched.setattr(module, "BLOCK", BLOCK)
        patched.setattr(writing, "AT_ONCE", AT_ONCE)
        patched.setattr(tailing, "write_at", fate.write_at)
        patched.setattr(writing, "sync", fate.around(writing.sync))
        patched.setattr(writing, "give", fate.around(writing.give))
        for name in ("rename", "fdatasync", "fsync", "ftruncate", "unlink"):
            patched.setattr(os, name, fate.around(getattr(os, name)))
        yield fate


@pytest.fixture
def book(ledger_path: Path) -> Iterator[Ledger]:
    with ledger(ledger_path, pool(1, 8, 64)) as made:
        yield made


@pytest.fixture
def there(tmp_path: Path) -> Path:
    made = tmp_path / "disk"
    made.mkdir()
    return made


def held(book: Ledger, there: Path) -> bytes:
    files = sorted((there / book.ledger_id()).glob("*.jsonl"))
    return b"".join(path.read_bytes() for path in files)


def lacks(book: Ledger, there: Path) -> int | None:
    """How many bytes of the log it lacks; None where it is no prefix of it."""
    log, mirrored = b"".join(line + b"\n" for line in book.export()), held(book, there)
    return len(log) - len(mirrored) if log.startswith(mirrored) else None


def step(book: Ledger, fate: Fate) -> None:
    """One to six events, the writer's death somewhere in them perhaps."""
    fate.left = fate.random.randint(1, 40)
    try:
        for _ in range(fate.random.randint(1, 3)):
            book.release("train", if_held=True)
            book.allocate("train", 1)
    finally:
        fate.left = -1


def test_any_interleaving_of_deaths(
    book: Ledger, there: Path, fate: Fate, full: bool, record_property: Record
) -> None:
    """Whenever its writers die, however often, it is a prefix; one that lives makes it whole."""
    book.mirror_add(str(there))
    deaths = 0
    for _ in range(1_000 if full else 120):
        try:
            step(book, fate)
        except Killed:
            deaths += 1
        assert lacks(book, there) is not None
        if fate.random.random() < 0.3:
            book.release("train", if_held=True)
            book.catch_up_mirrors()
            assert lacks(book, there) == 0
    book.release("train", if_held=True)
    book.catch_up_mirrors()
    assert lacks(book, there) == 0
    assert check(str(there)).faults == ()
    assert book.mirrors()[0][0].trouble is None
    record_property("deaths", deaths)
    record_property("events", book.head().seq)


@pytest.mark.parametrize("cut", [0, 1, 40])
def test_a_first_line_that_is_torn(book: Ledger, there: Path, fate: Fate, cut: int) -> None:
    """A segment of which not one line is whole is gone on with; those before stay as they are."""
    del fate
    book.mirror_add(str(there))
    book.allocate("train", 1)
    while book.head().seq < 3 * BLOCK + 1:
        book.drain(EVERYWHERE)
        book.resume(EVERYWHERE)
    assert book.head().seq == 3 * BLOCK + 1
    folder = there / book.ledger_id()
    (tail,) = folder.glob("*-open.jsonl")
    tail.write_bytes(tail.read_bytes()[:cut])
    sealed = {path: path.stat().st_ino for path in folder.glob("*-*-*.jsonl")}
    book.catch_up_mirrors()
    assert lacks(book, there) == 0
    assert {path: path.stat().st_ino for path in folder.glob("*-*-*.jsonl")} == sealed


def test_a_fork_is_not_gone_on_with(book: Ledger, there: Path, fate: Fate) -> None:
    """Where the open segment is empty, the sealed one before it must be of this log."""
    del fate
    book.mirror_add(str(there))
    while book.head().seq <= 2 * BLOCK:
        book.allocate(f"train-{book.head().seq}", 1, 1)
    folder = there / book.ledger_id()
    (tail,) = folder.glob("*-open.jsonl")
    tail.write_bytes(b"")
    last = max(folder.glob("*-*-*.jsonl"))
    last.rename(folder / f"{last.name[:26]}{'ab' * 32}.jsonl")
    before = len(held(book, there))
    book.catch_up_mirrors()
    assert len(held(book, there)) == before
    assert book.mirrors()[0][0].trouble == "diverged"


def test_a_hole_wider_than_one_turn_writes(book: Ledger, there: Path, fate: Fate) -> None:
    """What the log itself has lost does not keep a mirror from going on behind it."""
    del fate
    while book.head().seq < 40:
        book.allocate("train", 1)
        book.release("train")
    left = [event for event in book.log.read(0) if not 6 <= event.seq <= 30]

    def read(after: int, upto: int) -> Iterator[Event]:
        return (event for event in left if after < event.seq <= upto)

    mirror = Mirror(str(there), book.ledger_id(), book.path)
    mirror.prepare()
    head = book.head()
    for _ in range(3):
        told = mirror.write(read, head, head)
    assert (told.trouble, told.seq) == (None, head.seq)
    known: Head = check(str(there)).head
    assert known.hash == head.hash
