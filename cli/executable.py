"""The command of `run`: found as a shell finds it, named as a task, and become.

Where no file fits, or none can be executed, that is said as shells do: 127 and 126.
"""

from __future__ import annotations

import errno
import os
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import NoReturn

from ..ledger.errors import GpuledgerError
from ..replay.request import NAME_LENGTH, name_letter

SHELL = "/bin/sh"
_ELSEWHERE = (errno.ENOENT, errno.ENOTDIR)
"""Why the next folder of the path is tried without another word."""

_FIRST_LINE = re.compile(rb"#![ \t]*([^ \t\n]+)").match
_RUNS_OTHERS = re.compile(
    r"(python|pypy)[0-9.]*t?|(ba|da|k|z)?sh|env|nice|nohup|time|timeout|torchrun|accelerate|"
    r"deepspeed|mpirun|mpiexec|horovodrun|uv|poetry|conda|perl|ruby|node|julia|Rscript"
).fullmatch
_SCRIPT = re.compile(r".+\.(py|sh|bash|zsh|pl|rb|js|jl|R|r|ipynb)").fullmatch


class CommandMissing(GpuledgerError):
    """There is no `command` on the path, or no such file."""

    code = "command_missing"

    def __init__(self, command: str) -> None:
        super().__init__(command=command)
        self.command = command


class CommandRefused(GpuledgerError):
    """The system does not execute `command`; `reason` is its word for why.

    `interpreter` is the program that the file's first line names, where that one is not there.
    """

    code = "command_refused"

    def __init__(self, command: str, reason: str, interpreter: str | None = None) -> None:
        super().__init__(command=command, reason=reason, interpreter=interpreter)
        self.command = command
        self.reason = reason
        self.interpreter = interpreter


def failure(command: str, number: int) -> GpuledgerError:
    """What it means that executing `command` failed with this errno."""
    if number not in _ELSEWHERE:
        return CommandRefused(command, os.strerror(number))
    there = next(filter(os.path.isfile, _candidates(command)), None)
    if there is None:
        return CommandMissing(command)
    return CommandRefused(command, os.strerror(number), _interpreter(there))


def _interpreter(path: str) -> str | None:
    """The program that the first line of a script names."""
    try:
        with open(path, "rb") as file:
            line = file.readline(1024)
    except OSError:
        return None
    found = _FIRST_LINE(line)  # A carriage return counts: it is why many a script is refused.
    return None if found is None else os.fsdecode(found.group(1))


def check(command: str) -> None:
    """Make sure that there is a file to execute. Raises CommandMissing, CommandRefused."""
    files = [path for path in _candidates(command) if os.path.exists(path)]
    if not files:
        raise CommandMissing(command)
    if not any(os.path.isfile(path) and os.access(path, os.X_OK) for path in files):
        number = errno.EISDIR if os.path.isdir(files[0]) else errno.EACCES
        raise CommandRefused(command, os.strerror(number))


def become(words: Sequence[str], environ: Mapping[bytes, bytes]) -> NoReturn:
    """Execute the command in place of this process. Raises OSError.

    A script without a first line that names its interpreter goes to the shell, as ever.
    """
    failed = OSError(errno.ENOENT, os.strerror(errno.ENOENT))
    for path in _candidates(words[0]):
        try:
            os.execve(path, list(words), environ)  # noqa: S606 - the person's own command
        except OSError as error:
            if error.errno == errno.ENOEXEC:
                os.execve(SHELL, [SHELL, path, *words[1:]], environ)  # noqa: S606 - the same
            if error.errno not in _ELSEWHERE:
                failed = error
    raise failed


def task_name(words: Sequence[str], ending: str) -> str:
    """A task's name for a command: that of the script where an interpreter runs one.

    `python -u train.py` and 4711 make `train.py-4711`.
    """
    kept = subject(words)
    begun = next((at for at, letter in enumerate(kept) if letter.isalnum()), len(kept))
    start = kept[begun:][: NAME_LENGTH - len(ending) - 1]
    return f"{start or 'run'}-{ending}"


def subject(words: Sequence[str]) -> str:
    """The word of a command that says what it does, of letters that a name may have."""
    named = unicodedata.normalize("NFC", os.path.basename(_subject(words)))
    return "".join(letter if name_letter(letter) else "-" for letter in named)


def _subject(words: Sequence[str]) -> str:
    first, *rest = words
    if not _RUNS_OTHERS(os.path.basename(first)):
        return first
    for before, word in zip(words, rest, strict=False):
        if before == "-m" or (_SCRIPT(word) and not word.startswith("-")):
            return word
    return first


def _candidates(command: str) -> list[str]:
    """The files that a command's word may mean, in the order of the path."""
    if os.path.dirname(command) or not command:
        return [command]
    return [os.path.join(folder, command) for folder in os.get_exec_path()]
