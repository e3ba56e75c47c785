"""Invariants 1, 6, 10: whatever is changed behind the program's back is found, at a named seq."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

import forging
from conftest import RunCli
from forging import Raw
from gpuledger.handle import Ledger
from gpuledger.ledger.errors import GpuledgerError, LostTail
from gpuledger.ledger.note import Note, read_note
from lively_team import Lively
from small_pools import ROOT, ledger

Record = Callable[[str, object], None]
Connection = Any


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, rng_seed: int) -> Path:
    """A closed ledger of some hundred events, with retry keys here and there."""
    path = tmp_path_factory.mktemp("told") / "ledger.db"
    team = Lively(path, rng_seed)
    for act in range(100):
        team.act()
        if act % 10 == 0:
            team.root.release("@1", if_held=True)
            team.root.allocate(f"keyed-{act}", 1, 1, key=f"k{act}").release()
    team.root.rebuild()
    for one in (team.root, team.ada, team.bob):
        one.close()
    return path


@pytest.fixture
def copy(told: Path, tmp_path: Path) -> Path:
    return copied(told, tmp_path / "copy.db")


def copied(path: Path, to: Path) -> Path:
    """Copy a ledger, its -wal where there is one, and its lock file."""
    for suffix in ("", "-wal", "-shm", ".lock"):
        source, target = path.with_name(path.name + suffix), to.with_name(to.name + suffix)
        target.unlink(missing_ok=True)
        if suffix != "-shm" and source.exists():
            shutil.copyfile(source, target)
    return to


@pytest.fixture
def campaign(full: bool, rng_seed: int) -> tuple[int, Random]:
    """How many cases of a kind are tried, and what chooses them."""
    return 300 if full else 25, Random(rng_seed)


@pytest.fixture
def places(told: Path, full: bool, rng_seed: int) -> list[int]:
    """The seqs at which the log is harmed: all but the first and the last, or four of them."""
    inner = range(2, len(forging.rows(told)))
    return list(inner) if full else Random(rng_seed).sample(inner, 4)


def edited(row: Raw, column: str) -> Raw:
    """The row with another value in one column, as an edit by hand would leave it."""
    value = getattr(row, column)
    if column == "key":
        return row._replace(key="k" if value is None else value + "x")
    if column == "data":
        changed = value.replace("uid", "gid", 1) if "uid" in value else value[:-1] + ',"x":1}'
        return row._replace(data=changed)
    if isinstance(value, bytes):
        return row._replace(**{column: bytes([value[0] ^ 1]) + value[1:]})
    return row._replace(**{column: value + (1 if isinstance(value, int) else "x")})


def rewrite(path: Path, rows: list[Raw]) -> None:
    """Make the table hold these rows and no others, its triggers in place again."""
    with forging.unguarded(path) as connection:
        connection.execute("BEGIN")
        connection.execute("DELETE FROM events")
        for row in rows:
            forging.insert(connection, row)
        connection.execute("COMMIT")


def swapped(rows: list[Raw], at: int) -> list[Raw]:
    """Two neighbours in each other's place."""
    one, two = rows[at - 1 : at + 1]
    return [*rows[: at - 1], two._replace(seq=one.seq), one._replace(seq=two.seq), *rows[at + 1 :]]


def inserted(rows: list[Raw], at: int, *, sealed: bool) -> list[Raw]:
    """An event put in at seq `at`, all later ones moved on by one."""
    before, data = rows[at - 2], '{"allocations":[],"by":{"user":"root"},"cause":"owner"}'
    new = before._replace(seq=at, kind="allocation.released", data=data, prev=before.hash, key=None)
    new = new.hashed() if sealed else new
    return [*rows[: at - 1], new, *(row._replace(seq=row.seq + 1) for row in rows[at - 1 :])]


HARMS: dict[str, Callable[[list[Raw], int], list[Raw]]] = {
    **{
        f"{column} edited": lambda rows, at, column=column: [
            edited(row, column) if row.seq == at else row for row in rows
        ]
        for column in Raw._fields
        if column != "seq"
    },
    "seq edited": lambda rows, at: [
        row._replace(seq=999_999) if row.seq == at else row for row in rows
    ],
    "row deleted": lambda rows, at: [row for row in rows if row.seq != at],
    "rows swapped": swapped,
    "row inserted": lambda rows, at: inserted(rows, at, sealed=False),
    "row inserted, with its hash": lambda rows, at: inserted(rows, at, sealed=True),
    "hash forged": lambda rows, at: [
        edited(row, "actor").hashed() if row.seq == at else row for row in rows
    ],
}


