"""The old script's spellings: what its users have in their fingers and in their cron tables."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuledger.cli.spelling import modern


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("--allocate test_001 2 16", "allocate test_001 2 16"),
        ("--release test_001", "release test_001"),
        ("--status", "status"),
        ("--reset --yes", "reset --yes"),
        ("--yes --reset", "reset --yes"),
        ("--allocate=test_001 2 16", "allocate test_001 2 16"),
        ("--release=test_001", "release test_001"),
        ("--allocate test_001 2", "allocate test_001 2"),
        ("--allocate test_001", "allocate test_001"),
        ("--allocate", "allocate"),
        ("--release", "release"),
        ("--allocate test_001 -1 16", "allocate test_001 -1 16"),
        ("--ledger x.db --status", "status --ledger x.db"),
        ("--status --ledger x.db", "status --ledger x.db"),
        ("--ledger=x.db --status --json", "status --ledger=x.db --json"),
        ("--json --status", "status --json"),
        ("--lock-timeout 5 --release t --ledger x.db", "release t --lock-timeout 5 --ledger x.db"),
        ("--ledger status --allocate t 1 1", "allocate t 1 1 --ledger status"),
        ("--ledger --status --release t", "release t --ledger --status"),
        ("--allocate t 2 16 --project p", "allocate t 2 16 --project p"),
        ("--reset --yes --ledger x.db", "reset --yes --ledger x.db"),
        ("--release --status", "release --status"),
    ],
)
def test_an_old_spelling_is_the_new_command(old: str, new: str) -> None:
    """Each old word becomes its command, wherever it stands among the options."""
    assert modern(old.split()) == new.split()


@pytest.mark.parametrize(
    "words",
    [
        "",
        "status",
        "status --gpus",
        "allocate --note --release 2",
        "release --status",
        "reset --yes",
        "history --reset",
        "--ledger x.db status --status",
        "--help",
        "--version",
        "--allocated t 1 1",
        "--stat",
        "--status=yes",
        "--reset=now",
        "-- --status",
        "- --status",
        "--ledger",
        "--ledger --status",
        "unknown --status",
    ],
)
def test_everything_else_is_left_as_it_is(words: str) -> None:
    """New commands, unknown words and values that look like old options are not touched."""
    assert modern(words.split()) == words.split()


WORDS = st.sampled_from(
    ["--allocate", "--release", "--status", "--reset", "--yes", "--ledger", "x", "-1", "--", "=",
     "--release=x", "status", "2", "--json", ""]
)  # fmt: skip


@given(st.lists(WORDS, max_size=8))
def test_no_word_is_lost_or_made_up(words: list[str]) -> None:
    """Whatever is typed, rewriting moves words and takes one option's dashes away, nothing else."""

    def parts(some: list[str]) -> list[str]:
        return sorted("".join(word.lstrip("-").replace("=", "") for word in some))

    assert parts(modern(words)) == parts(words)


@given(st.lists(WORDS, max_size=8))
def test_what_was_rewritten_stays(words: list[str]) -> None:
    """A rewritten line begins with a command and is not rewritten again."""
    once = modern(words)
    if once != words:
        assert once[0] in {"allocate", "release", "status", "reset"}
        assert modern(once) == once
