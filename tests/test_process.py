"""Ties: a hold ends with its processes, and no process that runs is ever taken to be gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec
import pytest

from gpuledger.cli import process
from gpuledger.cli.process import gone, judged, tie_of
from gpuledger.replay.facts import Process, Tie

pytestmark = pytest.mark.needs("linux")

ONLY_FIRST_THREAD_ENDS = """
import ctypes, os, sys, threading
threading.Thread(target=sys.stdin.read).start()
print(flush=True)
ctypes.CDLL(None).syscall({"x86_64": 60, "aarch64": 93}[os.uname().machine], 0)
"""
IN_A_SPACE = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
JUDGE = """
import sys, msgspec
from gpuledger.cli.process import gone
from gpuledger.replay.facts import Tie
print([gone(tie) for tie in msgspec.json.decode(sys.stdin.buffer.read(), type=list[Tie])])
"""
TIE = """
import os, sys, msgspec
from gpuledger.cli.process import tie_of
print(msgspec.json.encode(tie_of(os.getpid())).decode(), flush=True)
sys.stdin.read()
"""


@contextmanager
def running(*command: str) -> Iterator[subprocess.Popen[str]]:
    """A process that runs until its input ends."""
    with subprocess.Popen(
        command or ("cat",), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as made:
        yield made


def tied(*pids: int) -> Tie:
    tie = tie_of(*pids)
    assert tie is not None
    return tie


def has_ended(pid: int) -> None:
    """Wait for a child to end, and leave it a zombie."""
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


def test_a_tie_names_processes_by_their_start() -> None:
    """Host and namespace are those of this process, and a process keeps its start."""
    tie = tied(os.getpid())
    assert tie.host == os.uname().nodename
    assert tie.space == os.stat("/proc/self/ns/pid").st_ino
    assert tie.processes[0].pid == os.getpid()
    assert 0 < tie.processes[0].start == tied(os.getpid()).processes[0].start


def test_a_strange_name_hides_no_start() -> None:
    """A process that calls itself `) S 1 (` is known by its start all the same."""
    renames = "open('/proc/self/comm', 'w').write(') S 1 2 ('); print(flush=True); input()"
    with running(sys.executable, "-c", renames) as one:
        assert one.stdout is not None
        before = tied(one.pid)
        one.stdout.readline()
        assert tied(one.pid) == before
        assert gone(before) is None
        one.communicate("\n")


def test_who_is_not_there_cannot_be_tied_to() -> None:
    """A process that has been waited for is no longer there."""
    with running() as one:
        pass
    with pytest.raises(ProcessLookupError):
        tie_of(one.pid)


def test_a_tie_ends_with_the_last_of_its_processes() -> None:
    """As long as one of them runs it holds; a zombie does not run, nor one that was waited for."""
    with running() as one, running() as two:
        both = tied(one.pid, two.pid)
        assert gone(both) is None
        one.communicate()
        assert gone(both) is None
        two.kill()
        has_ended(two.pid)
        assert gone(both) == "process"
    assert gone(both) == "process"


def test_a_stopped_process_is_there() -> None:
    """A process that was stopped keeps what it holds."""
    with running() as one:
        one.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, one.pid, os.WSTOPPED | os.WNOWAIT)
        assert gone(tied(one.pid)) is None
        assert judged(tied(one.pid)) == "stopped"
        with running() as other:
            assert judged(tied(one.pid, other.pid)) is None
        one.kill()


def test_a_number_used_again_is_another_process() -> None:
    """The same number with another start is a process that the hold does not know."""
    with running() as one:
        tie = tied(one.pid)
        other = Process(one.pid, tie.processes[0].start - 1)
        assert gone(msgspec.structs.replace(tie, processes=(other,))) == "process"
        assert gone(msgspec.structs.replace(tie, processes=(other, *tie.processes))) is None


def test_threads_run_on_without_the_first() -> None:
    """A process looks like a zombie when its first thread has ended, and still uses its GPUs."""
    with running(sys.executable, "-c", ONLY_FIRST_THREAD_ENDS) as one:
        assert one.stdout is not None
        one.stdout.readline()
        tie = tied(one.pid)
        while process._fields(one.pid)[0] != b"Z":  # type: ignore[index]
            pass
        assert gone(tie) is None
        one.communicate()
    assert gone(tie) == "process"


def test_another_boot_of_this_host_is_a_reboot() -> None:
    """What ran before the host started anew is gone, in whatever namespace it was."""
    tie = msgspec.structs.replace(tied(os.getpid()), boot="0e0f2e6c-8a7b-4c39-a1e9-7d0d2c1f3b4a")
    assert gone(tie) == "reboot"
    assert gone(msgspec.structs.replace(tie, space=1)) == "reboot"


def test_other_hosts_are_not_judged() -> None:
    """Whether a process of another host runs cannot be seen from here, nor its boot."""
    tie = Tie("elsewhere", "another", 1, (Process(1, 1),))
    assert gone(tie) is None
    here = tied(os.getpid())
    assert gone(msgspec.structs.replace(here, host="elsewhere", processes=())) is None


@pytest.mark.needs("namespaces")
def test_other_namespaces_are_not_judged() -> None:
    """A container's processes are not gone because they cannot be seen, nor are those outside."""
    with running(*IN_A_SPACE, sys.executable, "-c", TIE) as inside, running() as outside:
        assert inside.stdout is not None
        tie = msgspec.json.decode(inside.stdout.readline(), type=Tie)
        assert gone(tie) is None
        reused = msgspec.structs.replace(tie, processes=(Process(1, 1), Process(999_999, 1)))
        assert gone(reused) is None
        ended = tied(outside.pid)
        outside.communicate()
        asked = msgspec.json.encode([tied(os.getpid()), ended, tie]).decode()
        with running(*IN_A_SPACE, sys.executable, "-c", JUDGE) as judge:
            assert judge.communicate(asked)[0] == "[None, None, None]\n"
        inside.communicate()
    assert gone(tie) is None
    assert gone(ended) == "process"


