"""The old script's spellings, rewritten before click sees them.

`--allocate TASK GPUS CPUS`, `--release TASK`, `--status` and `--reset --yes` stand for the
commands of these names; they may stand anywhere among the options as long as no command
was named, and a value may hang on by `=`. Everything else is left as it is.
"""

from __future__ import annotations

from collections.abc import Sequence

VALUES = {"--allocate": 3, "--release": 1, "--status": 0, "--reset": 0}
"""The old words, and how many values the old script took after each."""

WITH_VALUE = ("--ledger", "--lock-timeout")
"""Options whose value must not be taken for a command."""


def modern(args: Sequence[str]) -> list[str]:
    """The arguments with an old spelling turned into the command that it means."""
    words = list(args)
    at = _old_word(words)
    if at is None:
        return words
    option, attached, value = words[at].partition("=")
    taken = [value] if attached else []
    rest = at + 1
    while len(taken) < VALUES[option] and rest < len(words) and _is_value(words[rest]):
        taken.append(words[rest])
        rest += 1
    if attached and not VALUES[option]:
        return words
    return [option.removeprefix("--"), *taken, *words[:at], *words[rest:]]


def _old_word(words: list[str]) -> int | None:
    """Where an old word stands in front of any command, None where there is none."""
    at = 0
    while at < len(words):
        word = words[at]
        if word == "--" or not word.startswith("-") or word == "-":
            return None
        if word.partition("=")[0] in VALUES:
            return at
        at += 2 if word in WITH_VALUE else 1
    return None


def _is_value(word: str) -> bool:
    """Whether a word is a value: no option, but a negative number is one that will be refused."""
    return not word.startswith("-") or word[1:2].isdigit()
