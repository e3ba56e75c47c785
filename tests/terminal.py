"""A terminal for the program: a pseudo-terminal of a size, whose other end a test reads."""

from __future__ import annotations

import codecs
import os
import re
import select
import signal
import struct
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

WAIT_S = 60.0
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """A command that runs on a terminal; `text` is all that it has written so far."""

    def __init__(self, process: subprocess.Popen[bytes], end: int) -> None:
        self.process = process
        self.end = end
        self._decode = codecs.getincrementaldecoder("utf-8")().decode
        self.text = ""

    def read_until(self, wanted: str) -> str:
        """Read until a text stands in what was written since the last call; give that."""
        seen = ""
        while wanted not in seen:
            part = self._part()
            assert part is not None, f"no {wanted!r} in {self.text!r}"
            seen += part
        return seen

    def rest(self) -> str:
        """What is still written, up to the end of the command."""
        seen = ""
        while (part := self._part()) is not None:
            seen += part
        return seen

    def type(self, text: str) -> None:
        """Type a text."""
        os.write(self.end, text.encode())

    def interrupt(self) -> int:
        """Press Ctrl-C until the command ends; its exit code.

        Python sees a signal that comes just before it waits for a key with the next one only.
        """
        while True:
            self.type("\x03")
            try:
                return self.process.wait(1.0)
            except subprocess.TimeoutExpired:
                continue

    def ends(self) -> int:
        """The exit code."""
        return self.process.wait(WAIT_S)

    def _part(self) -> str | None:
        """What comes next; None at the end."""
        ready, _, _ = select.select([self.end], [], [], WAIT_S)
        assert ready, f"nothing more came: {self.text!r}"
        try:
            read = os.read(self.end, 65_536)
        except OSError:  # Linux tells the end of a terminal as an I/O error.
            return None
        part = self._decode(read)
        self.text += part
        return part if read else None


@contextmanager
def terminal(
    command: Sequence[str | Path],
    environ: Mapping[str, str],
    *,
    cwd: Path,
    width: int = 100,
    height: int = 30,
) -> Iterator[Terminal]:
    """Run a command on a terminal of its own, whose Ctrl-C reaches it and nobody else."""
    import fcntl
    import pty
    import termios

    end, inside = pty.openpty()
    fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
    sized = {name: value for name, value in environ.items() if name not in ("COLUMNS", "LINES")}
    process = subprocess.Popen(
        ["setsid", "--ctty", *command],
        stdin=inside,
        stdout=inside,
        stderr=inside,
        cwd=cwd,
        env={**sized, "TERM": "xterm-256color"},
    )
    os.close(inside)
    try:
        yield Terminal(process, end)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            process.wait()
        os.close(end)


def plain(text: str) -> str:
    """What was written, without colours and cursor movements."""
    return ESCAPE.sub("", text).replace("\r\n", "\n")
