"""`run` ends its command with the lease: asked in time to save what it has, dead at the end."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from gpuledger.cli.leaseend import ASKED_TO_END, GRACE_S, KILLED, LeaseEnd
from gpuledger.ledger.errors import LedgerMissing
from runs import Host, children, line, python

HOUR_S = 3600.0
WAITS = "echo ready; trap 'echo asked; exit 3' TERM; while :; do sleep 0.02; done"
MINDS_NOTHING = "trap '' TERM; echo ready; while :; do sleep 0.02; done"


class Book:
    """A lease of an hour, a ledger that answers what it is told to, and a clock."""

    def __init__(self, lease_s: float = HOUR_S) -> None:
        self.now = 100.0
        self.answer: float | Exception | None = 100.0 + lease_s
        self.lease = LeaseEnd(100.0 + lease_s, lease_s, self.ends, clock=lambda: self.now)

    def ends(self, within_s: float) -> float | None:
        assert 0 < within_s < GRACE_S / 2
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def wait(self) -> str | None:
        """What is due when the next thing is, and not before."""
        left = self.lease.left()
        assert left is not None
        self.now += left * 0.99
        assert self.lease.due() is None
        self.now += left * 0.01 + 1e-6
        return self.lease.due()


def test_asked_in_time_and_killed_before_the_end() -> None:
    """Ten seconds before the end it is asked to end, two seconds before it is killed."""
    book = Book()
    assert book.wait() == ASKED_TO_END
    assert book.now == pytest.approx(100 + HOUR_S - GRACE_S)
    assert book.wait() == KILLED
    assert book.now == pytest.approx(100 + HOUR_S - GRACE_S / 5)
    assert book.lease.left() is None


def test_a_short_lease_is_mostly_the_commands() -> None:
    """Of a lease of ten seconds one is left for its end."""
    book = Book(10.0)
    assert book.wait() == ASKED_TO_END
    assert book.now == pytest.approx(109)
    assert book.wait() == KILLED
    assert book.now == pytest.approx(109.8)


def test_an_extension_puts_off_the_end() -> None:
    """Noticed when it would be asked, or killed: then all of that happens before the new end."""
    book = Book()
    book.answer = 100 + 2 * HOUR_S
    assert book.wait() is None
    assert not book.lease.begun
    assert book.wait() == ASKED_TO_END
    assert book.lease.begun
    book.answer = 100 + 3 * HOUR_S
    assert book.wait() is None
    assert not book.lease.begun
    assert book.wait() == ASKED_TO_END
    book.answer += 5
    assert book.wait() is None
    assert book.wait() == KILLED
    assert book.now == pytest.approx(105 + 3 * HOUR_S - GRACE_S / 5)


def test_a_ledger_that_cannot_be_read_extends_nothing() -> None:
    """What was known counts, and a lease that was extended before keeps its new end."""
    book = Book()
    book.answer = 100 + 2 * HOUR_S
    assert book.wait() is None
    book.answer = LedgerMissing("/gone")
    assert book.wait() == ASKED_TO_END
    assert book.now == pytest.approx(100 + 2 * HOUR_S - GRACE_S)
    book.answer = OSError()
    assert book.wait() == KILLED


def test_a_hold_that_was_ended_ends_the_command() -> None:
    """Where somebody has ended the hold it gets its time to save what it has, and no more."""
    book = Book(50.0)
    book.answer = -math.inf
    assert book.wait() == ASKED_TO_END
    assert book.wait() == KILLED
    assert book.now == pytest.approx(145 + 4, abs=0.1)


def test_without_a_lease_nothing_is_due() -> None:
    """A hold without a lease, or one that has none any more, lasts as long as its command."""
    assert LeaseEnd(None, None, lambda _: 0.0).left() is None
    assert LeaseEnd(None, None, lambda _: 0.0).due() is None
    book = Book()
    book.answer = None
    assert book.wait() is None
    assert book.lease.left() is None


@pytest.mark.needs("linux")
@pytest.mark.parametrize(
    ("command", "code", "out"), [(WAITS, 3, "ready\nasked\n"), (MINDS_NOTHING, 137, "ready\n")]
)
def test_the_command_ends_with_its_lease(host: Host, command: str, code: int, out: str) -> None:
    """It is asked to end, and killed where it does not mind; nothing is held afterwards."""
    done = host.ran("--lease 3s", "sh", "-c", command)
    assert (done.returncode, done.stdout.decode()) == (code, out)
    assert b"the lease ends" in done.stderr
    assert host.held() == []


@pytest.mark.needs("linux")
def test_what_a_command_left_behind_ends_with_its_lease(host: Host) -> None:
    """A worker that is deaf to all does not outlive the lease because its script minded it."""
    script = 'sh -c "$0" & trap "exit 4" TERM; wait'
    with host.running("--lease 3s", "sh", "-c", script, MINDS_NOTHING) as run:
        assert line(run) == "ready"
        (child,) = children(run.pid)
        (worker,) = children(child)
        run.wait()
        assert run.returncode == 4
    assert worker not in [int(path.name) for path in Path("/proc").glob("[0-9]*") if _runs(path)]


def _runs(process: Path) -> bool:
    try:
        return process.joinpath("stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.mark.needs("linux")
def test_an_extended_lease_lets_the_command_run_on(host: Host) -> None:
    """Extended in time by anybody who may, it ends by itself, long after its first end."""
    told = "import sys, time; print(flush=True); time.sleep(9); sys.exit(5)"
    with host.running("--lease 8s --task job", *python(told)) as run:
        assert run.stdout is not None
        run.stdout.readline()
        host.says("extend job --by 1h")
        out, err = run.communicate()
    assert (out, run.returncode) == ("", 5)
    assert "the lease ends" not in err
    assert host.why() == {2: "owner"}
