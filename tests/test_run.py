"""`run`: a command with GPUs of its own, otherwise as it is without gpuledger."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

import pytest

from conftest import RunCli
from gpuledger.cli.process import gone, tie_of
from runs import GPUS, HOST, Host, children, kill, line, python

pytestmark = pytest.mark.needs("linux")

SIGNALS = ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGWINCH", "SIGXCPU")
TELL_SIGNALS = f"""
import os, signal, sys
for name in {SIGNALS}:
    signal.signal(getattr(signal, name), lambda number, _: os.write(1, b"%d\\n" % number))
os.write(1, b"ready\\n")
sys.stdin.read()
"""


def test_the_command_finds_its_gpus(host: Host) -> None:
    """It sees its GPUs and nobody else's, knows its allocation, and all else is as it was."""
    host.says(f"allocate first 1 1 --on {HOST}")
    told = "import os, json; print(json.dumps(dict(os.environ)))"
    done = host.ran("-g 2", *python(told), CUDA_VISIBLE_DEVICES="0,1,2,3", MINE="kept")
    environ = json.loads(done.stdout)
    assert environ["CUDA_VISIBLE_DEVICES"] == "1,2"
    assert environ["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
    assert environ["GPULEDGER_SERVER"] == HOST
    assert environ["GPULEDGER_ALLOCATION"] == "3"
    assert environ["MINE"] == "kept"
    assert done.stderr.decode().startswith("gpuledger: granted @3 ")


def test_it_holds_as_long_as_the_command_runs(host: Host) -> None:
    """While it runs `list` shows it; afterwards its GPUs are free, and it is owner who ended it."""
    with host.running("-g 2 --task train --note rerun", "cat") as run:
        assert run.stdin is not None
        run.stdin.write("begun\n")
        run.stdin.flush()
        assert line(run) == "begun"
        assert [(hold.task, hold.gpus) for hold in host.held()] == [("train", (0, 1))]
        run.communicate()
    assert run.returncode == 0
    assert host.held() == []
    assert host.why() == {2: "owner"}


def test_it_is_tied_to_itself_and_to_the_command(host: Host) -> None:
    """The grant names both processes, and with them gone nothing is left of it."""
    with host.running("", "cat") as run:
        while not (held := host.held()):
            pass
        with host.acting() as ledger:
            piece = ledger.state().allocation(held[0].id)
        assert piece is not None
        (child,) = children(run.pid)
        assert piece.tie == tie_of(run.pid, child)
        assert gone(piece.tie) is None


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("exit 0", 0),
        ("exit 7", 7),
        ("exit 255", 255),
        ("kill -KILL $$", 137),
        ("kill -TERM $$", 143),
        ("kill -INT $$", 130),
        ("kill -SEGV $$", 139),
    ],
)
def test_it_ends_as_the_command_ends(host: Host, command: str, code: int) -> None:
    """The exit code is the command's, or 128 and the number of the signal that ended it."""
    assert host.ran("", "sh", "-c", command).returncode == code
    assert host.held() == []


def test_a_command_that_is_not_there(host: Host, tmp_path: Path) -> None:
    """127 where there is none and 126 where it cannot be executed; the ledger is not asked."""
    before = host.head()
    (tmp_path / "plain").write_text("echo\n")
    plain = str(tmp_path / "plain")
    missing, refused = ("no-such-command", "./none", ""), (plain, str(tmp_path))
    for command in (*missing, *refused):
        done = host.ran("", command)
        assert (done.returncode, done.stdout) == (127 if command in missing else 126, b"")
        assert done.stderr.startswith(b"gpuledger: ")
        assert done.stderr.count(b"\n") == 1
    assert host.head() == before


def test_a_command_that_fails_to_begin_holds_nothing(host: Host, tmp_path: Path) -> None:
    """Where it is found out only with the GPUs in hand they are given back at once."""
    script = tmp_path / "script"
    script.write_text("#!/nowhere/interpreter\n")
    script.chmod(0o755)
    done = host.ran("", str(script))
    assert done.returncode == 126
    assert b"cannot be executed: there is no '/nowhere/interpreter' to read it" in done.stderr
    assert host.held() == []
    assert host.why() == {2: "owner"}


def test_a_script_without_an_interpreter_is_the_shells(host: Host, tmp_path: Path) -> None:
    """As with execvp and every shell, such a script runs, and gets its arguments."""
    script = tmp_path / "train"
    script.write_text('echo "$1 $CUDA_VISIBLE_DEVICES"\n')
    script.chmod(0o755)
    assert host.ran("", str(script), "epochs").stdout == b"epochs 0\n"


def test_arguments_are_the_commands_own(host: Host) -> None:
    """What looks like an option of gpuledger, a number, or no text at all, goes on as it is."""
    words = ["--json", "-g", "-5", "--", "--help", "", "a b", "\udcff"]
    done = host.ran("", "printf", "%s|", *words)
    assert done.stdout == b"--json|-g|-5|--|--help||a b|\xff|"
    with_no_dashes = [*host.command, "run", "-g", "1", "echo", "--json", "-g", "7"]
    assert host.ran("", *with_no_dashes).stdout == b"--json -g 7\n"


