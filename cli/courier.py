"""The courier: ssh, started with an errand, listened to, and asked how it ended.

It is the user's own ssh with the user's own configuration, keys and shared connections; what
is added takes things away: no agent, no X11, no forwarding, no other command. What it runs is
one fixed word with one argument of base64url letters. Stdin carries the files of the errand, then
what happens here (the terminal's size, Ctrl-C), and is open for as long as somebody is here.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from typing import IO

import msgspec

from .errand import BEGAN, WORD, Errand, encode
from .sshfailure import NoSsh
from .sshurl import Address

PROGRAM = "ssh"
OPTIONS = (
    "-a", "-x", "-T", "-o", "ClearAllForwardings=yes", "-o", "Tunnel=no",
    "-o", "RemoteCommand=none", "-o", "PermitLocalCommand=no",
    "-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=4",
)  # fmt: skip
"""No agent, no X11, no terminal, no forwarding, no other command; a dead network is noticed."""

GRACE_S = 10.0
"""How long after Ctrl-C the far side may take to end by itself."""

STDERR_S = 1.0
"""How long to wait for the end of stderr, which a connection that is kept for later may hold."""


class Way(msgspec.Struct, frozen=True):
    """How an errand is carried: `keep` keeps its stdout, `quiet` asks and shows nothing.

    `answer` is sent for the first line of stdout; after `timeout_s` seconds it is broken off.
    """

    keep: bool = False
    quiet: bool = False
    answer: bytes = b""
    timeout_s: float | None = None


PLAIN = Way()


class Outcome(msgspec.Struct, frozen=True):
    """How an errand ended: ssh's exit status (below 0 a signal), whether the far side began,
    whether Ctrl-C was pressed here, and stdout where it was kept.
    """

    status: int
    began: bool
    interrupted: bool
    output: bytes = b""

    @property
    def broken(self) -> bool:
        """Whether it was ssh that ended, and not the command over there."""
        return self.status == 255 or self.status < 0


def ssh_words(address: Address, *, quiet: bool = False) -> list[str]:
    """The words that reach a machine, all but the command to be run there."""
    unasked = ["-o", "BatchMode=yes"] if quiet else []
    port = [] if address.port is None else ["-p", str(address.port)]
    user = [] if address.user is None else ["-l", address.user]
    return [PROGRAM, *OPTIONS, *unasked, *port, *user, "--", address.host]


def carry(
    address: Address, errand: Errand, contents: Iterable[bytes] = (), *, way: Way = PLAIN
) -> Outcome:
    """Run an errand and wait for its end; `contents` are its files.

    Raises NoSsh, BadRequest where the errand is too long.
    """
    words = [*ssh_words(address, quiet=way.quiet), WORD, encode(errand)]
    process = _started(words, keep=way.keep)
    assert process.stdin is not None
    assert process.stderr is not None
    ear = _Ear(process.stderr, quiet=way.quiet)
    ear.start()
    timer = threading.Timer(way.timeout_s or 0.0, process.kill)
    timer.daemon = True
    if way.timeout_s is not None:
        timer.start()
    interrupted, output = False, b""
    try:
        _feed(process.stdin, contents)
        if errand.asks:
            threading.Thread(target=_pass_on, args=(process.stdin,), daemon=True).start()
        with _telling_size(process.stdin, wanted=errand.size is not None):
            output = _output(process, way.answer)
            process.wait()
    except KeyboardInterrupt:
        interrupted = True
        _called_off(process, began=ear.began)
    except BaseException:
        _called_off(process, began=ear.began)
        raise
    finally:
        timer.cancel()
    process.stdin.close()
    ear.join(STDERR_S)
    return Outcome(process.returncode, ear.began, interrupted, output)


def _started(words: list[str], *, keep: bool) -> subprocess.Popen[bytes]:
    """Start ssh so that Ctrl-C reaches the far side through us, and does not cut the line to it."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    pipe = subprocess.PIPE
    try:
        with _without_interrupts():
            return subprocess.Popen(  # noqa: S603 - no shell, and every word is checked
                words, stdin=pipe, stdout=pipe if keep else None, stderr=pipe, bufsize=0
            )
    except OSError as error:
        raise NoSsh(PROGRAM, error.strerror or str(error)) from error


