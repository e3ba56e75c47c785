"""Running a command with GPUs: taken before it begins, given back when it has ended.

The command is a child in a group of its own. What is sent to this process is passed on to that
group, its stops and continuations are this process's, and at the end of the lease it is ended.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence

from .child import Child
from .executable import check
from .foreground import Foreground
from .hold import Hold, give_back
from .leaseend import KILLED, LeaseEnd, ending
from .process import tie_of
from .signals import Signals, interruptible

Say = Callable[[str], None]

LOOK_S = 0.1
"""How often those are looked after whom a child has left behind at the end of a lease."""


def run(hold: Hold, words: Sequence[str], say: Say) -> int:
    """Run a command with what `hold` takes; its exit code, 128 and its number for a signal.

    Raises CommandMissing, CommandRefused, and what `hold.take` raises; then nothing is held.
    """
    if not hasattr(os, "fork"):
        from .spawning import spawn

        return spawn(hold, words, say)
    check(words[0])
    child, foreground = Child(words), Foreground()
    interruptible()
    try:
        granted = hold.take(tie_of(os.getpid(), child.pid))
    except BaseException:
        child.dismiss()
        give_back(hold, say)
        raise
    try:
        signals = Signals()
        say(granted.sentence)
        foreground.lend(child.pid)
        child.go(granted.variables)
        lease = LeaseEnd(granted.ends, granted.lease_s, hold.ends)
        return _Watch(child, signals, foreground, lease, say).until_it_ends()
    finally:
        foreground.take_back(child.pid)
        give_back(hold, say)


class _Watch:
    """Watches over a child until it ends."""

    def __init__(
        self, child: Child, signals: Signals, foreground: Foreground, lease: LeaseEnd, say: Say
    ) -> None:
        self._child = child
        self._signals = signals
        self._foreground = foreground
        self._lease = lease
        self._say = say
        self._hung_up = False

    def until_it_ends(self) -> int:
        """Pass on signals, mind the lease; the exit code."""
        while True:
            code = self._look()
            if code is not None:
                self._end_the_rest()
                return code if code >= 0 else 128 - code
            for number in self._signals.within(self._lease.left()):
                self._pass_on(number)
            self._end_with_the_lease()

    def _end_with_the_lease(self) -> None:
        """Ask all of the group to end, or kill them, when it is time."""
        due = self._lease.due()
        if due is None:
            return
        self._say(ending(due))
        self._child.send(signal.SIGKILL if due == KILLED else signal.SIGTERM)
        self._child.send(signal.SIGCONT)  # Who is stopped hears nothing.

    def _end_the_rest(self) -> None:
        """At the end of a lease nothing of the group may run on; it has as long as its child."""
        while self._lease.begun and self._child.left_others():
            left = self._lease.left()
            if left is None:
                return
            self._signals.within(min(left, LOOK_S))
            self._end_with_the_lease()

    def _pass_on(self, number: int) -> None:
        """Send a signal on; those of children are looked after by themselves."""
        if number == signal.SIGCONT:
            self._go_on()
        elif number != signal.SIGCHLD:
            self._child.send(number)

    def _look(self) -> int | None:
        """The exit code of a child that has ended, as `os.waitstatus_to_exitcode` gives it."""
        while (status := self._child.news()) is not None:
            if not os.WIFSTOPPED(status):
                return os.waitstatus_to_exitcode(status)
            self._stopped(os.WSTOPSIG(status))
        return None

    def _stopped(self, number: int) -> None:
        """Stop as the child was stopped, and let it go on when we are continued.

        What the child lacked may be just the terminal. One that somebody stopped by hand, away
        from a terminal, is that one's to continue.
        """
        wants_terminal = number in (signal.SIGTTIN, signal.SIGTTOU)
        if wants_terminal and self._foreground.lend(self._child.pid, asked=True):
            self._child.send(signal.SIGCONT)
            return
        had_terminal = self._foreground.take_back(self._child.pid)
        if number == signal.SIGSTOP and not had_terminal:
            return
        stopped = self._signals.stop(signal.SIGTSTP if number == signal.SIGSTOP else number)
        if stopped or number == signal.SIGTSTP:
            self._go_on()
        elif wants_terminal and not self._hung_up:
            # Nobody is left who could give it the terminal: to its readers that is a hangup.
            self._hung_up = True
            self._child.send(signal.SIGHUP)
            self._child.send(signal.SIGCONT)

    def _go_on(self) -> None:
        self._foreground.lend(self._child.pid)
        self._child.send(signal.SIGCONT)
