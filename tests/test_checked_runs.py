"""Rows checked many at once: what the quick check lets pass is what the slow one lets pass."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import forging
from gpuledger.handle import Ledger
from gpuledger.replay.checked_runs import RunCheck
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
    raw = [
        (
            row.seq, row.at, row.kind.encode(), row.version, row.actor.encode(),
            None if row.key is None else row.key.encode(), row.data.encode(), row.prev, row.hash, 1,
        )
        for row in rows
    ]  # fmt: skip
    said = RunCheck().values(raw, 0, 0, bytes(32))
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
