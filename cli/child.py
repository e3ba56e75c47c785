"""The child of `run`: made before anything is asked for, and let go when its GPUs are its own.

Until then it waits at a gate, a pipe whose other end its parent holds. A parent that dies before
it opens the gate closes it, and the child ends without a word: nothing ever runs unheld. Since the
child is there first, the grant can name it, and a child that outlives its parent keeps its GPUs.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import NoReturn

import msgspec

from .executable import become, failure

_PYTHON_IGNORES = ("SIGPIPE", "SIGXFSZ")
"""Signals that Python ignores for itself, which other programs want to be ended by."""


class Child:
    """A process of its own group that waits to become the command `words`. POSIX only.

    `pid` is its number and that of its group.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self._words = words
        gate, self._gate = os.pipe()
        self._told, told = os.pipe()
        # A parent that was made to ignore its children's ends could not wait for this one.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        # What is sent to the child before its signals are as they should be waits so long.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        self.pid = os.fork()
        if not self.pid:
            _wait(gate, self._gate, told, words, mask)
        with suppress(OSError):  # Where the child was faster, or is gone.
            os.setpgid(self.pid, self.pid)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.close(gate)
        os.close(told)

    def go(self, variables: Mapping[str, str]) -> None:
        """Let it become the command, with `variables` in its environment.

        Raises CommandMissing and CommandRefused, and then the child is gone.
        """
        with suppress(BrokenPipeError), open(self._gate, "wb") as gate:  # It may have been killed.
            gate.write(msgspec.json.encode(dict(variables)))
        with open(self._told, "rb") as file:
            told = file.read()
        if told:
            os.waitpid(self.pid, 0)
            raise failure(self._words[0], int(told))

    def dismiss(self) -> None:
        """End it before it was let go."""
        os.kill(self.pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(self.pid, 0)
        os.close(self._gate)
        os.close(self._told)

    def send(self, number: int) -> None:
        """Send a signal to it and all in its group; nothing where that is not possible."""
        with suppress(OSError):
            os.killpg(self.pid, number)

    def left_others(self) -> bool:
        """Whether, when it has ended, others of its group have not."""
        try:
            os.killpg(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True

    def news(self) -> int | None:
        """The status of a child that has stopped or ended since the last call, as waitpid has it;
        None where neither.
        """
        pid, status = os.waitpid(self.pid, os.WNOHANG | os.WUNTRACED)
        return status if pid else None


def _wait(
    gate: int, other: int, told: int, words: Sequence[str], mask: set[int | signal.Signals]
) -> NoReturn:
    """What the child does: wait for its environment, become the command, or say why not."""
    try:
        os.close(other)
        os.setpgid(0, 0)
        _plain_signals(mask)
        with open(gate, "rb") as file:
            given = file.read()
        # What was cut off is no JSON, nor is nothing.
        variables = msgspec.json.decode(given, type=dict[str, str])
        more = {os.fsencode(name): os.fsencode(value) for name, value in variables.items()}
        try:
            become(words, {**os.environb, **more})
        except OSError as error:
            os.write(told, str(error.errno).encode())
    finally:
        os._exit(127)


def _plain_signals(mask: set[int | signal.Signals]) -> None:
    """Give every signal its plain meaning, but those that are to be ignored."""
    numbers = {getattr(signal, name) for name in _PYTHON_IGNORES}
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        numbers.add(signal.SIGINT)
    for number in numbers:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
