"""Connections that are cut at any moment: nothing is granted twice, or without somebody knowing."""

from __future__ import annotations

import os
import random
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

import gpuledger
from conftest import RunCli
from console import SMALL, Console
from gpuledger.replay.fold import decode
from sshd import DIRECT, GROUPED, Sshd

pytestmark = GROUPED


@pytest.fixture
def ada(sshd: Sshd, run_cli: RunCli) -> Console:
    return sshd.console(run_cli, sshd.ada, sshd.ledger(*SMALL.split()[1:]), host=DIRECT)


def children(number: int) -> list[int]:
    with suppress(OSError):
        text = Path(f"/proc/{number}/task/{number}/children").read_text(encoding="utf-8")
        return list(map(int, text.split()))
    return []


def cut_after(process: subprocess.Popen[str], delay_s: float, cut: Callable[[], None]) -> str:
    """Let a command run so long, cut its connection, and give what it printed in all."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(delay_s)
    cut()
    out, err = process.communicate(timeout=120)
    assert process.returncode in (0, 74), (process.returncode, out, err)
    return out if not process.returncode else err


def test_an_allocate_that_is_cut_off_anywhere(
    sshd: Sshd,
    ada: Console,
    *,
    cli_env: Mapping[str, str],
    cli_command: Sequence[str],
    full: bool,
    rng_seed: int,
    record_property: Callable[[str, object], None],
) -> None:
    """Cut here or there at a random moment and tried again as told, each task is granted once."""
    chance = random.Random(rng_seed)
    began = time.monotonic()
    ada.says("allocate first 1 4")
    whole_s = time.monotonic() - began
    cuts = 0
    with gpuledger.open(ada.ledger) as opened:
        opened.release("@2", force=True, reason="the next")
        for number in range(100 if full else 10):
            task = f"task-{number}"
            process = subprocess.Popen(
                [*cli_command, "allocate", task, "1", "4"],
                env={**cli_env, **ada.environ}, text=True,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )  # fmt: skip
            here = chance.random() < 0.5

            def cut(process: subprocess.Popen[str] = process, here: bool = here) -> None:
                if not here:
                    sshd.cut_off(sshd.ada)
                for child in children(process.pid) if here else ():
                    with suppress(ProcessLookupError):
                        os.kill(child, signal.SIGKILL)

            said = cut_after(process, chance.uniform(0, whole_s), cut)
            if process.returncode:
                cuts += 1
                command = shlex.split(said.strip().rpartition(": ")[2])
                said = ada.says(shlex.join(command[1:]))
            told = re.match(rf"granted @(\d+) {task}: ", said)
            assert told is not None, said
            grants = [
                event.seq
                for event in opened.log.read(0)
                if event.kind == "allocation.granted" and decode(event).task == task
            ]
            assert grants == [int(told[1])]
            opened.release(f"@{told[1]}", force=True, reason="the next")
    record_property("connections cut before the end", cuts)