def first_wrong(harm: str, at: int, rows: list[Raw]) -> int:
    """The seq that is to be named first."""
    consistent = harm in ("row inserted, with its hash", "hash forged")
    return at + 1 if consistent and at < len(rows) else at


@pytest.mark.parametrize("harm", HARMS)
def test_the_first_bad_seq_is_named(
    harm: str, told: Path, copy: Path, places: list[int], run_cli: RunCli
) -> None:
    """With the triggers dropped first, each change of the rows is found and named, and exits 1."""
    rows = forging.rows(told)
    for at in places:
        rewrite(copied(told, copy), HARMS[harm](rows, at))
        with Ledger(str(copy), actor=ROOT) as book:
            found = book.verify().problems
            assert found[0].seq == first_wrong(harm, at, rows), (at, found)
            assert book.state().pieces
    answer = run_cli("--ledger", copy, "audit", "verify", "--json")
    assert answer.returncode == 1
    document = json.loads(answer.stdout)
    assert not document["ok"]
    assert document["problems"][0]["seq"] == first_wrong(harm, at, rows)


@pytest.mark.parametrize("harm", HARMS)
def test_a_writer_refuses_what_does_not_link(harm: str, told: Path, copy: Path) -> None:
    """Behind the last snapshot a change is found by the next writer; it appends nothing."""
    rows = forging.rows(told)
    rewrite(copy, HARMS[harm](rows, len(rows) - 1))
    with forging.opened(copy) as connection:
        connection.execute("DELETE FROM snapshot")
    changed = forging.rows(copy)
    with Ledger(str(copy), actor=ROOT) as book, pytest.raises(GpuledgerError) as caught:
        book.allocate("never", 1)
    assert caught.value.code in ("broken_chain", "lost_tail", "unknown_event")
    assert forging.rows(copy) == changed


def test_a_history_rewritten_from_a_place_on(
    told: Path, copy: Path, run_cli: RunCli, tmp_path: Path
) -> None:
    """All rehashed after an edit: the lock file tells, and without it a head kept elsewhere."""
    rows = forging.rows(told)
    head = f"{rows[-1].seq}:{rows[-1].hash.hex()}"
    early = f"{rows[9].seq}:{rows[9].hash.hex()[:16]}"
    grant = next(row for row in rows[10:] if row.kind == "allocation.granted")
    forged = grant._replace(data=grant.data.replace('"user":"', '"user":"not-', 1))
    rewrite(copy, [forged if row.seq == grant.seq else row for row in rows])
    forging.rehash_from(copy, grant.seq)
    with forging.opened(copy) as connection:
        for table in ("snapshot", "pieces", "holdings", "capacity"):
            connection.execute(f"DELETE FROM {table}")

    def verify(*words: str) -> tuple[int, str]:
        answer = run_cli("--ledger", copy, "audit", "verify", *words)
        return answer.returncode, answer.stdout

    code, said = verify()
    assert (code, f"the lock file tells another head at seq {rows[-1].seq}" in said) == (1, True)
    copy.with_name(copy.name + ".lock").unlink()
    code, said = verify()
    assert (code, "consistent; not compared with an outside copy" in said) == (0, True)
    code, said = verify("--expect", head)
    assert (code, f"seq {rows[-1].seq} does not have the hash" in said) == (1, True)
    code, said = verify("--expect", early)
    assert (code, f"the expected head {early} is in it" in said) == (0, True)


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Path]:
    """A ledger that somebody has open, so that its last events lie in the -wal alone."""
    path = tmp_path / "live.db"
    with ledger(path) as book:
        for at in range(40):
            book.allocate(f"t{at}", 1, 1).release()
        yield path


