"""The way to another machine fails in a sentence: what it was, and how to go on."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

import gpuledger
from conftest import RunCli
from console import SMALL, Console
from desk import GROUPED
from gpuledger.cli.courier import OPTIONS
from sshd import DIRECT, Sshd
from terminal import terminal

pytestmark = GROUPED
OTHER_RELEASE = "import gpuledger.cli.remote as r; gpuledger.__version__ = '9.8.7'; r.main()"


@pytest.fixture
def ledger(sshd: Sshd) -> Path:
    return sshd.ledger(*SMALL.split()[1:])


@pytest.fixture
def bob(sshd: Sshd, run_cli: RunCli, ledger: Path) -> Iterator[Console]:
    """Commands on a connection of their own, so that what `authorized_keys` says now counts."""
    yield sshd.console(run_cli, sshd.bob, ledger, host=DIRECT)
    sshd.allow(sshd.bob)


def test_what_ssh_is_asked_for(sshd: Sshd, bob: Console) -> None:
    """No agent, no X11, no forwarding; one fixed word with one argument of base64url letters."""
    bob.says("status")
    asked = sshd.asked
    assert tuple(asked[: len(OPTIONS)]) == OPTIONS
    assert OPTIONS[:6] == ("-a", "-x", "-T", "-o", "ClearAllForwardings=yes", "-o")
    *rest, word, letters = asked[len(OPTIONS) :]
    assert rest == ["-l", sshd.bob.name, "--", DIRECT]
    assert word == "gpuledger-remote"
    assert not set(letters) - set(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    )


def test_an_account_may_be_for_this_alone(sshd: Sshd, bob: Console) -> None:
    """With `restrict,command="gpuledger-remote"` all of this works and nothing else does."""
    sshd.allow(sshd.bob, 'restrict,command="gpuledger-remote"')
    assert bob.says("allocate train 1 4").startswith("granted @2 train")
    ssh = [sshd.folder / "near" / "ssh", f"{sshd.bob.name}@{DIRECT}"]
    for words in (["id"], [], ["sh", "-c", "id"], ["gpuledger-remote"], ["gpuledger-remote", "x"]):
        done = subprocess.run(
            [*ssh, *words], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
        assert (done.returncode, done.stdout) == (2, ""), done.stderr
        assert "gpuledger-remote's argument is missing" in done.stderr


def test_another_release_there_is_told(sshd: Sshd, bob: Console) -> None:
    """Both releases are named, as JSON as well, and nothing is done."""
    script = sshd.folder / "other-release"
    script.write_text(f"#!{sshd.program.python}\nimport gpuledger\n{OTHER_RELEASE}\n")
    script.chmod(0o755)
    sshd.allow(sshd.bob, f'command="{script}"')
    place = f"{sshd.bob.name}@{DIRECT}"
    here = gpuledger.__version__
    sentence = bob.fails(78, "allocate train 1")
    assert sentence.startswith(f"gpuledger is {here} here and 9.8.7 on {place}; install the same")
    out, _ = bob.ends(78, "allocate train 1 --json")
    assert json.loads(out)["error"]["facts"] == {"place": place, "here": here, "there": "9.8.7"}


def test_a_machine_without_the_program_is_told(sshd: Sshd, bob: Console) -> None:
    """Where the shell there finds no such command the sentence says where to put it."""
    sshd.allow(sshd.bob, 'command="not-a-program-there"')
    _, err = bob.ends(78, "status")
    assert f"gpuledger is not installed on {sshd.bob.name}@{DIRECT}, or gpuledger-remote" in err
    assert "/usr/local/bin" in err


def test_a_machine_that_is_not_reached_is_told(bob: Console) -> None:
    """ssh's own words come first, then ours, with what to try again; as JSON too."""
    far = bob.environ["GPULEDGER"].replace(DIRECT, f"{DIRECT}:1")
    _, err = bob.ends(74, f"--ledger {far} allocate train 1")
    assert "Connection refused" in err
    assert "no connection to " in err
    again = err.rpartition("try again: ")[2]
    assert again.startswith(f"gpuledger --ledger {far} allocate train 1 --key ")
    out, _ = bob.ends(74, f"--ledger {far} status --json")
    assert json.loads(out)["error"]["code"] == "not_reached"


