"""Ledgers whose clock a test sets, and whole commands that are asked about them."""

from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any

import gpuledger
from conftest import RunCli
from gpuledger.handle import Ledger
from gpuledger.replay.actor import Actor
from gpuledger.replay.facts import Pool
from small_pools import ROOT


def us(text: str) -> int:
    """Microseconds UTC of an ISO time; one without an offset is UTC."""
    moment = datetime.fromisoformat(
        text if text[10:].count("+") or "Z" in text else text + "+00:00"
    )
    return round(moment.timestamp() * 1_000_000)


class Clock:
    """A clock that stands where a test puts it."""

    def __init__(self, text: str) -> None:
        self.now_us = us(text)

    def __call__(self) -> int:
        """What it shows."""
        return self.now_us

    def to(self, text: str) -> None:
        """Put it to a time."""
        self.now_us = us(text)


def ledger_from(path: Path, of: Pool, clock: Clock, *, actor: Actor = ROOT) -> Ledger:
    """A ledger that begins when the clock says so, opened for `actor`; only its path is shared."""
    gpuledger.init(path, of, at=clock(), actor=ROOT)
    return as_actor(path, clock, actor)


def as_actor(path: Path, clock: Clock, actor: Actor) -> Ledger:
    """The ledger opened for somebody."""
    return Ledger(str(path), actor=actor, clock_us=clock)


def document(
    run_cli: RunCli, path: Path, *args: str | os.PathLike[str], zone: str = "UTC", code: int = 0
) -> dict[str, Any]:
    """The JSON document of a whole command, which must end with `code`."""
    done = run_cli("--ledger", path, *args, "--json", env={"TZ": zone})
    assert done.returncode == code, done.stdout + done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
