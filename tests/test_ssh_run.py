"""`run` with the ledger on another machine: the child here, its GPUs there, and who judges it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from conftest import RunCli
from desk import GROUPED, Desk, typed
from gpuledger.cli import farhold, process
from gpuledger.replay.facts import Process, Tie
from runs import children, kill, line, python
from sshd import DIRECT, Sshd
from terminal import terminal

pytestmark = GROUPED


def test_the_child_is_here_and_its_gpus_are_there(desk: Desk) -> None:
    """It runs here with GPUs of this host, held by the user of that machine, tied to this host."""
    told = "import os; print(os.environ['CUDA_VISIBLE_DEVICES'], os.getppid()); input()"
    with desk.running("-g 2 --task train", *python(told)) as run:
        assert line(run) == f"0,1 {run.pid}"
        with desk.acting() as ledger:
            (piece,) = ledger.state().allocations()
        assert (piece.task, piece.user) == ("train", desk.sshd.ada.name)
        assert [(share.server, share.gpus) for share in piece.servers] == [("desk", (0, 1))]
        (child,) = children(run.pid)
        assert piece.tie is not None
        assert piece.tie.host == "desk"
        assert [one.pid for one in piece.tie.processes] == [run.pid, child]
        assert desk.noted() == 1
        _, err = run.communicate("\n")
    assert run.returncode == 0
    assert err.startswith("gpuledger: granted @2 train: desk:0-1, 16 CPUs")
    assert (desk.held(), desk.noted(), desk.why()) == ([], 0, {2: "owner"})


def test_it_ends_as_the_command_ends_or_as_it_fails_there(desk: Desk) -> None:
    """The child's code is the exit code; what is refused there has its own code and sentence."""
    assert desk.ran("", "sh", "-c", "exit 7").returncode == 7
    assert desk.ran("", "no-such-command").returncode == 127
    done = desk.ran("-g 5", "true")
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.count(b"\n") == 1
    done = desk.ran("-g 5 --json", "true")
    assert json.loads(done.stdout)["error"]["code"] == "refused"
    assert (desk.held(), desk.noted()) == ([], 0)


def test_what_a_gang_reads_is_made_here(desk: Desk) -> None:
    """Hostfiles lie on this machine while the command runs, of `run` and of `allocate`."""
    show = "import os; print(open(os.environ['GPULEDGER_HOSTFILE']).read())"
    done = desk.ran("-g 4 --servers 2 --export mpi", *python(show))
    assert done.stdout.decode().split() == ["desk", "slots=2", "rack", "slots=2"]
    lines = typed(desk, "allocate", "train", "4", "--servers", "2", "--export=mpi")
    told = dict(one.removeprefix("export ").split("=", 1) for one in lines.splitlines())
    assert "desk slots=2" in Path(told["GPULEDGER_HOSTFILE"]).read_text(encoding="utf-8")
    assert told["CUDA_VISIBLE_DEVICES"] == "0,1"


BEGUN = ("sh", "-c", "echo begun; exec cat")


def test_only_this_host_says_that_a_child_is_gone(desk: Desk, sshd: Sshd, run_cli: RunCli) -> None:
    """Killed with its child, a run's GPUs are given back by the next command from here alone."""
    bob = sshd.console(run_cli, sshd.bob, desk.ledger)
    with desk.running("-g 2", *BEGUN) as run:
        assert line(run) == "begun"
        (child,) = children(run.pid)
        kill(run.pid)
        bob.says("allocate other 1 --on rack")
        typed(desk, "allocate", "more", "1", "--on", "rack")
        assert [one.id for one in desk.held()] == [2, 3, 4], "the child is there yet"
        kill(child)
        run.wait()
    bob.says("release other")
    typed(desk, "status")
    assert [one.id for one in desk.held()] == [2, 4], "others do not judge, and who reads does not"
    typed(desk, "release", "more")
    assert (desk.held(), desk.noted()) == ([], 0)
    with desk.acting() as ledger:
        told = [json.loads(event.data) for event in ledger.log.read(5)]
    (ended,) = [one for one in told if one["allocations"] == [2]]
    assert ended["reason"] == "its process on desk is gone"
    assert ended["by"]["uid"] == sshd.ada.uid


