"""The lifeline: stdin of the far end, from the files of an errand to the end of whoever sent it.

After the files it brings lines: `size 80 24` of the terminal there, `typed WORDS`, `taken` for a
hold that has arrived, `interrupt` for Ctrl-C. Its end means that nobody is there any more. Both
interrupt the command here.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress
from queue import SimpleQueue
from types import FrameType

from ..hangup import HungUp


class Lifeline(threading.Thread):
    """Reads stdin. `typed` has the lines that were typed at the other side, as they come.

    `began` is when this process did, on the monotonic clock.
    """

    def __init__(self) -> None:
        """Made in the main thread, whose command it interrupts."""
        super().__init__(daemon=True)
        self.typed: SimpleQueue[str] = SimpleQueue()
        self.taken = threading.Event()
        self.began = time.monotonic()
        self._main = threading.get_ident()
        self._interrupted = False
        signal.signal(signal.SIGINT, self._end)

    def received(self, length: int) -> bytes:
        """That many bytes, before the lines begin. Raises HungUp where no more come."""
        parts = bytearray()
        while len(parts) < length:
            part = os.read(0, min(length - len(parts), 1 << 20))
            if not part:
                raise HungUp
            parts += part
        return bytes(parts)

    def run(self) -> None:
        """Heed each line, and interrupt the command at the end."""
        rest = b""
        with suppress(OSError):
            while not self._interrupted and (part := os.read(0, 4_096)):
                *lines, rest = (rest + part).split(b"\n")
                for line in lines:
                    self._heed(line.decode(errors="replace"))
        self._interrupt()

    def _heed(self, line: str) -> None:
        word, _space, rest = line.partition(" ")
        if word == "interrupt":
            self._interrupted = True
        elif word == "taken":
            self.taken.set()
        elif word == "typed":
            self.typed.put(f"{rest}\n")
        elif word == "size":
            take_size(*rest.split(" ")[:2])

    def _interrupt(self) -> None:
        """The signal goes to the main thread itself, so that it ends whatever that waits for."""
        kill = getattr(signal, "pthread_kill", None)
        if kill is None:
            signal.raise_signal(signal.SIGINT)
        else:
            kill(self._main, signal.SIGINT)

    def _end(self, _number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt if self._interrupted else HungUp


def take_size(columns: str = "", lines: str = "") -> None:
    """Make this the size of the terminal; what is no number changes nothing."""
    for name, value in (("COLUMNS", columns), ("LINES", lines)):
        if value.isascii() and value.isdigit() and len(value) <= 5:
            os.environ[name] = value
