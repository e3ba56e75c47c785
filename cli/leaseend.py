"""The end of a lease: when a child is asked to end, and when it is ended.

It gets a signal some time before, so that it can save what it has, and is killed so early that it
is gone when its GPUs may be another's. Each time the ledger is asked first, since the lease may
have been extended; where it cannot be asked, what was known counts.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from .words import _

GRACE_S = 10.0
"""How long before the end it is asked to end, at most."""
PART = 0.1
"""How much of a short lease that may be."""
LAST = 0.2
"""The part of that time which is left when it is killed."""
ASKING = 0.4
"""The part of that time within which the ledger has to answer."""

ASKED_TO_END, KILLED = "asked to end", "killed"


class LeaseEnd:
    """Tells when to do what at the end of a lease. Times in seconds of the monotonic clock.

    `ask` answers when the lease ends as things stand, None for never, minus infinity where the
    hold has ended already; what it raises is taken for no answer.
    """

    def __init__(
        self,
        ends: float | None,
        lease_s: float | None,
        ask: Callable[[float], float | None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ends = ends
        self._grace = min(GRACE_S, PART * (lease_s or math.inf))
        self._ask = ask
        self._clock = clock
        self._done: list[str] = []

    def left(self) -> float | None:
        """The seconds until something is to be done; None where nothing is."""
        if self._ends is None or KILLED in self._done:
            return None
        before = self._grace * (LAST if self._done else 1.0)
        return max(0.0, self._ends - before - self._clock())

    def due(self) -> str | None:
        """What is to be done now with the child, if anything: to ask it to end, or to kill it."""
        if self.left() != 0.0:
            return None
        self._look()
        if self.left() != 0.0:
            return None
        self._done.append(KILLED if self._done else ASKED_TO_END)
        return self._done[-1]

    @property
    def begun(self) -> bool:
        """Whether the child was asked to end, and its lease was not extended since."""
        return bool(self._done)

    def _look(self) -> None:
        """Ask when the lease ends. An end that has moved away puts everything off."""
        now = self._clock()
        try:
            ends = self._ask(ASKING * self._grace)
        except Exception:  # noqa: BLE001 - whatever is wrong with the ledger, the lease has an end
            return
        if ends == -math.inf:
            # The GPUs are lost already, yet the child shall be able to save what it has.
            ends = self._ends if self._done else now + self._grace
        elif ends is None or ends - self._grace > now:
            self._done.clear()
        self._ends = ends


def ending(due: str) -> str:
    """What is said when something is done at the end of a lease."""
    if due == KILLED:
        return _("the lease ends now: the command is killed")
    return _("the lease ends soon: the command is asked to end")
