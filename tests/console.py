"""A console: whole commands on one ledger, each asked for what it says and how it ends."""

from __future__ import annotations

import csv
import io
import json
import shlex
from pathlib import Path
from typing import Any

import gpuledger
from conftest import RunCli
from gpuledger.handle import Ledger
from gpuledger.replay.actor import Actor

SMALL = "init --servers 2 --gpus-per-server 4 --cpus-per-server 32"
BOB = Actor("bob", 4242)
EVE = Actor("eve", 4343)


class Console:
    """Runs commands as a person types them; `ledger` is where they all go."""

    def __init__(self, run: RunCli, ledger: Path) -> None:
        self._run = run
        self.ledger = ledger
        self.environ = {"GPULEDGER": str(ledger)}

    def ends(self, code: int, words: str, **more: Any) -> tuple[str, str]:  # noqa: ANN401
        """Stdout and stderr of a command that ends with this code."""
        done = self._run(*shlex.split(words), env=self.environ, **more)
        assert done.returncode == code, (words, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        return done.stdout, done.stderr

    def says(self, words: str) -> str:
        """What a command prints that succeeds and has nothing to remark."""
        out, err = self.ends(0, words)
        assert err == "", err
        return out

    def fails(self, code: int, words: str) -> str:
        """The one sentence of a command that fails with this code."""
        out, err = self.ends(code, words)
        assert out == ""
        assert err.startswith("gpuledger: ")
        assert err.count("\n") == 1, err
        return err.removeprefix("gpuledger: ").rstrip("\n")

    def remarks(self, words: str) -> str:
        """What a command says on stderr that succeeds and prints nothing."""
        out, err = self.ends(0, words)
        assert out == ""
        return err.removeprefix("gpuledger: ").rstrip("\n")

    def document(self, words: str) -> Any:  # noqa: ANN401 - JSON
        """The JSON document that a command prints."""
        return json.loads(self.says(f"{words} --json"))

    def csv(self, words: str) -> list[dict[str, str]]:
        """The rows of the CSV that a command prints."""
        return list(csv.DictReader(io.StringIO(self.says(f"{words} --csv"))))

    def row(self, server: str) -> list[str]:
        """A server's row of the status table, or the `total`, as words."""
        lines = self.says("status").splitlines()
        return next(line.split() for line in lines if line.startswith(f"{server} "))

    def acting(self, actor: Actor | None = None) -> Ledger:
        """The ledger opened here, for somebody else perhaps."""
        return Ledger(str(self.ledger), actor=actor)

    def head(self) -> int:
        """The seq of the last event."""
        with gpuledger.open(self.ledger) as ledger:
            return ledger.head().seq
