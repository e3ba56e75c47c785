"""Damage of every kind, and what the program makes of it, each case in a process of its own.

A judge is forked from a warm process that has no ledger open: it writes the damaged copy, asks
everything that can be asked, and answers with one word. The answer is in time or the case failed.
"""

from __future__ import annotations

import os
import select
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import NamedTuple

from gpuledger.handle import Ledger
from gpuledger.ledger.errors import GpuledgerError
from gpuledger.replay.piece import state_hash
from lively_team import Lively
from small_pools import ROOT

PAGE = 4096
LIMIT_S = 5
"""Seconds of a processor that a case may take, however busy the machine is."""
PATIENCE_S = 60.0
"""Seconds after which whoever does not even compute is taken to hang."""


class Files(NamedTuple):
    """A ledger as it lies on the disk while somebody has it open: file, -wal, lock file."""

    main: bytes
    wal: bytes
    lock: bytes

    def put(self, path: Path) -> None:
        """Write them, with no -shm beside, as after a crash."""
        for suffix, raw in (("", self.main), ("-wal", self.wal), (".lock", self.lock)):
            path.with_name(path.name + suffix).write_bytes(raw)
        path.with_name(path.name + "-shm").unlink(missing_ok=True)


class Truth(NamedTuple):
    """What the undamaged ledger says: all its rows, and the state after each of some seqs."""

    rows: str
    states: dict[int, str]
    head: int


def rows_digest(path: Path) -> str:
    """A digest of every column of every event, by plain sqlite3, as bytes."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        connection.text_factory = bytes
        found = sha256()
        for row in connection.execute("SELECT * FROM events ORDER BY seq"):
            found.update(repr(row).encode())
        return found.hexdigest()


def state_digest(book: Ledger) -> tuple[int, str]:
    """The seq and the state hash, leases that are due not counted as ended."""
    state = book.state()
    return state.seq, state_hash(dict(state.pieces)).hex()


def lively_files(path: Path, seed: int, events: int, in_wal: int) -> tuple[Files, Truth]:
    """A ledger of about so many events, the last of them in the -wal alone, and its truth."""
    team = Lively(path, seed)
    while team.root.head().seq < events - in_wal:
        team.act()
    team.root.rebuild()
    for book in (team.root, team.ada, team.bob):
        book.close()
    states = {}
    while team.root.head().seq < events:
        team.act()
        with Ledger(str(path), actor=ROOT, clock_us=lambda: 0) as book:
            states.update([state_digest(book)])
    files = Files(
        *(path.with_name(path.name + suffix).read_bytes() for suffix in ("", "-wal", ".lock"))
    )
    return files, Truth(rows_digest(path), states, team.root.head().seq)


def flipped(raw: bytes, random: Random) -> bytes:
    """One byte changed into any other."""
    at = random.randrange(len(raw))
    return raw[:at] + bytes([raw[at] ^ random.randrange(1, 256)]) + raw[at + 1 :]


def overwritten(raw: bytes, random: Random) -> bytes:
    """A page of noise, of zeros or of another page's bytes in place of one, or the file cut off."""
    kind = random.choice(["noise", "zeros", "other", "cut", "cut within"])
    pages = len(raw) // PAGE
    start = random.randrange(pages) * PAGE
    if kind.startswith("cut"):
        return raw[: start + (random.randrange(PAGE) if kind == "cut within" else 0)]
    source = random.randrange(pages) * PAGE
    put = {
        "noise": random.randbytes(PAGE),
        "zeros": bytes(PAGE),
        "other": raw[source : source + PAGE],
    }[kind]
    return raw[:start] + put + raw[start + PAGE :]


Harm = Callable[[bytes, Random], bytes]


def harmed(files: Files, harm: Harm, random: Random) -> Files:
    """The files with the file or its -wal harmed, the larger one more often."""
    if random.randrange(len(files.main) + len(files.wal)) < len(files.main):
        return files._replace(main=harm(files.main, random))
    return files._replace(wal=harm(files.wal, random))


def verdict(path: Path, truth: Truth) -> str:
    """`found`, `harmless`, or what is wrong."""
    found = _verified(path)
    wrong = _wrong_answer(path, truth)
    if wrong or found:
        return wrong or "found"
    if rows_digest(path) != truth.rows:
        return "verify says nothing, and the events are others"
    return "harmless"


def _verified(path: Path) -> bool:
    """Whether a verification finds something, or says that it cannot read."""
    try:
        with Ledger(str(path), actor=ROOT) as book:
            return not book.verify().ok
    except GpuledgerError:
        return True


def _wrong_answer(path: Path, truth: Truth) -> str:
    """What a reader was told that is not so, without a word of warning; empty where nothing."""
    with suppress(GpuledgerError), Ledger(str(path), actor=ROOT, clock_us=lambda: 0) as book:
        seq, digest = state_digest(book)
        if not book.notices and (seq, digest) != (truth.head, truth.states[truth.head]):
            return f"a state at seq {seq} that is not the truth, without a word"
    return ""


def judged(case: Files, folder: Path, truth: Truth) -> str:
    """The verdict, made in a child that dies when its time is over."""
    import resource

    path = folder / "ledger.db"
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        word = "no answer"
        try:
            resource.setrlimit(resource.RLIMIT_CPU, (LIMIT_S, LIMIT_S + 1))
            case.put(path)
            word = verdict(path, truth)
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is the verdict
            word = f"crashed: {error!r}"
        finally:
            os.write(writing, word.encode()[:4000])
            os._exit(0)
    os.close(writing)
    ready, _, _ = select.select([reading], [], [], PATIENCE_S)
    if not ready:
        os.kill(pid, signal.SIGKILL)
    word = os.read(reading, 4096).decode() if ready else f"no answer in {PATIENCE_S:.0f} s"
    os.close(reading)
    status = os.waitpid(pid, 0)[1]
    slow = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU
    return word or (f"over {LIMIT_S} s of a processor" if slow else f"died of {status}")
