"""Signals, taken one after another where a loop waits for them, as other input is.

From here on none of them ends or stops this process by itself. What was to be ignored when the
program started (by nohup, or in a script's background) is left so. POSIX only.
"""

from __future__ import annotations

import os
import select
import signal
from types import FrameType

TAKEN = (
    "SIGHUP SIGINT SIGQUIT SIGTERM SIGUSR1 SIGUSR2 SIGALRM SIGXCPU SIGWINCH SIGPWR SIGTSTP SIGCONT"
)
"""The signals of a person, a shell or a batch system to a job."""


ENDING = "SIGTERM SIGHUP"
"""Those of them by which a process is asked to end, Ctrl-C aside."""


def interruptible() -> None:
    """Let what ends a process end it as Ctrl-C does, so that a turn is undone and a line left.

    Until `Signals` takes them over, SystemExit is raised with 128 and the signal's number.
    """

    def end(number: int, frame: FrameType | None) -> None:
        del frame
        raise SystemExit(128 + number)

    for name in ENDING.split():
        number = _number(name)
        if number is not None:
            signal.signal(number, end)


class Signals:
    """Takes over the signals to this process; each is told once, in the order of its coming."""

    def __init__(self) -> None:
        self._told, told = os.pipe()
        for end in (self._told, told):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(told, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, _noted)
        # The terminal is given to and taken from the child, also from the background.
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        self._ours = [number for name in TAKEN.split() if (number := _number(name))]
        for number in self._ours:
            signal.signal(number, _noted)
        self._late: list[int] = []

    def within(self, timeout_s: float | None) -> list[int]:
        """The signals that have come, those of children too, after waiting for the first one.

        Empty where none came within `timeout_s` seconds.
        """
        if not self._late:
            select.select([self._told], [], [], timeout_s)
        come, self._late = [*self._late, *self._come()], []
        return come

    def stop(self, number: int) -> bool:
        """Stop this process and its group by a signal, until they are continued.

        False where nobody could continue them, so that the system did not stop them.
        """
        self._late += [one for one in self._come() if one != signal.SIGCONT]
        before = signal.signal(number, signal.SIG_DFL)
        os.killpg(os.getpgrp(), number)
        signal.signal(number, before)
        come = self._come()
        self._late += [one for one in come if one != signal.SIGCONT]
        return signal.SIGCONT in come

    def _come(self) -> list[int]:
        try:
            return list(os.read(self._told, 65_536))
        except BlockingIOError:
            return []


def _number(name: str) -> int | None:
    """The signal of that name, None where the platform has none or it is to be ignored."""
    number: int | None = getattr(signal, name, None)
    if number is None or signal.getsignal(number) is signal.SIG_IGN:
        return None
    return number


def _noted(number: int, frame: FrameType | None) -> None:
    """What Python calls for a signal: the pipe tells of it, so there is nothing to do."""
    del number, frame