def test_input_and_output_are_the_commands_own(host: Host) -> None:
    """Bytes go through untouched in both directions, and stdout has nothing else."""
    with host.running("", "cat") as run:
        assert run.communicate("one\ntwo")[0] == "one\ntwo"


def test_a_refusal_runs_nothing(host: Host) -> None:
    """Where there is no room it ends with 4 and a sentence, and the command has never run."""
    host.says(f"allocate all {GPUS} 1 --on {HOST}")
    done = host.ran("-g 2", "touch", "ran")
    assert done.returncode == 4
    assert b"no GPU is free" in done.stderr
    assert not host.ledger.with_name("ran").exists()
    refused = json.loads(host.ran("-g 2 --json", "touch", "ran").stdout)["error"]
    assert (refused["code"], refused["facts"]["reason"]) == ("refused", "no_gpus")
    assert len(host.held()) == 1


def test_where_it_runs(host: Host) -> None:
    """It runs with this machine's GPUs; with those of another server CUDA shows it none."""
    done = host.ran("--on elsewhere:2-3", "env")
    assert b"\nCUDA_VISIBLE_DEVICES=\n" in done.stdout
    assert f"these are GPUs of elsewhere:2-3; this is {HOST}" in done.stderr.decode()
    spread = host.ran("-g 4 --servers 2", "env")
    assert b"\nCUDA_VISIBLE_DEVICES=0,1\n" in spread.stdout
    assert b"exclude each other" in host.ran("--here --on elsewhere", "true").stderr


def test_a_machine_that_is_no_server(run_cli: RunCli, host: Host, tmp_path: Path) -> None:
    """A sentence says how to name a server, and named, its GPUs are shown as they are."""
    host.ledger = tmp_path / "other.db"
    host.whole_environ["GPULEDGER"] = host.environ["GPULEDGER"] = str(host.ledger)
    host.says("init --servers 2")
    done = host.ran("", "true")
    assert done.returncode == 3
    assert done.stderr.decode() == (
        f"gpuledger: this machine, '{HOST}', is no server of the pool;"
        " name one with --on SERVER: gpu-server-[0-1]\n"
    )
    assert b"\nCUDA_VISIBLE_DEVICES=6,7\n" in host.ran("--on gpu-server-1:6-7", "env").stdout


@pytest.mark.parametrize("name", SIGNALS)
def test_signals_reach_the_command(host: Host, name: str) -> None:
    """What is sent to `run` the command gets, once, and `run` does not end before it."""
    number = getattr(signal, name)
    with host.running("", *python(TELL_SIGNALS)) as run:
        assert line(run) == "ready"
        run.send_signal(number)
        assert line(run) == str(int(number))
        out, _ = run.communicate()
    assert (out, run.returncode) == ("", 0)
    assert host.held() == []


def test_signals_reach_the_commands_own_children(host: Host) -> None:
    """What a script has started gets them too, as from a terminal."""
    script = 'trap : TERM; "$0" -c "$1"; echo outer'
    with host.running("", "sh", "-c", script, sys.executable, TELL_SIGNALS) as run:
        assert line(run) == "ready"
        run.send_signal(signal.SIGTERM)
        assert line(run) == str(int(signal.SIGTERM))
        assert run.communicate()[0] == "outer\n"


def test_what_was_to_be_ignored_is_ignored(host: Host) -> None:
    """Under nohup a hangup ends neither; other signals are plain, also those Python ignores."""
    with host.running("", "grep", "Sig", "/proc/self/status", before=["nohup"]) as run:
        out, _ = run.communicate()
    told = dict(map(str.split, out.splitlines()))
    assert int(told["SigIgn:"], 16) == 1 << (signal.SIGHUP - 1)
    assert int(told["SigBlk:"], 16) == 0


def test_it_stops_and_goes_on_with_the_command(host: Host) -> None:
    """Stopped by a batch system both stop, and both go on when it is continued."""
    with host.running("", *python(TELL_SIGNALS)) as run:
        assert line(run) == "ready"
        (child,) = children(run.pid)
        kill(child, signal.SIGSTOP)
        kill(run.pid, signal.SIGCONT)
        run.send_signal(signal.SIGUSR1)
        assert line(run) == str(int(signal.SIGUSR1))
        run.communicate()
    assert run.returncode == 0


def test_a_failed_giving_back_hides_no_exit_code(host: Host) -> None:
    """The command's exit code counts, one sentence tells of the failure, the tie does the rest."""
    done = host.ran("", "sh", "-c", f"mv {host.ledger} kept; exit 9")
    assert done.returncode == 9
    last = done.stderr.decode().splitlines()[-1]
    assert last.startswith("gpuledger: this could not be given back: there is no ledger at")
    host.ledger.with_name("kept").rename(host.ledger)
    assert len(host.held()) == 1
    host.says("allocate next 1 1")
    assert [hold.task for hold in host.held()] == ["next"]
    assert host.why() == {2: "process"}
