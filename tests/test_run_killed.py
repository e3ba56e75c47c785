"""`run` killed: no GPU is held for the dead after the next command that writes, none is lost by
the living.

Who lives is told by /proc alone: a command has the allocation and the GPUs in its environment.
"""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from gpuledger.cli.process import tie_of
from runs import GPUS, Host, kill

pytestmark = pytest.mark.needs("linux")

MARK = "RUN_MARK"
COMMAND = ("sleep", "1000")
VICTIMS = ("run", "command", "both")
SPACE = ("unshare", "--pid", "--fork", "--mount-proc")
"""What makes a container's own space of process numbers."""


class Seen(NamedTuple):
    """A process with a mark, as /proc shows it; `begun` where it is the command itself."""

    pid: int
    mark: str
    begun: bool
    allocation: int
    gpus: tuple[int, ...]


def seen(marks: set[str]) -> list[Seen]:
    """The processes that run and have one of these marks."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            # In this order: words of the command mean that its environment is there, too.
            words = folder.joinpath("cmdline").read_bytes().split(b"\0")
            told = folder.joinpath("environ").read_bytes().decode(errors="replace").split("\0")
            environ = dict(one.split("=", 1) for one in told if "=" in one)
            if environ.get(MARK) not in marks:
                continue
            begun = words[0] == COMMAND[0].encode()
            gpus = environ["CUDA_VISIBLE_DEVICES"].split(",") if begun else []
            allocation = int(environ.get("GPULEDGER_ALLOCATION", "0"))
            found.append(
                Seen(int(folder.name), environ[MARK], begun, allocation, tuple(map(int, gpus)))
            )
    return found


def lives(pid: int) -> bool:
    """Whether a process is there and is no zombie."""
    try:
        told = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    return told.rpartition(b")")[2].split()[0] not in (b"Z", b"X")


class Run:
    """One `run` in a batch, with what is to be killed, and when."""

    def __init__(
        self, host: Host, stack: ExitStack, mark: str, delay_s: float, victim: str
    ) -> None:
        self.mark, self.delay_s, self.victim = mark, delay_s, victim
        self.process = stack.enter_context(
            subprocess.Popen(
                host.words("-g 1", *COMMAND),
                env={**host.whole_environ, MARK: mark},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )
        stack.callback(self.clear)
        self.told = ""
        self.doomed: list[int] = []
        self.pids: set[int] = set()

    def clear(self) -> None:
        """Kill all that is left of it."""
        for one in [self.process.pid, *(one.pid for one in self.look())]:
            kill(one)

    def look(self) -> list[Seen]:
        """Its processes; one that is just becoming another program shows no mark."""
        found = seen({self.mark})
        self.pids |= {one.pid for one in found}
        hidden = self.pids - {one.pid for one in found}
        return found + [Seen(pid, self.mark, False, 0, ()) for pid in hidden if lives(pid)]

    def strike(self) -> None:
        """Kill what is to be killed, as far as it is there."""
        every = self.look()
        self.told = "begun" if any(one.begun for one in every) else "not begun"
        others = [one.pid for one in every if one.pid != self.process.pid]
        doomed = [] if self.victim == "command" else [self.process.pid]
        self.doomed = doomed if self.victim == "run" else doomed + others
        for pid in self.doomed:
            kill(pid)

    def settle(self) -> list[Seen]:
        """Wait until nothing more happens by itself: the command lives, or nothing does."""
        if self.process.pid in self.doomed or self.told == "begun":
            self.process.wait()
        while any(map(lives, self.doomed)):  # Who was killed may still take a moment.
            pass
        while True:
            left = self.look()
            if self.process.poll() is not None and all(one.begun for one in left):
                return left
            if self.process.poll() is None and any(one.begun for one in left):
                return [one for one in left if one.begun]


def write(host: Host) -> None:
    """One command that writes, and that takes none of this machine's GPUs."""
    host.says("allocate probe 1 1 --on elsewhere")


def check(host: Host, living: list[Seen]) -> None:
    """This machine's GPUs are held by those that live, each by its own, and by nobody else."""
    told = {(one.allocation, one.gpus) for one in living}
    assert {(hold.id, hold.gpus) for hold in host.held() if hold.task != "probe"} == told


