"""A ledger on another machine: what a shared connection is worth, and what the way costs.

The other machine is an sshd on loopback, so that no network is in the figures: with one, each
new connection takes several round trips more, and a shared one a single one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping

import pytest

from absence import lacking
from figure import Compare, Goal, Side
from installed import ROOT
from people import a_program, interpreter
from sshd import DIRECT, SHARED, TOOLS, Sshd, an_sshd

ROUNDS = 20
SHARING = Goal("time", 0.8)
"""Of the time on a connection of its own."""


@pytest.fixture(scope="module")
def sshd() -> Iterator[Sshd]:
    missing = [name for name in TOOLS if name not in ("root", "linux") and not shutil.which(name)]
    python = interpreter() if os.name == "posix" and os.geteuid() == 0 else None
    if missing or python is None:
        what = ", ".join(missing) or "an interpreter that everybody can execute"
        lacking(f"needs root and {what}")
    with a_program(ROOT, python) as program, an_sshd(program) as made:
        yield made


class Machine:
    """Runs commands on a ledger of that machine, on a connection of their own or a shared one."""

    def __init__(self, sshd: Sshd) -> None:
        self.sshd = sshd
        self.ledger = sshd.ledger("--servers", "4")

    def status(self, ledger: str, environ: Mapping[str, str]) -> Side:
        """A side that runs `status` once."""
        command = [sys.executable, "-m", "gpuledger", "--ledger", ledger, "status"]
        whole = {**os.environ, **environ}

        def run() -> None:
            done = subprocess.run(command, env=whole, capture_output=True, check=False)
            assert done.returncode == 0, done.stderr

        return lambda: run

    def through(self, host: str) -> Side:
        """The same through ssh, by that name of the machine."""
        url = self.sshd.url(self.sshd.ada, self.ledger, host=host)
        return self.status(url, self.sshd.environ)

    def here(self) -> Side:
        """The same without ssh."""
        return self.status(str(self.ledger), {})


@pytest.fixture(scope="module")
def machine(sshd: Sshd) -> Machine:
    return Machine(sshd)


def test_a_shared_connection(compare: Compare, machine: Machine) -> None:
    """What ControlMaster, which the docs show, takes off a command."""
    compare(
        "status through ssh, sharing a connection",
        machine.through(SHARED),
        machine.through(DIRECT),
        against="on a connection of its own",
        goal=SHARING,
        rounds=ROUNDS,
    )


def test_the_way_there(compare: Compare, machine: Machine) -> None:
    """What a command costs that is typed on another machine."""
    compare(
        "status through ssh, sharing a connection",
        machine.through(SHARED),
        machine.here(),
        against="on the machine itself",
        rounds=ROUNDS,
    )
