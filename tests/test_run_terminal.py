"""`run` at a terminal: keys reach the command, and a shell stops and continues it as any job."""

from __future__ import annotations

from collections.abc import Iterator
from shlex import join

import pytest

from runs import Host, python
from terminal import Terminal, terminal

pytestmark = pytest.mark.needs("linux", "setsid", "bash")

PROMPT = "$> "
COUNT = """
import os, signal, sys
signal.signal(signal.SIGCONT, lambda *_: os.write(1, b"going on\\n"))
signal.signal(signal.SIGINT, lambda *_: os.write(1, b"no\\n"))
os.write(1, b"begun\\n")
for line in sys.stdin:
    os.write(1, b"read " + line.encode())
"""

PAUSE = """
import os, signal
out, told = os.pipe()
signal.signal(signal.SIGINT, lambda *_: os.write(told, b"interrupted"))
os.write(1, b"begun")
os.write(1, os.read(out, 100))
"""
PAGER = """
import os, signal
signal.signal(signal.SIGINT, signal.SIG_IGN)
os.write(1, b"pager: " + os.read(os.open("/dev/tty", os.O_RDONLY), 100))
while part := os.read(0, 100):
    os.write(1, part)
"""


@pytest.fixture
def shell(host: Host) -> Iterator[Terminal]:
    """A shell with job control."""
    environ = {**host.whole_environ, "PS1": PROMPT}
    words = ["bash", "--norc", "--noprofile", "--noediting", "-i"]
    with terminal(words, environ, cwd=host.ledger.parent, width=500) as shell:
        shell.read_until(PROMPT)
        shell.type("bind() { :; }; stty -echo\n")
        shell.read_until(PROMPT)
        yield shell


def typed(shell: Terminal, words: str) -> None:
    """Type a command."""
    shell.type(f"{words}\n")


def test_ctrl_c_is_the_commands(host: Host) -> None:
    """It ends a command that does not mind it, with 130 and the GPUs free."""
    words = host.words("", "cat")
    with terminal(words, host.whole_environ, cwd=host.ledger.parent) as run:
        run.read_until("granted")
        run.type("hello\n")
        run.read_until("hello\r\nhello")
        run.type("\x03")
        assert run.ends() == 130
    assert host.held() == []


def test_ctrl_c_may_be_minded(host: Host) -> None:
    """A command that goes on after Ctrl-C keeps its GPUs, and gets it once."""
    words = host.words("", *python(COUNT))
    with terminal(words, host.whole_environ, cwd=host.ledger.parent) as run:
        run.read_until("begun")
        run.type("\x03")
        run.read_until("no")
        assert len(host.held()) == 1
        run.type("x\n")
        run.read_until("read x")
        run.type("\x04")
        assert run.ends() == 0
        assert run.text.count("no\r\n") == 1
    assert host.held() == []


def test_the_command_has_the_terminal(host: Host, shell: Terminal) -> None:
    """It is the foreground while it runs, and the shell is again when it has ended."""
    told = "import os; print('mine:', os.tcgetpgrp(0) == os.getpgrp() == os.getpid())"
    typed(shell, join(host.words("", *python(told))))
    assert "mine: True" in shell.read_until(PROMPT)
    typed(shell, "sh -c " + join([join(host.words("", "true")) + "; read x; echo got $x"]))
    shell.read_until("granted")
    shell.type("input\n")
    assert "got input" in shell.read_until(PROMPT)


def test_ctrl_z_and_fg(host: Host, shell: Terminal) -> None:
    """Ctrl-Z stops both and gives the shell its terminal; `fg` gives it to the command again."""
    typed(shell, join(host.words("--task job", *python(COUNT))))
    shell.read_until("begun")
    for _ in range(3):
        shell.type("\x1a")
        assert "Stopped" in shell.read_until(PROMPT)
        typed(shell, "jobs -s")
        assert "Stopped" in shell.read_until(PROMPT)
        assert [hold.task for hold in host.held()] == ["job"]
        typed(shell, "fg")
        shell.read_until("going on")
        shell.type("more\n")
        shell.read_until("read more")
    shell.type("\x04")
    shell.read_until(PROMPT)
    assert host.held() == []


def test_ctrl_z_in_a_script(host: Host, shell: Terminal) -> None:
    """Where a script runs it, script and all are stopped and go on together."""
    typed(shell, "sh -c " + join([join(host.words("", *python(COUNT))) + "; echo then"]))
    shell.read_until("begun")
    shell.type("\x1a")
    assert "Stopped" in shell.read_until(PROMPT)
    typed(shell, "fg")
    shell.read_until("going on")
    shell.type("more\n")
    shell.read_until("read more")
    shell.type("\x04")
    assert "then" in shell.read_until(PROMPT)


def test_in_the_background_and_to_the_front(host: Host, shell: Terminal) -> None:
    """Begun with `&` it leaves the terminal alone, stops when it wants input, reads after `fg`."""
    typed(shell, join(host.words("", *python(COUNT))) + " &")
    shell.read_until("begun")
    typed(shell, "while ! jobs -s | grep -q Stopped; do :; done; echo stopped by itself")
    shell.read_until("\r\nstopped by itself")
    typed(shell, "fg")
    shell.read_until("going on")
    shell.type("more\n")
    shell.read_until("read more")
    shell.type("\x1a")
    shell.read_until(PROMPT)
    typed(shell, "bg; wait -f %1; echo ended $?")
    shell.read_until("going on")


def test_a_reader_behind_a_pipe_keeps_the_keys(host: Host, shell: Terminal) -> None:
    """In `run … | pager` the keys are the pager's, and Ctrl-C still reaches the command."""
    typed(shell, f"{join(host.words('', *python(PAUSE)))} | {join(python(PAGER))}")
    shell.read_until("granted")
    shell.type("for the pager\n")
    shell.read_until("pager: for the pager")
    shell.read_until("begun")
    shell.type("\x03")
    shell.read_until("interrupted")
    shell.read_until(PROMPT)
    assert host.held() == []


LEAVE_ALONE = """
import os, sys
if os.fork():
    os._exit(0)
os.setpgid(0, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_without_a_shell_a_reader_is_hung_up(host: Host, shell: Terminal) -> None:
    """In a background that no shell minds, who wants the terminal ends, and holds nothing on."""
    words = [*python(LEAVE_ALONE), *host.words("--task alone", *python(COUNT))]
    typed(shell, join(words))
    shell.read_until("begun")
    while host.held():
        pass
    assert host.why() == {2: "owner"}


def test_a_stopped_job_ends_with_its_shell(host: Host, shell: Terminal) -> None:
    """A job that was stopped when its terminal was closed holds nothing afterwards."""
    typed(shell, join(host.words("--task job", *python(COUNT))))
    shell.read_until("begun")
    shell.type("\x1a")
    shell.read_until(PROMPT)
    shell.process.kill()
    while host.held():
        pass
    assert host.why() == {2: "owner"}