@contextmanager
def _without_interrupts() -> Generator[None]:
    """Whoever is started inside never sees Ctrl-C."""
    masked = getattr(signal, "pthread_sigmask", None)
    if masked is None:
        yield
        return
    before = masked(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        masked(signal.SIG_SETMASK, before)


def _feed(pipe: IO[bytes], contents: Iterable[bytes]) -> None:
    with suppress(BrokenPipeError):  # ssh has ended; its exit status tells why.
        for content in contents:
            rest = memoryview(content)
            while rest:
                rest = rest[pipe.write(rest) :]


def _output(process: subprocess.Popen[bytes], answer: bytes) -> bytes:
    """All of stdout that is kept, its first line answered."""
    if process.stdout is None:
        return b""
    assert process.stdin is not None
    first = process.stdout.readline() if answer else b""
    if first.endswith(b"\n"):
        with suppress(BrokenPipeError):
            process.stdin.write(answer)
    return first + process.stdout.read()


def _pass_on(pipe: IO[bytes]) -> None:
    """What is typed here goes to the far side, line by line, up to the end of either."""
    with suppress(OSError, ValueError):
        while line := os.read(sys.stdin.fileno(), 4_096):
            pipe.write(b"typed " + line.rstrip(b"\n") + b"\n")


@contextmanager
def _telling_size(pipe: IO[bytes], *, wanted: bool) -> Generator[None]:
    """Tell the far side whenever the terminal has another size."""
    number = getattr(signal, "SIGWINCH", None)
    if number is None or not wanted or threading.current_thread() is not threading.main_thread():
        yield
        return

    def tell(_number: int, _frame: object) -> None:
        from .terminalsize import size

        columns, lines = size()
        with suppress(OSError, ValueError):
            pipe.write(f"size {columns} {lines}\n".encode())

    before = signal.signal(number, tell)
    try:
        yield
    finally:
        signal.signal(number, before)


def _called_off(process: subprocess.Popen[bytes], *, began: bool) -> None:
    """Let the far side end by itself, if it has begun; a second Ctrl-C waits for nothing."""
    assert process.stdin is not None
    with suppress(BrokenPipeError):
        process.stdin.write(b"interrupt\n")
    process.stdin.close()
    try:
        if began:
            process.wait(GRACE_S)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        pass
    if process.poll() is None:
        process.terminate()
        process.wait()


class _Ear(threading.Thread):
    """Passes on what ssh and the far side say on stderr; `began` once the far side has begun."""

    def __init__(self, pipe: IO[bytes], *, quiet: bool) -> None:
        super().__init__(daemon=True)
        self.began = False
        self._quiet = quiet
        self._pipe = pipe
        self._held = b""

    def run(self) -> None:
        """Listen to the end."""
        with suppress(OSError, ValueError):
            while part := os.read(self._pipe.fileno(), 65_536):
                self._say(self._heard(part))
            self._say(self._held)

    def _heard(self, part: bytes) -> bytes:
        """What of it is to be shown now: all but the mark, and what could be its beginning."""
        if self.began:
            return part
        before, mark, after = (self._held + part).partition(BEGAN)
        if mark:
            self.began, self._held = True, b""
            return before + after
        kept = next(n for n in range(len(BEGAN) - 1, -1, -1) if before.endswith(BEGAN[:n]))
        self._held = before[len(before) - kept :]
        return before[: len(before) - kept]

    def _say(self, part: bytes) -> None:
        if self._quiet:
            return
        sys.stderr.buffer.write(part)
        sys.stderr.buffer.flush()
