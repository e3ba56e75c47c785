"""One turn at a time among the threads of a process, in the order of their coming.

A plain lock is not fair: a thread that lets go and asks again at once wins over those
that wait, for as long as it likes.
"""

from __future__ import annotations

import threading
from collections import deque

_Gate = tuple[threading.Lock, int]


class FairMutex:
    """A lock that is handed from thread to thread; each thread can tell whether it holds it."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._waiting: deque[_Gate] = deque()
        self._owner = 0

    @property
    def mine(self) -> bool:
        """True where the calling thread holds it."""
        return self._owner == threading.get_ident()

    def acquire(self, timeout_s: float) -> bool:
        """Take it within `timeout_s` seconds; False where that was too short. Not reentrant."""
        me = threading.get_ident()
        with self._guard:
            if not self._owner:
                self._owner = me
                return True
        gate = (threading.Lock(), me)
        gate[0].acquire()
        try:
            if self._queue(gate):
                return True
            gate[0].acquire(timeout=min(max(timeout_s, 0.0), threading.TIMEOUT_MAX))
        finally:
            with self._guard:
                if gate in self._waiting:
                    self._waiting.remove(gate)
        return self.mine

    def _queue(self, gate: _Gate) -> bool:
        """Take it where it came free just now, else stand in line with `gate`."""
        with self._guard:
            if not self._owner:
                self._owner = gate[1]
                return True
            self._waiting.append(gate)
            return False

    def release(self) -> None:
        """Hand it to whoever has waited longest; nothing where it is not ours."""
        with self._guard:
            if self._owner != threading.get_ident():
                return
            if self._waiting:
                gate, self._owner = self._waiting.popleft()
                gate.release()
            else:
                self._owner = 0