@pytest.mark.needs("namespaces")
def test_a_proc_of_another_namespace_is_not_believed() -> None:
    """Where /proc shows the processes of another namespace, nothing is tied and nothing judged."""
    with running("unshare", "--pid", "--fork", sys.executable, "-c", TIE) as one:
        assert one.communicate()[0] == "null\n"
    asked = msgspec.json.encode([Tie("h", "b", 1, ())]).decode()
    with running("unshare", "--pid", "--fork", sys.executable, "-c", JUDGE) as judge:
        assert judge.communicate(asked)[0] == "[None]\n"


@pytest.mark.needs("root", "namespaces", "setpriv")
def test_who_hides_is_there() -> None:
    """A /proc that hides others' processes does not make them gone; who is gone is seen."""
    hide = "mount -t proc -o hidepid=2 proc /proc && exec setpriv --reuid 65534 --regid 65534"
    words = f"{hide} --clear-groups {sys.executable} -c '{JUDGE}'"
    with running() as hidden, running() as ended:
        alive, dead = tied(hidden.pid), tied(ended.pid)
        other = msgspec.structs.replace(
            alive, processes=(msgspec.structs.replace(alive.processes[0], start=7),)
        )
        ended.communicate()
        asked = msgspec.json.encode([alive, dead, other]).decode()
        with running("unshare", "--mount", "sh", "-c", words) as judge:
            assert judge.communicate(asked)[0] == "[None, 'process', None]\n"


def without(monkeypatch: pytest.MonkeyPatch, name: str, value: object) -> None:
    process._place.cache_clear()
    monkeypatch.setattr(process, name, value)
    monkeypatch.setattr(process, "_place", process._place.__wrapped__)


NOWHERE: list[tuple[str, object]] = [
    ("BOOT", "/nowhere/boot_id"),
    ("SPACE", "/nowhere/ns/pid"),
    ("host_name", lambda: None),
]


@pytest.mark.parametrize(("name", "value"), NOWHERE)
def test_without_proc_nothing_is_tied_or_judged(
    monkeypatch: pytest.MonkeyPatch, name: str, value: Callable[[], None] | str
) -> None:
    """On a platform that does not tell boot, namespace or host there are no ties."""
    tie = msgspec.structs.replace(tied(os.getpid()), boot="another")
    without(monkeypatch, name, value)
    assert tie_of(os.getpid()) is None
    assert gone(tie) is None
