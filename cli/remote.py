"""The far end: `gpuledger-remote ERRAND`, which ssh starts on the ledger's machine.

It does what the errand says, as the user whom sshd let in. Whoever is behind it is there for as
long as stdin is open: when it ends, the command is interrupted as if by Ctrl-C, so that whoever
waits leaves the line and nothing is left half done. `command="gpuledger-remote"` in
`authorized_keys` allows this and nothing else.
"""

from __future__ import annotations

import gc
import io
import os
import signal
import sys
import time
from codecs import lookup
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn, TextIO, cast

if TYPE_CHECKING:
    from queue import SimpleQueue

    from .errand import Errand

ORIGINAL = "SSH_ORIGINAL_COMMAND"
"""Where sshd puts what was asked for, when `authorized_keys` says what runs instead."""


def main() -> NoReturn:
    """Do one errand and end the process with its exit code."""
    gc.disable()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        code = _code()
    except KeyboardInterrupt:
        code = 130
    gc.freeze()
    sys.exit(code)


def _code() -> int:
    from ..ledger.errors import GpuledgerError
    from .errand import BEGAN, opened
    from .failure import ended

    with suppress(OSError):
        os.write(2, BEGAN)
    told: dict[str, Any] = {}
    failure: GpuledgerError | None = None
    try:
        told = opened(_argument())
    except GpuledgerError as error:
        failure = error
    words = told.get("words")
    args = cast("list[str]", words) if isinstance(words, list) else []

    def work(_words: list[str]) -> None:
        if failure is not None:
            raise failure
        _work(told)

    return ended(work, args)


def _argument() -> str:
    """The errand as ssh brought it; empty where there is none."""
    from .errand import WORD

    words = sys.argv[1:] or os.environ.get(ORIGINAL, "").removeprefix(f"{WORD} ").split()
    return words[0] if len(words) == 1 else ""


def _work(told: dict[str, Any]) -> None:
    """Do the errand. Raises what it raises."""
    from gpuledger import __version__

    from .errand import Caller, decode
    from .lifeline import Lifeline
    from .program import run

    errand = decode(told, __version__)
    lifeline = Lifeline()
    caller = Caller(errand, {name: lifeline.received(length) for name, length in errand.files})
    _stand_in(errand, lifeline.typed)
    lifeline.start()
    if errand.gone or errand.take is not None or errand.hold is not None:
        from .farhold import serve

        serve(caller, lifeline)
    if errand.words and errand.take is None:
        run(list(errand.words), caller)


def _stand_in(errand: Errand, typed: SimpleQueue[str]) -> None:
    """Make this process print as one would at the place where the command was typed."""
    from .errand import SENT
    from .lifeline import take_size

    for name in (*SENT, "COLUMNS", "LINES"):
        os.environ.pop(name, None)
    os.environ.update({name: errand.environ[name] for name in SENT if name in errand.environ})
    if errand.size is not None:
        take_size(*map(str, errand.size))
    if errand.zone is not None:
        os.environ["TZ"] = errand.zone
        getattr(time, "tzset", int)()
    sys.stdin = _Typed(typed) if errand.asks else open(os.devnull, encoding="utf-8")  # noqa: SIM115
    sys.stdout = _standing_in(sys.stdout, errand.encoding, terminal=errand.out)
    sys.stderr = _standing_in(sys.stderr, errand.encoding, terminal=errand.err)


def _standing_in(stream: Any, encoding: str, *, terminal: bool) -> TextIO:  # noqa: ANN401
    """The stream as if it led to the other place."""
    try:
        known = lookup(encoding).name
    except LookupError:
        known = "utf-8"
    stream.flush()
    return _Stream(stream.detach(), known, terminal=terminal)


class _Stream(io.TextIOWrapper):
    """Text for a terminal elsewhere, or for a file or a pipe there."""

    def __init__(self, buffer: Any, encoding: str, *, terminal: bool) -> None:  # noqa: ANN401
        super().__init__(
            buffer, encoding, "backslashreplace", newline="\n", line_buffering=terminal
        )
        self._terminal = terminal

    def isatty(self) -> bool:
        """Whether a terminal shows it in the end."""
        return self._terminal


class _Typed(io.TextIOBase):
    """What is typed at the terminal of the other place, line by line."""

    def __init__(self, lines: SimpleQueue[str]) -> None:
        super().__init__()
        self._lines = lines

    def isatty(self) -> bool:
        """Somebody is there to be asked."""
        return True

    def readline(self, _size: int = -1, /) -> str:  # type: ignore[override]
        """The next line, when it has been typed."""
        return self._lines.get()


if __name__ == "__main__":
    main()
