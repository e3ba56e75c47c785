"""`run` before its command begins: in line, behind a lock, and killed there; and without fork."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from gpuledger.cli import program
from gpuledger.cli.errand import Caller, Errand
from gpuledger.cli.executable import task_name
from gpuledger.cli.usage import Misused
from runs import GPUS, HOST, Host, children, kill, python

pytestmark = pytest.mark.needs("linux")

WITHOUT_FORK = "import os; del os.fork; from gpuledger.cli.entry import main; main()"


def has_child(pid: int) -> int:
    """The child of a process, once it has one."""
    while not (found := children(pid)):
        pass
    return found[0]


def test_killed_before_the_grant_it_leaves_nothing(host: Host) -> None:
    """Killed while it waits for the lock, it leaves no hold and no child that would ever run."""
    before = host.head()
    with host.acting() as ledger, host.running("", "touch", "ran") as run, ledger.log.turn():
        has_child(run.pid)
        kill(run.pid)
        # Ends when nobody has its output open any more, the child neither.
        assert run.communicate() == ("", "")
    assert host.head() == before
    assert not host.ledger.with_name("ran").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_asked_to_end_before_the_grant(host: Host, number: signal.Signals) -> None:
    """Asked to end while it waits for the lock, it ends as such, and nothing is held or run."""
    before = host.head()
    with host.acting() as ledger, host.running("", "touch", "ran") as run:
        with ledger.log.turn():
            has_child(run.pid)
            while run.poll() is None:
                run.send_signal(number)
        assert run.communicate()[0] == ""
    assert run.returncode in (128 + number, -number)
    assert host.head() == before
    assert not host.ledger.with_name("ran").exists()


def test_in_line_until_there_is_room(host: Host) -> None:
    """With `--wait` the command begins when its GPUs are free, and is told of them."""
    host.says(f"allocate all {GPUS} 1 --on {HOST}")
    with host.running("-g 3 --wait", "printenv", "CUDA_VISIBLE_DEVICES") as run:
        assert run.stderr is not None
        assert "waiting in line as @3" in run.stderr.readline()
        host.says("release all")
        out, err = run.communicate()
    assert (out, run.returncode) == ("0,1,2\n", 0)
    assert "granted @" in err
    assert host.held() == []


def test_who_leaves_the_line_runs_nothing(host: Host) -> None:
    """Asked to end while in line it leaves the line, and its time may be up: 124."""
    host.says(f"allocate all {GPUS} 1 --on {HOST}")
    with host.running("--wait", "touch", "ran") as run:
        assert run.stderr is not None
        run.stderr.readline()
        run.send_signal(signal.SIGTERM)
        run.communicate()
    assert run.returncode == 128 + signal.SIGTERM
    with host.acting() as ledger:
        assert not ledger.state().docket.waiting
    assert host.ran("--wait-for 1s", "touch", "ran").returncode == 124
    assert not host.ledger.with_name("ran").exists()


def test_killed_in_line_it_waits_no_longer(host: Host) -> None:
    """The next command that writes finds it gone."""
    host.says(f"allocate all {GPUS} 1 --on {HOST}")
    with host.running("--wait", "touch", "ran") as run:
        assert run.stderr is not None
        run.stderr.readline()
        kill(run.pid)
        run.communicate()
    host.says("allocate other 1 1 --on elsewhere")
    with host.acting() as ledger:
        assert not ledger.state().docket.waiting
    assert not host.ledger.with_name("ran").exists()


@pytest.mark.parametrize("words", ["run --on x -- touch ran", "pool check /etc/passwd"])
def test_nothing_is_run_for_another_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    """Whoever may reach the ledger through ssh may not have commands or files of its machine."""
    monkeypatch.chdir(tmp_path)
    caller = Caller(Errand("0", tuple(words.split()), "ada@there"))
    with pytest.raises(Misused, match="never run for another machine"):
        program.run(words.split(), caller)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("./train.py", "train.py-7"),
        ("python3.12 -u src/train.py --out x.sh", "train.py-7"),
        ("python -m vision.train --epochs 3", "vision.train-7"),
        ("torchrun --nproc-per-node 2 train.py", "train.py-7"),
        ("bash", "bash-7"),
        ("/usr/bin/env bash", "env-7"),
        ("./träning.py", "träning.py-7"),
        (".hidden", "hidden-7"),
        ("...", "run-7"),
        ("½", "run-7"),
        ("a:b/c@d", "c-d-7"),
        ("x" * 100, "x" * 62 + "-7"),
    ],
)
def test_a_task_is_called_like_its_command(words: str, name: str) -> None:
    """The script counts where an interpreter runs one; what no name may hold is left out."""
    assert task_name(words.split(), "7") == name


def test_a_made_name_that_is_in_use_is_made_longer(host: Host) -> None:
    """Another machine's process may have the same number: then the name gets more to it."""
    from gpuledger.cli.hold import Wish
    from gpuledger.cli.ledgerhold import LedgerHold
    from gpuledger.cli.session import Session

    host.says(f"allocate true-{os.getpid()} 1 1")
    hold = LedgerHold(Session(ledger=str(host.ledger)), Wish(("true",), 1))
    hold.take(None)
    assert [held.task.startswith(f"true-{os.getpid()}") for held in host.held()] == [True, True]
    hold.give_back()
    hold.give_back()
    assert len(host.held()) == 1


def test_what_starts_a_gang_finds_what_it_needs(host: Host) -> None:
    """With `--export` the child has the variables of that form; hostfiles go when it ends."""
    done = host.ran("-g 2 --export torchrun", "printenv", "PET_NPROC_PER_NODE")
    assert done.stdout == b"2\n"
    done = host.ran("-g 4 --servers 2 --export mpi", "sh", "-c", "cat $GPULEDGER_HOSTFILE; "
                    "echo $GPULEDGER_HOSTFILE")  # fmt: skip
    *lines, file = done.stdout.decode().splitlines()
    assert lines == [f"{HOST} slots=2", "elsewhere slots=2"]
    assert not Path(file).parent.exists()


@pytest.mark.parametrize(
    ("options", "command", "code", "out"),
    [
        ("-g 2", ["printenv", "CUDA_VISIBLE_DEVICES"], 0, b"0,1\n"),
        ("", ["sh", "-c", "exit 7"], 7, b""),
        ("", ["sh", "-c", "kill -9 $$"], 137, b""),
        ("", ["no-such-command"], 127, b""),
        ("", ["/etc/passwd"], 126, b""),
        ("--lease 2s", ["sh", "-c", "exec sleep 60"], 143, b""),
    ],
)
def test_without_fork(host: Host, options: str, command: list[str], code: int, out: bytes) -> None:
    """Where no process can fork the command runs all the same, and gives back what it held."""
    host.command = python(WITHOUT_FORK)
    done = host.ran(options, *command)
    assert (done.returncode, done.stdout) == (code, out), done.stderr
    assert host.held() == []
    assert set(host.why().values()) == {"owner"}
