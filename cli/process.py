"""Processes as the record names them: by number, start and boot, so that none is mistaken.

A hold that is tied to processes ends with them. Judged is only what this process can see:
ties of this host, in this process's own pid namespace, through a /proc of that namespace.
Whatever cannot be seen is taken to be there, since a hold that stays too long can be released,
while a GPU that is given to two cannot be taken back from either.
"""

from __future__ import annotations

import os
from functools import lru_cache

from ..replay.facts import STOPPED, Process, Tie
from .actor import host_name

BOOT = "/proc/sys/kernel/random/boot_id"
SPACE = "/proc/self/ns/pid"

_STATE, _THREADS, _START = 0, 17, 19
"""Where fields 3, 20 and 22 of /proc/PID/stat stand behind the process's name."""


def tie_of(*pids: int) -> Tie | None:
    """What ties a hold to these processes of this host; None where the platform cannot tell.

    Raises ProcessLookupError where one of them is not there.
    """
    host, place = host_name(), _place(os.getpid())
    if host is None or place is None:
        return None
    return Tie(host, *place, tuple(Process(pid, _started(pid)) for pid in pids))


def gone(tie: Tie) -> str | None:
    """Why a tie has ended: `process` where each of its processes is gone, `reboot` where their
    host has started anew; None while one is there, or where that cannot be seen from here.
    """
    found = judged(tie)
    return None if found == STOPPED else found


def judged(tie: Tie) -> str | None:
    """The same, and `stopped` where all that are there are stopped, as by Ctrl-Z."""
    place = _place(os.getpid())
    if place is None or tie.host != host_name():
        return None
    boot, space = place
    if tie.boot != boot:
        return "reboot"
    if tie.space != space:
        return None
    states = [state for one in tie.processes if (state := _state(one)) is not None]
    if not states:
        return "process"
    return STOPPED if all(state in (b"T", b"t") for state in states) else None


@lru_cache(maxsize=1)
def _place(pid: int) -> tuple[str, int] | None:
    """The boot and the pid namespace of this process, whose number is `pid`; None without /proc.

    A /proc that was mounted in another namespace shows other processes under the same numbers.
    """
    try:
        if os.readlink("/proc/self") != str(pid):
            return None
        with open(BOOT, encoding="ascii") as file:
            return file.read().strip(), os.stat(SPACE).st_ino
    except (OSError, ValueError):
        return None


def _state(process: Process) -> bytes | None:
    """The letter for a process that runs, empty where it may run without being seen, else None.

    A zombie does not run, unless only its first thread has ended: the others run on.
    """
    fields = _fields(process.pid)
    if fields is None:
        return b"" if _exists(process.pid) else None
    ended = fields[_STATE] in (b"Z", b"X", b"x") and int(fields[_THREADS]) < 2
    return fields[_STATE] if int(fields[_START]) == process.start and not ended else None


def _exists(pid: int) -> bool:
    """Whether a process that /proc does not show is there all the same (`hidepid`)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def _started(pid: int) -> int:
    fields = _fields(pid)
    if fields is None:
        raise ProcessLookupError(pid)
    return int(fields[_START])


def _fields(pid: int) -> list[bytes] | None:
    """What /proc/PID/stat says behind the name, which may itself hold spaces and parentheses."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()
    except OSError:
        return None
