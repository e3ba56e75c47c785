"""A desk: another machine than the ledger's, itself a server of the pool, where `run` is typed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from conftest import RunCli
from console import Console
from runs import Host
from sshd import DIRECT, TOOLS, Sshd

GROUPED = [pytest.mark.needs(*TOOLS), pytest.mark.xdist_group("ssh")]
"""The marks of tests that ask for an sshd: one process runs them all."""

AT_THE_DESK = """
import gpuledger.cli.actor as actor
from gpuledger.cli.entry import main
actor.host_name = lambda: "desk"
main()
"""
"""Both machines are one here; where commands are typed, it goes by another name."""

POOL = '[defaults]\ngpus = 4\ncpus = 32\n[[server]]\nname = "desk"\n[[server]]\nname = "rack"\n'


class Desk(Host):
    """A console at another machine, which is a server of the pool."""

    def __init__(self, run: RunCli, sshd: Sshd, environ: dict[str, str], pool: Path) -> None:
        pool.write_text(POOL, encoding="utf-8")
        Console.__init__(self, run, sshd.ledger("--pool", str(pool)))
        self.environ = {"GPULEDGER": sshd.url(sshd.ada, self.ledger, host=DIRECT), **sshd.environ}
        self.command = (sys.executable, "-c", AT_THE_DESK)
        self.whole_environ = {**environ, **self.environ}
        self.notes = Path(environ["XDG_STATE_HOME"]) / "gpuledger" / "runs"
        self.sshd = sshd

    def noted(self) -> int:
        """How many notes of runs there are."""
        return len(list(self.notes.iterdir())) if self.notes.exists() else 0

    def network_goes(self) -> None:
        """No connection is left, and none comes about."""
        self.sshd.stop()
        self.sshd.cut_off(self.sshd.ada)


def typed(desk: Desk, *words: str) -> str:
    """What a command prints that is typed at the desk and succeeds."""
    done = subprocess.run(
        [*desk.command, *words], env=desk.whole_environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
