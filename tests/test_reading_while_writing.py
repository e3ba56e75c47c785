"""Invariant 9: reading works on what one may only read, and while others write without a pause."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import forging
from conftest import RunCli
from gpuledger.handle import Ledger
from people import Person, Program, a_program, interpreter
from prefixes import Booked
from random_writer import Writer
from small_pools import ledger, pool

Record = Callable[[str, object], None]
HERE = Path(__file__).parent
NOBODY = Person("nobody-at-all", 64_322, 64_322)
COMMANDS = (
    ("status",),
    ("status", "--gpus"),
    ("list",),
    ("history",),
    ("audit", "who", "s0"),
    ("audit", "usage", "-S", "2020-01-01", "-E", "AT"),
    ("audit", "refusals"),
    ("audit", "diff", "-6h", "now"),
    ("audit", "verify"),
    ("pool", "show"),
)
MOVING = ("at", "elapsed_s", "held_s", "window", "from", "to")
"""What an answer tells of the moment at which it was asked."""


@pytest.fixture(scope="module")
def program(root: Path, needs: Callable[..., None]) -> Iterator[Program]:
    needs("root", "linux")
    python = interpreter()
    if python is None:
        needs("an interpreter of this version that everybody can execute")
        return
    with a_program(root, python) as made:
        yield made


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that everybody may enter and that only root may write."""
    path = Path(tempfile.mkdtemp(prefix="gpuledger-test-", dir="/var/tmp")).resolve()
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def busy(path: Path) -> Ledger:
    """A ledger with some work behind it, which stays open."""
    book = ledger(path, pool(2, 8, 64))
    Writer(book, "before").run(80)
    return book


def put(path: Path, folder: Path, *suffixes: str) -> Path:
    """Copy a ledger's files into the folder, readable for all."""
    for suffix in suffixes:
        target = folder / f"ledger.db{suffix}"
        shutil.copyfile(path.with_name(path.name + suffix), target)
        target.chmod(0o444)
    return folder / "ledger.db"


def settled(answer: Any) -> Any:  # noqa: ANN401 - any JSON document
    """An answer without what depends on the moment at which it was asked."""
    if isinstance(answer, dict):
        return {name: settled(one) for name, one in answer.items() if name not in MOVING}
    return [settled(one) for one in answer] if isinstance(answer, list) else answer


def answers(program: Program, person: Person | None, path: Path, book: Ledger) -> list[Any]:
    """What each command says, asked by that person; sums up to the last event of `book`."""
    last = datetime.fromtimestamp(book.head().at / 1e6, UTC).isoformat()
    found = []
    for command in COMMANDS:
        words = [last if word == "AT" else word for word in command]
        done = program.run(person, "--ledger", path, *words, "--json")
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        found.append(settled(json.loads(done.stdout)))
    return found


def beside(folder: Path) -> dict[str, bytes]:
    return {one.name: one.read_bytes() for one in folder.iterdir()}


def seq_of(found: list[Any]) -> int:
    return int(found[0]["seq"])


def test_a_copy_without_its_wal(program: Program, folder: Path, ledger_path: Path) -> None:
    """The file alone, read-only, in a folder of others: each report answers and makes nothing."""
    book = busy(ledger_path)
    book.close()
    copy = put(ledger_path, folder, "")
    before = beside(folder)
    found = answers(program, NOBODY, copy, book)
    assert found == answers(program, None, ledger_path, book)
    assert beside(folder) == before
    assert seq_of(found) == len(forging.rows(ledger_path))


def test_a_copy_with_its_wal_and_no_shm(program: Program, folder: Path, ledger_path: Path) -> None:
    """A file and -wal in a folder that one may not write: the newest events are in each report."""
    with busy(ledger_path) as book:
        copy = put(ledger_path, folder, "", "-wal")
        before = beside(folder)
        found = answers(program, NOBODY, copy, book)
        assert found == answers(program, None, ledger_path, book)
        assert seq_of(found) == book.head().seq
    assert beside(folder) == before


def test_a_ledger_that_others_have_open(program: Program, folder: Path) -> None:
    """Beside a writer that stays, who may only read sees each event as soon as it is granted."""
    with busy(folder / "ledger.db") as book:
        for one in folder.iterdir():
            one.chmod(0o644)
        for name in ("first", "second"):
            number = book.allocate(name, 1, 1, on_words=()).id
            found = answers(program, NOBODY, folder / "ledger.db", book)
            assert seq_of(found) == number
            assert name in {one["task"] for one in found[2]["allocations"]}


def start(name: str, *args: str | Path) -> subprocess.Popen[str]:
    """Start one of the programs beside this file."""
    return subprocess.Popen(
        [sys.executable, HERE / name, *map(str, args)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_commands_while_eight_write(
    ledger_path: Path, full: bool, run_cli: RunCli, record_property: Record
) -> None:
    """With eight writers that never pause each report exits 0, and verify finds nothing."""
    ledger(ledger_path, pool(4, 8, 64)).close()
    codes: Counter[int] = Counter()
    with ExitStack() as stack:
        writers = [
            stack.enter_context(start("random_writer.py", ledger_path, f"w{at}", "100000", "plain"))
            for at in range(8)
        ]
        for one in writers:
            stack.callback(one.kill)
            assert one.stdin is not None
            one.stdin.write("go\n")
            one.stdin.flush()
        for _ in range(8 if full else 1):
            for command in COMMANDS:
                words = ["now" if word == "AT" else word for word in command]
                answer = run_cli("--ledger", ledger_path, *words, "--json")
                assert answer.returncode == 0, (words, answer.stdout, answer.stderr)
                codes[answer.returncode] += 1
        assert [one.poll() for one in writers] == [None] * 8
    rows = forging.rows(ledger_path)
    Booked().follow(rows)
    with Ledger(str(ledger_path)) as book:
        assert book.verify().problems == ()
    record_property("commands, events meanwhile", (codes[0], len(rows)))


def test_readers_that_never_pause(ledger_path: Path, full: bool, record_property: Record) -> None:
    """Eight readers see only whole states, in order, and the -wal stays under 16 MiB meanwhile."""
    wal, sizes = ledger_path.with_name("ledger.db-wal"), [0]
    with busy(ledger_path) as book, ExitStack() as stack:
        readers = [stack.enter_context(start("restless_reader.py", ledger_path)) for _ in range(8)]
        for one in readers:
            stack.callback(one.kill)
            assert one.stdout is not None
            assert one.stdout.readline() == "reading\n"
        for at in range(2500 if full else 250):
            book.allocate(f"t{at}", 1, 1, key=f"k{at}").release()
            sizes.append(wal.stat().st_size)
        times = []
        for one in readers:
            said, complaint = one.communicate("", timeout=300)
            assert (one.returncode, complaint) == (0, "")
            times.append(int(said))
    assert min(times) > 0
    assert max(sizes) < 16 * 2**20
    record_property("largest -wal, MiB", round(max(sizes) / 2**20, 2))
    record_property("rounds of each reader", times)