def test_the_usual_ledger_of_that_machine(sshd: Sshd, bob: Console) -> None:
    """Without a path that machine's own rules say which ledger; a third machine is refused."""
    where = sshd.url(sshd.bob, host=DIRECT)
    sshd.allow(sshd.bob, f'command="GPULEDGER={bob.ledger} gpuledger-remote"')
    assert bob.document(f"--ledger {where} status")["totals"]["gpus_total"] == 8
    sshd.allow(sshd.bob, 'command="GPULEDGER=ssh://third/x gpuledger-remote"')
    sentence = bob.fails(78, f"--ledger {where} status")
    assert sentence.endswith("; name that one: gpuledger --ledger ssh://third/x")


def test_which_ledger_is_read_is_said(sshd: Sshd, bob: Console, cli_env: dict[str, str]) -> None:
    """Where there is a ledger of this machine, too, `status` says which one it reads."""
    own = Path(cli_env["XDG_STATE_HOME"]) / "gpuledger" / "ledger.db"
    far = bob.environ.pop("GPULEDGER")
    bob.says("init")
    bob.environ["GPULEDGER"] = far
    _, err = bob.ends(0, "status")
    assert err == f"gpuledger: this is {far}; there is also {own}\n"


def test_a_reading_that_is_cut_off_is_told(
    sshd: Sshd, bob: Console, cli_env: dict[str, str], cli_command: Sequence[str], tmp_path: Path
) -> None:
    """When the connection goes while a screen is watched, the screen comes back with a sentence."""
    environ = {**cli_env, **bob.environ}
    with terminal([*cli_command, "status", "--watch"], environ, cwd=tmp_path) as screen:
        screen.read_until("event 1;")
        sshd.cut_off(sshd.bob)
        text = screen.rest()
        assert screen.ends() == 74
    assert "\x1b[?1049l" in text
    assert f"the connection to {sshd.bob.name}@{DIRECT} was lost before all" in text


def test_an_act_that_is_cut_off_can_be_tried_again(
    sshd: Sshd, bob: Console, cli_env: dict[str, str], cli_command: Sequence[str]
) -> None:
    """The sentence has the key with which trying again does it once, and the far side gives up."""
    with gpuledger.open(bob.ledger) as opened:
        with opened.log.turn(5.0):
            process = subprocess.Popen(
                [*cli_command, "allocate", "train", "1", "4"],
                env={**cli_env, **bob.environ}, stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
            far = sshd.wait_for_the_far_side(bob.ledger)
            sshd.cut_off(sshd.bob)
            _, err = process.communicate(timeout=60)
            assert process.returncode == 74
        sshd.wait_for_the_end_of(far)
        assert opened.head().seq == 1
    again = shlex.split(err.strip().rpartition(": ")[2])
    assert again[:2] == ["gpuledger", "allocate"]
    assert "lost, and whether it was done is not known; try again" in err
    for _ in range(2):
        assert bob.says(shlex.join(again[1:])).startswith("granted @2 train")


def test_what_is_said_before_the_far_side_begins_is_passed_on(sshd: Sshd, bob: Console) -> None:
    """A shell there that greets, on stdout or stderr, costs a line and breaks nothing."""
    script = sshd.folder / "greeting"
    line = "printf 'w\\036gpuledger ' >&2; exec gpuledger-remote"
    script.write_text(f"#!/bin/sh\n{line}\n", encoding="utf-8")
    script.chmod(0o755)
    sshd.allow(sshd.bob, f'command="{script}"')
    out, err = bob.ends(0, "allocate train 1 4")
    assert out.startswith("granted @2")
    assert err == "w\x1egpuledger "


def test_a_reader_that_goes_away_is_no_failure(
    sshd: Sshd, bob: Console, cli_env: dict[str, str], cli_command: Sequence[str], tmp_path: Path
) -> None:
    """`export | head` ends there and here, quietly, with 141."""
    trace = tmp_path / "jobs.csv"
    rows = [f"{n},u1,2020-01-02,2020-01-02,1" for n in range(2_000)]
    trace.write_text("\n".join(["job_id,user,start,end,gpus", *rows]), encoding="utf-8")
    past = sshd.url(sshd.bob, "/~/piped.db")
    bob.says(f"--ledger {past} init --at 2020-01-01")
    bob.says(f"--ledger {past} import {trace}")
    process = subprocess.Popen(
        [*cli_command, "--ledger", past, "export"],
        env={**cli_env, **bob.environ}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline().startswith(b"{")
    process.stdout.close()
    assert (process.wait(60), process.stderr.read()) == (141, b"")
    process.stderr.close()
