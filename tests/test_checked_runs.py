"""Rows checked many at once: what the quick check lets pass is what the slow one lets pass."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import forging
from gpuledger.handle import Ledger
from gpuledger.replay.checked_runs import RunCheck
from gpuledger.replay.checked_words import closed, spelled
from gpuledger.replay.holding import Holding
from gpuledger.replay.problem import Problem
from small_pools import ADA, ledger

AT = 4


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed ledger of some events, one of them with letters that are not ASCII."""
    path = tmp_path_factory.mktemp("told") / "ledger.db"
    with ledger(path, actor=ADA) as ada:
        for name in ("a", "b", "größe", "d"):
            ada.allocate(name, 1, 1, note='she said: "é\\":"', key=f"für {name}")
        ada.release("b")
    return path


@pytest.fixture
def copy(told: Path, tmp_path: Path) -> Path:
    """A copy that may be harmed."""
    return Path(shutil.copyfile(told, tmp_path / "copy.db"))


def found(path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Problem, ...]:
    """What a verification finds, the same with and without the quick check."""
    with Ledger(str(path)) as book:
        quick = book.verify().problems
        with monkeypatch.context() as patched:
            patched.setattr(RunCheck, "values", lambda *_: None)
            assert book.verify().problems == quick
    return quick


def test_a_sound_log_is_checked_at_once(told: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No row of it needs the slow check, whatever letters and keys it has."""
    rows = forging.rows(told)
    said = RunCheck().values(rows, 0, 0, bytes(32))
    assert said is not None
    assert len(said) == len(rows)
    assert found(told, monkeypatch) == ()


@pytest.mark.parametrize(
    "data",
    [
        '{"a":1.0}', '{"a":1e2}', '{"a":-0}', '{"a":01}', '{"a":9007199254740992}',
        '{"a":-9007199254740992}', '{"a":NaN}', '{"a":1,"a":1}', '{"b":1,"a":1}', '{"a": 1}',
        '{"a":1} ', ' {"a":1}', '{"é":1}', '{"a\\"é\\"":1}', '{"a":"\\u0041"}', '{"a":"\\/"}',
        '{"a":"\\ud800"}', '{"a":"\\u001F"}', '{"a":[1.5]}', '{"a":{"b":{"c":[[[[2.5]]]]}}}',
        '{"a":[[[[[[[[[[9007199254740992]]]]]]]]]]}', "[" * 90_000 + "]" * 90_000, "[1]", '"a"',
        "{}x", '{"a":1},{"b":2}', '{"a":[{}', "{}]},{}", "\ufeff{}", "12", "no",
    ],
)  # fmt: skip
def test_data_that_is_not_canonical(copy: Path, data: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though every hash fits it, the verifier finds it, whichever way it goes."""
    with forging.unguarded(copy) as connection:
        connection.execute("UPDATE events SET data = ? WHERE seq = ?", (data, AT))
    forging.rehash_from(copy, AT)
    problems = found(copy, monkeypatch)
    canonical = Problem(AT, "canonical") in problems
    assert canonical == (data not in ("[1]", '"a"', "12"))
    assert {one.seq for one in problems if one.what == "hash"} == set()


def test_two_neighbours_that_are_right_together(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Data of two rows that only makes canonical JSON when it is joined is found in both."""
    with forging.unguarded(copy) as connection:
        for seq, data in ((AT, '{"a":[{}'), (AT + 1, "{}]},{}")):
            connection.execute("UPDATE events SET data = ? WHERE seq = ?", (data, seq))
    forging.rehash_from(copy, AT)
    problems = found(copy, monkeypatch)
    assert {Problem(AT, "canonical"), Problem(AT + 1, "canonical")} <= set(problems)


@pytest.mark.parametrize(
    "harm",
    [
        "at = at + 1", "at = 0", "at = at + 0.5", "version = 3", "version = 2.5", "kind = 'x'",
        "kind = CAST(kind AS BLOB)", "actor = CAST(actor AS BLOB)", "data = CAST(data AS BLOB)",
        "key = 'other'", "key = NULL", "key = CAST(key AS BLOB)", "prev = zeroblob(32)",
        "hash = zeroblob(32)", "prev = hex(zeroblob(16))", "actor = CAST(X'ff' AS TEXT)",
    ],
)  # fmt: skip
def test_columns_that_are_not_as_they_were(
    copy: Path, harm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A value or a type that was changed is found by both, and named the same."""
    forging.reshape(copy, "replace(sql, ') STRICT', ')')")
    with forging.unguarded(copy) as connection:
        connection.execute("PRAGMA ignore_check_constraints = 1")
        connection.execute(f"UPDATE events SET {harm} WHERE seq = ?", (AT,))
    forging.reshape(copy, "sql || ' STRICT'")
    assert found(copy, monkeypatch)


@pytest.mark.parametrize("harm", ["key = 'other'", "key = NULL", "actor = actor || 'x'"])
def test_an_index_that_does_not_lead_to_a_row(
    copy: Path, harm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A retry key that was changed behind its index, and hashed anew, is found all the same."""
    schema = "sqlite_schema WHERE name = 'events_keys'"
    with forging.opened(copy) as connection:
        connection.execute("PRAGMA writable_schema=ON")
        kept = connection.execute(f"SELECT * FROM {schema}").fetchone()
        connection.execute(f"DELETE FROM {schema}")
    with forging.unguarded(copy) as connection:
        connection.execute(f"UPDATE events SET {harm} WHERE seq = ?", (AT,))
    forging.rehash_from(copy, AT)
    with forging.opened(copy) as connection:
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute("INSERT INTO sqlite_schema VALUES (?, ?, ?, ?, ?)", kept)
    lost = Problem(AT, "index", "key") in found(copy, monkeypatch)
    assert lost == (harm != "key = NULL")


def test_a_file_in_another_encoding(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts that read the same, but lie there in other bytes than those that were hashed."""
    other = copy.with_name("other.db")
    with forging.opened(copy) as connection:
        script = "\n".join(connection.iterdump())
        marks = [connection.execute(f"PRAGMA {one}").fetchone()[0] for one in MARKS]
    with forging.opened(other) as connection:
        connection.execute("PRAGMA encoding = 'UTF-16le'")
        connection.executescript(script)
        for name, value in zip(MARKS, marks, strict=True):
            connection.execute(f"PRAGMA {name} = {value}")
    assert any(one.what == "hash" for one in found(other, monkeypatch))


MARKS = ("application_id", "user_version")
WORDS = st.text(max_size=5)
MAYBE = st.none() | WORDS
NUMBERS = st.integers(-(2**53) + 1, 2**53 - 1)


@given(
    st.builds(
        Holding, NUMBERS, WORDS, st.lists(NUMBERS, max_size=3).map(tuple), NUMBERS, WORDS, WORDS,
        NUMBERS, st.none() | NUMBERS, st.none() | st.lists(MAYBE, max_size=3).map(tuple), MAYBE,
        MAYBE, MAYBE, MAYBE, NUMBERS, st.none() | NUMBERS, st.none() | NUMBERS,
    )
)  # fmt: skip
def test_holdings_are_spelled_as_records_are(holding: Holding) -> None:
    """Field by field in the order of their names is what the standard library makes of it."""
    assert closed(holding) == spelled(holding)