def batch(host: Host, chosen: random.Random, name: str, until_begun_s: float) -> Counter[str]:
    """As many at once as there are GPUs, each killed at a moment of its own."""
    with ExitStack() as stack:
        runs = [
            Run(host, stack, f"{name}-{at}", chosen.uniform(0, 3 * until_begun_s),
                chosen.choice(VICTIMS))
            for at in range(GPUS)
        ]  # fmt: skip
        began = time.monotonic()
        for run in sorted(runs, key=lambda run: run.delay_s):
            left = began + run.delay_s - time.monotonic()
            with suppress(subprocess.TimeoutExpired):
                run.process.wait(max(0.0, left))
            run.strike()
        living = [(run, one) for run in runs for one in run.settle()]
        write(host)
        check(host, [one for _, one in living])
        for run in runs:
            run.clear()
            run.process.wait()
        while any(run.look() for run in runs):
            pass
        host.says("release probe")
        check(host, [])
        why = host.why()
        assert {why[one.allocation] for _, one in living} <= {"process"}
        return Counter(f"{run.victim}, {run.told}" for run in runs)


def begins_within(host: Host) -> float:
    """The seconds from the start of a `run` to that of its command."""
    with ExitStack() as stack:
        began = time.monotonic()
        run = Run(host, stack, "first", 0.0, "both")
        while not any(one.begun for one in run.look()):
            pass
        return time.monotonic() - began


def test_whoever_is_killed(
    host: Host, full: bool, rng_seed: int, record_property: Callable[[str, object], None]
) -> None:
    """Killed at any moment, `run` and its command: the dead hold nothing, the living all theirs."""
    chosen = random.Random(rng_seed)
    until_begun_s = begins_within(host)
    told: Counter[str] = Counter()
    for at in range((200 if full else 16) // GPUS):
        told += batch(host, chosen, str(at), until_begun_s)
    why = Counter(host.why().values())
    record_property("killed", ", ".join(f"{what}: {n}" for what, n in sorted(told.items())))
    record_property("ended by", ", ".join(f"{what}: {n}" for what, n in sorted(why.items())))
    assert set(why) <= {"owner", "process"}


@pytest.mark.needs("namespaces")
def test_a_container_is_not_judged_from_outside(host: Host) -> None:
    """A hold in a pid namespace of its own stays when others write, inside as outside."""
    with host.running("--task inside", "cat", before=SPACE) as inside:
        assert inside.stdin is not None
        inside.stdin.write("begun\n")
        inside.stdin.flush()
        assert inside.stdout is not None
        inside.stdout.readline()
        with host.running("--task outside", "cat") as outside:
            while len(host.held()) < 2:
                pass
            write(host)
            other = subprocess.run(
                [*SPACE, *host.command, "release", "probe"], env=host.whole_environ, check=False
            )
            assert other.returncode == 0
            assert {hold.task for hold in host.held()} == {"inside", "outside"}
            outside.communicate()
        assert {hold.task for hold in host.held()} == {"inside"}
        inside.communicate()
    assert host.held() == []


def test_after_a_reboot_nothing_is_held(host: Host) -> None:
    """What was held by processes of an earlier boot ends with the next command that writes."""
    with host.acting() as ledger:
        tie = tie_of(os.getpid())
        assert tie is not None
        ledger.allocate("before", 1, tie=msgspec.structs.replace(tie, boot="of-before"))
        ledger.allocate(
            "elsewhere", 1, tie=msgspec.structs.replace(tie, host="x", boot="of-before")
        )
        kept = ledger.allocate("now", 1, tie=tie)
    write(host)
    assert {hold.task for hold in host.held()} == {"elsewhere", "now", "probe"}
    assert set(host.why().values()) == {"reboot"}
    assert kept.id in {hold.id for hold in host.held()}


def test_a_lease_ends_what_cannot_be_judged(host: Host) -> None:
    """The lease is there for holds whose processes nobody here can see."""
    with host.acting() as ledger:
        tie = tie_of(os.getpid())
        assert tie is not None
        far = msgspec.structs.replace(tie, host="container")
        taken = ledger.allocate("container", 1, lease=1, tie=far)
    while host.held():
        pass
    write(host)
    assert host.why() == {taken.id: "lease"}
