"""Connections that are cut at any moment: nothing is granted twice, or without somebody knowing."""

from __future__ import annotations

import random
import re
import shlex
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

import gpuledger
from conftest import RunCli
from console import SMALL, Console
from desk import GROUPED, Desk, typed
from gpuledger.replay.fold import decode
from runs import children, kill, python
from sshd import DIRECT, Sshd

pytestmark = GROUPED


@pytest.fixture
def ada(sshd: Sshd, run_cli: RunCli) -> Console:
    return sshd.console(run_cli, sshd.ada, sshd.ledger(*SMALL.split()[1:]), host=DIRECT)


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
                    kill(child)

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


ALONE = """
import fcntl, os, sys, time
held = open(os.path.join(sys.argv[1], "gpu-" + os.environ["CUDA_VISIBLE_DEVICES"]), "w")
try:
    fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    open(os.path.join(sys.argv[1], "two-had-one"), "w").close()
time.sleep(float(sys.argv[2]))
"""
"""What runs on a GPU: it takes note where another runs on the same one."""


def ended(process: subprocess.Popen[bytes], said: Path) -> int:
    """The exit code of a run: of its own end, the child's, a refusal, or a connection lost."""
    code = process.wait(120)
    assert code in (-9, 0, 4, 74, 137), (code, said.read_text(encoding="utf-8"))
    return code


def test_runs_that_are_cut_off_anywhere(
    desk: Desk,
    tmp_path: Path,
    *,
    full: bool,
    rng_seed: int,
    record_property: Callable[[str, object], None],
) -> None:
    """Cut or killed at a random moment, no two live children have one GPU, and nothing stays."""
    chance = random.Random(rng_seed)
    codes: list[int] = []
    running: dict[int, subprocess.Popen[bytes]] = {}
    for number in range(100 if full else 12):
        lives_s = chance.choice((0.0, 0.2, 3.0))
        words = desk.words("-g 1 --lease 10m", *python(ALONE), str(tmp_path), str(lives_s))
        with (tmp_path / f"said-{number}").open("wb") as said:
            process = subprocess.Popen(
                words, env=desk.whole_environ, stdin=subprocess.DEVNULL, stderr=said
            )
        running[number] = process
        with suppress(subprocess.TimeoutExpired):
            process.wait(chance.uniform(0, 1.5))
        way = chance.choice(("here", "there", "run", "all", "none"))
        if way == "there":
            desk.sshd.cut_off(desk.sshd.ada)
        for child in children(process.pid) if way in ("here", "all") else ():
            kill(child)
        if way in ("run", "all"):
            kill(process.pid)
        if number % 4 == 3:
            codes += [ended(running.pop(one), tmp_path / f"said-{one}") for one in list(running)]
    last = time.monotonic() + 60
    while desk.held() or desk.noted():
        assert time.monotonic() < last, (desk.held(), desk.noted())
        typed(desk, "release", "nothing", "--if-held")
    assert not (tmp_path / "two-had-one").exists()
    record_property("ends of the runs", sorted(codes))
