"""Through ssh a terminal is a terminal: colours, width, watching, Ctrl-C, and being asked."""

from __future__ import annotations

import fcntl
import struct
import termios
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import pytest

import gpuledger
from conftest import RunCli
from console import SMALL, Console
from desk import GROUPED
from sshd import Sshd
from terminal import Terminal, plain, terminal

pytestmark = GROUPED


class Screens:
    """Commands on a terminal, here or there."""

    def __init__(
        self, sshd: Sshd, ada: Console, command: Sequence[str], environ: Mapping[str, str]
    ) -> None:
        self.sshd = sshd
        self.ada = ada
        self._command = command
        self._environ = environ

    @contextmanager
    def open(self, words: str, *, far: bool = True, **more: object) -> Iterator[Terminal]:
        """A command on a terminal; `width` and further variables may be given."""
        width = more.pop("width", 100)
        assert isinstance(width, int)
        named = {} if far else {"GPULEDGER": str(self.ada.ledger)}
        environ = {**self._environ, **self.ada.environ, **named}
        environ |= {name: str(value) for name, value in more.items()}
        command = [*self._command, *words.split()]
        with terminal(command, environ, cwd=self.ada.ledger.parent, width=width) as screen:
            yield screen

    def shown(self, words: str, *, far: bool, **more: object) -> str:
        """All that a command writes on a terminal."""
        with self.open(words, far=far, **more) as screen:
            text = screen.rest()
            assert screen.ends() == 0
            return text


@pytest.fixture
def screens(
    sshd: Sshd, run_cli: RunCli, cli_command: Sequence[str], cli_env: dict[str, str]
) -> Screens:
    ada = sshd.console(run_cli, sshd.ada, sshd.ledger(*SMALL.split()[1:]))
    return Screens(sshd, ada, cli_command, cli_env)


def test_a_terminal_shows_the_same(screens: Screens) -> None:
    """Frame, colours and width are those of the terminal here, with NO_COLOR and without."""
    screens.ada.says("allocate train 2 16")
    screens.ada.says("release train")
    for words, more in (
        ("status", {}),
        ("status --gpus", {"width": 50}),
        ("pool show", {"width": 200}),
        ("status", {"NO_COLOR": "1"}),
        ("pool show", {"TERM": "dumb"}),
        ("status", {"COLUMNS": "60"}),
    ):
        here = screens.shown(words, far=False, **more)
        assert screens.shown(words, far=True, **more) == here
        assert here


def test_a_screen_is_watched(screens: Screens) -> None:
    """`status --watch` follows the ledger and the terminal's size, and Ctrl-C gives it back."""
    with screens.open("status --watch") as screen:
        assert "\x1b[?1049h" in screen.read_until("event 1;")
        screens.ada.says("allocate train 2 16")
        assert "6/8" in plain(screen.read_until("event 2;") + screen.read_until("total"))
        fcntl.ioctl(screen.end, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 50, 0, 0))
        screen.read_until("server        state  GPU free")  # too narrow for a frame
        assert screen.interrupt() == 0
        assert plain(screen.rest()).splitlines()[-1].startswith("total")
    assert "\x1b[?1049l" in screen.text


def test_ctrl_c_ends_what_waits_for_the_lock(screens: Screens) -> None:
    """A command that waits there ends at Ctrl-C here with 130, and nothing was done."""
    with gpuledger.open(screens.ada.ledger) as opened:
        with opened.log.turn(5.0), screens.open("allocate train 1") as screen:
            screens.sshd.wait_for_the_far_side(screens.ada.ledger)
            assert screen.interrupt() == 130
            assert "Traceback" not in screen.rest()
        assert opened.head().seq == 1


def test_ctrl_c_leaves_the_line(screens: Screens) -> None:
    """`allocate --wait` is in line there, and Ctrl-C here takes it out."""
    screens.ada.says("allocate all 8 64 --servers 2")
    with screens.open("allocate train 1 --wait") as screen:
        screen.read_until("waiting in line as @3")
        assert screen.interrupt() == 130
    (line,) = [screens.ada.document("queue")["requests"]]
    assert line == []


def test_whoever_is_at_a_terminal_is_asked(screens: Screens) -> None:
    """`reset` asks here what it asks there; y resets, anything else does not."""
    screens.ada.says("allocate train 1 4")
    root = f"--ledger ssh://{screens.sshd.ada.name}@far/~/asked-{screens.sshd.port}.db"
    screens.ada.says(f"{root} init")
    screens.ada.says(f"{root} allocate train 1 4")
    for answer, code in (("n", 1), ("y", 0)):
        with screens.open(f"{root} reset") as screen:
            screen.read_until("End this 1 allocation?")
            screen.type(f"{answer}\n")
            text = screen.rest()
            assert screen.ends() == code
            assert ("nothing was changed" in text) == bool(code)
