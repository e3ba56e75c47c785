"""`audit verify`: what it says, what it compares with, and how it ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from chosen_times import document
from conftest import RunCli
from forging import opened, rows, unguarded
from gpuledger.cli.sentence_problem import EVENT, FILE, next_step, problem_sentence
from gpuledger.replay.problem import PROBLEMS, Problem
from small_pools import ADA, ledger


@pytest.fixture
def told(ledger_path: Path) -> Path:
    """A ledger with a few events, and a snapshot that stands at the last."""
    with ledger(ledger_path, actor=ADA) as ada:
        for name in ("a", "b", "c"):
            ada.allocate(name, 1, 1)
        ada.release("b")
        ada.rebuild()
    return ledger_path


def test_a_sound_ledger(told: Path, run_cli: RunCli) -> None:
    """It is said that nothing is wrong, and that no outside copy was compared with."""
    done = run_cli("--ledger", told, "audit", "verify")
    last = rows(told)[-1]
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "consistent; not compared with an outside copy",
        f"head 5:{last.hash.hex()[:16]}",
    ]


@pytest.mark.parametrize("digits", [16, 40, 64])
def test_an_expected_head(told: Path, run_cli: RunCli, digits: int) -> None:
    """A head kept elsewhere, of 16 digits or more, anchors the answer wherever in the log it is."""
    for row in (rows(told)[-1], rows(told)[1]):
        expected = f"{row.seq}:{row.hash.hex()[:digits]}"
        done = run_cli("--ledger", told, "audit", "verify", "--expect", expected)
        assert done.returncode == 0
        assert "not compared" not in done.stdout
        assert f"{row.seq}:{row.hash.hex()[:16]}" in done.stdout
        assert document(run_cli, told, "audit", "verify", "--expect", expected)["anchored"]


def test_a_head_that_is_pasted_as_it_was_printed(told: Path, run_cli: RunCli) -> None:
    """A report's last line, with its word `head` and in any case, is taken as it stands."""
    line = run_cli("--ledger", told, "audit", "usage").stdout.splitlines()[-1]
    assert run_cli("--ledger", told, "audit", "verify", "--expect", line).returncode == 0
    assert (
        run_cli("--ledger", told, "audit", "verify", "--expect", line[5:].upper()).returncode == 0
    )


def test_another_head_than_expected(told: Path, run_cli: RunCli) -> None:
    """Another hash there is a problem at that seq and exit 1."""
    seq = 2
    args = ("audit", "verify", "--expect", f"{seq}:{'ab' * 8}")
    done = run_cli("--ledger", told, *args)
    assert done.returncode == 1
    assert f"seq {seq} does not have the hash {'ab' * 8}" in done.stdout
    answer = document(run_cli, told, *args, code=1)
    assert (answer["ok"], answer["anchored"]) == (False, False)
    assert [(one["seq"], one["problem"]) for one in answer["problems"]] == [(seq, "expected")]


@pytest.mark.parametrize(
    "text", ["", "5", "5:", "5:abc", f"5:{'g' * 16}", f"x:{'a' * 16}", f"0:{'a' * 16}",
             f"-1:{'a' * 16}", f"5:{'a' * 65}", f"{'9' * 30}:{'a' * 16}"],
)  # fmt: skip
def test_a_malformed_expectation(told: Path, run_cli: RunCli, text: str) -> None:
    """What is no SEQ:HASH of 16 digits or more is exit 2 and one sentence."""
    done = run_cli("--ledger", told, "audit", "verify", f"--expect={text}")
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert "SEQ:HASH" in done.stderr


def test_a_changed_event(told: Path, run_cli: RunCli) -> None:
    """An event that was edited is named by its seq, and one is told to keep the files."""
    with unguarded(told) as connection:
        connection.execute("UPDATE events SET at = at + 1 WHERE seq = 3")
    done = run_cli("--ledger", told, "audit", "verify")
    assert done.returncode == 1
    first, *_, summary, head = done.stdout.splitlines()
    assert first == "seq 3 does not have the hash of what it says"
    assert "gpuledger salvage gets back" in summary
    assert head.startswith("head 5:")


def test_a_changed_row_of_the_stores(told: Path, run_cli: RunCli) -> None:
    """Where only what was computed is wrong, the next step is rebuild, which mends it."""
    with opened(told) as connection:
        connection.execute("UPDATE holdings SET ended = ended + 1")
    done = run_cli("--ledger", told, "audit", "verify")
    assert done.returncode == 1
    assert "gpuledger rebuild" in done.stdout
    assert document(run_cli, told, "rebuild")["matches"] is False
    assert document(run_cli, told, "audit", "verify")["ok"]


@pytest.mark.parametrize("what", sorted(PROBLEMS))
def test_every_problem_is_a_sentence(what: str) -> None:
    """Each kind of problem has its sentence, with the seq or the part of the file it is about."""
    if what in EVENT:
        assert "seq 17" in problem_sentence(Problem(17, what, "something"))
    if what in FILE:
        assert "something" in problem_sentence(Problem(None, what, "something"))
    assert what in EVENT or what in FILE
    assert next_step((Problem(17, what),))


def test_what_a_file_holds_is_shown_safely() -> None:
    """Text from a damaged file reaches no terminal as it is."""
    assert "\x1b" not in problem_sentence(Problem(None, "piece", "\x1b[2J was changed"))


def test_a_log_that_ends_before_the_expected_head_says_so(
    ledger_path: Path, run_cli: RunCli
) -> None:
    """A head beyond the end is a cut log, not a wrong hash."""
    ledger(ledger_path).close()
    done = run_cli("--ledger", ledger_path, "audit", "verify", "--expect", "9:" + "ab" * 8)
    assert done.returncode == 1
    assert "the log ends at seq 1" in done.stdout + done.stderr