def test_a_report_ends_only_the_reporters_own(desk: Desk, sshd: Sshd) -> None:
    """Somebody else who reports the same processes gone gives nothing back by it."""
    with desk.running("", *BEGUN) as run:
        assert line(run) == "begun"
        for number in (run.pid, *children(run.pid)):
            kill(number)
        run.wait()
    (note,) = desk.notes.iterdir()
    theirs = note.read_text(encoding="utf-8").replace(sshd.ada.name, sshd.bob.name)
    note.with_name("theirs.json").write_text(theirs, encoding="utf-8")
    bob = sshd.url(sshd.bob, desk.ledger, host=DIRECT)
    typed(desk, "--ledger", bob, "allocate", "other", "1", "--on", "rack")
    assert [one.id for one in desk.held()] == [2, 3]
    assert list(desk.notes.iterdir()) == [note]
    typed(desk, "release", "--mine", "--if-held")
    assert ([one.id for one in desk.held()], desk.noted()) == ([3], 0)


def test_without_network_it_keeps_its_gpus_until_its_lease_ends(desk: Desk) -> None:
    """The child goes on, and is ended before its GPUs can be another's; nothing is left."""
    with desk.running("-g 2 --lease 20s", *BEGUN) as run:
        assert line(run) == "begun"
        desk.network_goes()
        assert run.wait(60) == 143
        assert run.stderr is not None
        err = run.stderr.read()
    assert "the lease ends soon" in err
    desk.sshd.start()
    typed(desk, "release", "--mine", "--if-held")
    assert (desk.held(), desk.why()) == ([], {2: "lease"})


def test_without_network_at_its_end_it_tries_until_the_lease_ends(desk: Desk) -> None:
    """What cannot be given back is tried again, and given back when the network is there."""
    with desk.running("-g 2 --lease 5m", "sh", "-c", "echo begun; read word; exit 3") as run:
        assert line(run) == "begun"
        desk.network_goes()
        assert run.stdin is not None
        assert run.stderr is not None
        run.stdin.write("\n")
        run.stdin.flush()
        while "this is tried until the lease ends" not in run.stderr.readline():
            pass
        desk.sshd.start()
        run.wait(60)
    assert run.returncode == 3
    assert (desk.held(), desk.noted(), desk.why()) == ([], 0, {2: "owner"})


def test_without_network_and_without_a_lease_a_note_is_left(desk: Desk) -> None:
    """It says that it could not give back, ends with the child's code, and the next does it."""
    with desk.running("-g 2", "sh", "-c", "echo begun; read word; exit 3") as run:
        assert line(run) == "begun"
        desk.network_goes()
        _, err = run.communicate("\n", timeout=60)
    assert run.returncode == 3
    assert "this could not be given back: no connection to " in err
    assert (len(desk.held()), desk.noted()) == (1, 1)
    desk.sshd.start()
    typed(desk, "allocate", "next", "4", "--on", "desk")
    assert [(one.task, one.gpus) for one in desk.held()] == [("next", (0, 1, 2, 3))]
    assert desk.noted() == 0


def test_who_waits_leaves_the_line(desk: Desk, tmp_path: Path) -> None:
    """Ctrl-C before the grant leaves nothing behind, and the command never began."""
    typed(desk, "allocate", "all", "4", "--on", "desk")
    command = desk.words("--wait", "touch", str(tmp_path / "begun"))
    with terminal(command, desk.whole_environ, cwd=tmp_path) as screen:
        screen.read_until("waiting in line as @3")
        assert screen.interrupt() == 130
    with desk.acting() as ledger:
        assert list(ledger.state().docket.waiting) == []
    assert ([one.id for one in desk.held()], desk.noted()) == ([2], 0)
    assert not (tmp_path / "begun").exists()


def test_a_machine_of_the_same_name_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes of another boot under this machine's name are not looked for here."""
    ours = process.tie_of(os.getpid())
    assert ours is not None
    assert farhold.seen_from_here(ours) == ours
    theirs = Tie(ours.host, "0" * 36, ours.space, (Process(1, 1),))
    assert process.gone(theirs) == "reboot"
    seen = farhold.seen_from_here(theirs)
    assert process.gone(seen) is None
    assert seen.processes == theirs.processes