def wal_of(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def damaged(raw: bytes, random: Random, *, cut: bool) -> bytes:
    """A -wal cut short, or with one bit flipped."""
    at = random.randrange(len(raw))
    return raw[:at] if cut else flipped(raw, at, random.randrange(8))


def flipped(raw: bytes, at: int, bit: int) -> bytes:
    """The bytes with one bit flipped."""
    return raw[:at] + bytes([raw[at] ^ 1 << bit]) + raw[at + 1 :]


@pytest.mark.parametrize("cut", [True, False], ids=["cut", "flipped"])
def test_a_tail_that_sqlite_forgets(
    cut: bool, live: Path, campaign: tuple[int, Random], record_property: Record
) -> None:
    """A -wal cut or flipped anywhere: the lost seqs are named, and what is left can be read."""
    (times, random), raw = campaign, wal_of(live).read_bytes()
    noted = read_note(str(live) + ".lock")
    assert isinstance(noted, Note)
    lost = []
    for _ in range(times):
        copy = copied(live, live.with_name("copy.db"))
        bad = damaged(raw, random, cut=cut)
        wal_of(copy).write_bytes(bad)
        with Ledger(str(copy), actor=ROOT) as book:
            left = book.head().seq
            lost.append(noted.seq - left)
            if left == noted.seq:
                assert book.verify().ok
                continue
            problems = [(one.seq, one.what) for one in book.verify().problems]
            assert problems == [(left + 1, "tail")]
            assert book.state().seq == left
            assert "what was acknowledged is missing" in book.notices[0]
            with pytest.raises(LostTail) as caught:
                book.allocate("never", 1)
            assert (caught.value.first, caught.value.last) == (left + 1, noted.seq)
        assert wal_of(copy).read_bytes() == bad, "what could still be saved is gone"
    assert sum(map(bool, lost)) > len(lost) // 2
    record_property("events lost, at most and in how many cases", (max(lost), sum(map(bool, lost))))


@pytest.mark.parametrize("cut", [True, False], ids=["cut", "flipped"])
def test_commands_on_a_forgotten_tail(
    cut: bool, live: Path, tmp_path: Path, run_cli: RunCli
) -> None:
    """Writing exits 1 and says which events are lost; status and history go on; the -wal stays."""
    copy = copied(live, tmp_path / "copy.db")
    raw = wal_of(copy).read_bytes()
    half = len(raw) // 2
    bad = raw[:half] if cut else flipped(raw, half, 0)
    wal_of(copy).write_bytes(bad)
    for words in (("allocate", "x", "1"), ("release", "--mine"), ("rebuild",)):
        answer = run_cli("--ledger", copy, *words)
        assert answer.returncode == 1
        assert "to 81, which were written and acknowledged" in answer.stderr
    for words in (("status",), ("history",), ("list",), ("audit", "usage")):
        assert run_cli("--ledger", copy, *words).returncode == 0
    answer = run_cli("--ledger", copy, "audit", "verify")
    assert (answer.returncode, "to 81" in answer.stdout) == (1, True)
    assert wal_of(copy).read_bytes() == bad


SCHEMA_HARMS = {
    "DROP TRIGGER events_insert": "trigger events_insert",
    "DROP TRIGGER events_update": "trigger events_update",
    "DROP TRIGGER events_delete": "trigger events_delete",
    "DROP INDEX events_keys": "index events_keys",
    "ALTER TABLE events ADD COLUMN more TEXT": "table events",
    "CREATE TRIGGER mine AFTER INSERT ON events BEGIN SELECT 1; END": "trigger mine",
}


@pytest.mark.parametrize("harm", SCHEMA_HARMS)
def test_a_changed_schema_is_named(harm: str, copy: Path) -> None:
    """A trigger, index or column that came or went is named by itself, and nothing else is."""
    with forging.opened(copy) as shell:
        shell.execute(harm)
    with Ledger(str(copy), actor=ROOT) as book:
        assert [one.detail for one in book.verify().problems] == [SCHEMA_HARMS[harm]]
        assert book.state().pieces


def test_a_log_without_events(copy: Path, run_cli: RunCli) -> None:
    """All events, the stores and the lock file gone: verify misses seq 1, nothing crashes."""
    with forging.unguarded(copy) as shell:
        for table in ("events", "snapshot", "pieces", "holdings", "capacity"):
            shell.execute(f"DELETE FROM {table}")
    copy.with_name(copy.name + ".lock").unlink()
    answer = run_cli("--ledger", copy, "audit", "verify")
    assert (answer.returncode, answer.stdout.startswith("seq 1 is missing\n")) == (1, True)
    for words in (("status",), ("list",), ("allocate", "x", "1"), ("export",), ("rebuild",)):
        answer = run_cli("--ledger", copy, *words)
        assert answer.returncode == 1
        assert "event 1 of " in answer.stderr, words


def test_a_first_event_that_is_void(told: Path, copy: Path) -> None:
    """Where no event makes a pool, state and writing are refused by seq 1, which verify names."""
    first = forging.rows(told)[0]
    data = json.loads(first.data)
    data["pool"]["servers"].append(data["pool"]["servers"][0])
    rewrite(copy, [first._replace(data=forging.spelled(data)).hashed()])
    with Ledger(str(copy), actor=ROOT) as book:
        assert (1, "void") in {(one.seq, one.what) for one in book.verify().problems}
        assert attempt(lambda: book.state().pool).seq == 1
        assert attempt(lambda: book.allocate("x", 1)).code in ("lost_tail", "broken_chain")


def test_a_seq_beyond_all_bounds(copy: Path) -> None:
    """A row moved to the greatest seq there is: verify ends, and names the hole."""
    with forging.unguarded(copy) as shell:
        (last,) = shell.execute("SELECT max(seq) FROM events").fetchone()
        shell.execute("UPDATE events SET seq = 9223372036854775807 WHERE seq = ?", (last,))
    with Ledger(str(copy), actor=ROOT) as book:
        first = book.verify().problems[0]
        assert (first.seq, first.what) == (last, "missing")
        assert attempt(lambda: book.allocate("x", 1)).code in ("lost_tail", "broken_chain")


def attempt(act: Callable[[], Any]) -> Any:  # noqa: ANN401 - whatever the act answers
    """What an act answers, or the error of ours that it ends with."""
    try:
        return act()
    except GpuledgerError as error:
        return error


def test_a_byte_flipped_anywhere_in_the_file(
    told: Path, copy: Path, campaign: tuple[int, Random], record_property: Record
) -> None:
    """Wherever the file is damaged, verify tells, or no answer differs; all errors are ours."""
    (times, random), whole = campaign, told.read_bytes()
    rows, found = forging.rows(told), 0
    with Ledger(str(copy)) as book:
        pieces = book.state().pieces
    for _ in range(times):
        copied(told, copy)
        copy.write_bytes(flipped(whole, random.randrange(len(whole)), random.randrange(8)))
        with Ledger(str(copy), actor=ROOT) as book:
            verified = attempt(book.verify)
            if getattr(verified, "ok", False):
                assert forging.rows(copy) == rows
                assert book.state().pieces == pieces
            else:
                found += 1
            attempt(book.state)
            attempt(lambda: book.allocate("new", 1, 1))
    record_property("found by verify", found)


@pytest.mark.parametrize("kind", ["allocation.granted", "pool.changed", "ledger.reset", "nonsense"])
def test_verify_is_total(kind: str, told: Path, copy: Path, campaign: tuple[int, Random]) -> None:
    """Whatever JSON stands in an event, verify names it; it never breaks off."""
    (times, random), rows = campaign, forging.rows(told)
    for _ in range(times):
        at = random.randrange(2, len(rows))
        data = forging.spelled(nonsense(random, json.loads(rows[at - 1].data), 3))
        forged = rows[at - 1]._replace(kind=kind, data=data)
        rewrite(copied(told, copy), [forged if row.seq == at else row for row in rows])
        forging.rehash_from(copy, at)
        with Ledger(str(copy), actor=ROOT) as book:
            assert not book.verify().ok


def nonsense(random: Random, value: Any, depth: int) -> Any:  # noqa: ANN401 - any JSON value
    """Something like `value`, but wrong somewhere: other types, other shapes."""
    if depth == 0 or random.random() < 0.15:
        return random.choice(
            [None, True, -1, 2**53 - 1, "", "x", [], [[]], {}, {"a": None}, [0, "0"]]
        )
    if isinstance(value, dict):
        extra = {
            random.choice(["servers", "allocations", "ended", "x"]): random.choice([5, [5], {}])
        }
        kept = {name: nonsense(random, one, depth - 1) for name, one in value.items()}
        return kept | (extra if random.random() < 0.5 else {})
    if isinstance(value, list):
        return [nonsense(random, one, depth - 1) for one in value]
    return value
