"""A team on one machine: who may write, who may read, and whom the record names."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import pytest

from gpuledger.handle import Ledger
from people import GROUP, Person, Program, Team, a_program, a_team, interpreter

pytestmark = [pytest.mark.needs("root", "linux", "useradd"), pytest.mark.xdist_group("team")]
UMASKS = (0o022, 0o027, 0o077)
MACHINE = Path("/var/lib/gpuledger")


@pytest.fixture(scope="module")
def team(needs: Callable[..., None]) -> Iterator[Team]:
    needs("root", "linux", "useradd")
    with a_team() as made:
        yield made


@pytest.fixture(scope="module")
def program(root: Path, needs: Callable[..., None]) -> Iterator[Program]:
    needs("root", "linux")
    python = interpreter()
    if python is None:
        needs("an interpreter of this version that everybody can execute")
        return
    with a_program(root, python) as made:
        yield made


def made(program: Program, name: str, *options: str, umask: int = 0o022) -> Path:
    """A ledger for the group, made by root."""
    path = program.folder / name / "ledger.db"
    done = program.run(None, "--ledger", path, "init", "--group", GROUP, *options, umask=umask)
    assert done.returncode == 0, done.stderr
    return path


def document(program: Program, person: Person | None, path: Path, *args: str) -> Any:  # noqa: ANN401 - JSON
    done = program.run(person, "--ledger", path, *args, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("umask", UMASKS, ids=oct)
@pytest.mark.parametrize("public", [False, True], ids=["closed", "public"])
def test_the_group_shares_a_ledger_whatever_the_umask(
    program: Program, team: Team, umask: int, public: bool
) -> None:
    """Each member in turn is the first to touch it after the last has closed it; all can write."""
    options = ["--public"] if public else []
    path = made(program, f"share-{umask:o}-{public}", *options, umask=umask)
    everybody = (*team.members, team.nameless)
    for at, person in enumerate(everybody):
        own = UMASKS[at % 3] if at else umask
        done = program.run(person, "--ledger", path, "allocate", "train", "1", "2", umask=own)
        assert done.returncode == 0, (person, done.stderr)
        seen = document(program, person, path, "list")["allocations"]
        assert [one["user"] for one in seen] == [one.name for one in everybody[: at + 1]]
    assert mode(path) == (0o664 if public else 0o660)
    assert mode(path.parent) == (0o2775 if public else 0o2770)
    lock = path.with_name(path.name + ".lock")
    assert mode(lock) == 0o660
    assert {one.stat().st_gid for one in (path, path.parent, lock)} == {team.gid}
    for person in everybody:
        done = program.run(person, "--ledger", path, "release", "train", umask=0o077)
        assert done.returncode == 0, (person, done.stderr)
    assert document(program, team.members[0], path, "status")["totals"]["tasks"] == 0
    assert document(program, None, path, "audit", "verify")["ok"]


@pytest.mark.parametrize("umask", UMASKS, ids=oct)
def test_others_are_told_whom_to_ask(program: Program, team: Team, umask: int) -> None:
    """Somebody of another group can neither read, write nor hold the lock; he is told the group."""
    path = made(program, f"closed-{umask:o}", umask=umask)
    for words in (["status"], ["allocate", "t", "1"], ["history"], ["audit", "verify"]):
        done = program.run(team.outsider, "--ledger", path, *words, umask=umask)
        assert done.returncode == 77, (words, done.stderr)
        assert done.stderr.count("\n") == 1
        assert GROUP in done.stderr
    for name in ("ledger.db", "ledger.db.lock"):
        assert not program.can(team.outsider, "r", path.with_name(name))


@pytest.mark.parametrize("folder", [True, False], ids=["folder", "file"])
def test_a_copy_that_is_anothers(program: Program, team: Team, folder: bool) -> None:
    """What restore and salvage may not read, or not even see, is not said to be missing."""
    path = made(program, f"copy-{folder}")
    if not folder:
        path.parent.chmod(0o755)
    new = program.folder / f"made-{folder}"
    new.mkdir()
    new.chmod(0o777)
    for words in (
        ("restore", path, "-o", new / "a.db"),
        ("salvage", path, "-o", new / "a.db"),
        ("salvage", new / "none.db", "-o", new / "a.db"),
    ):
        done = program.run(team.outsider, *words)
        if words[1] == path:
            assert done.returncode == 77
            assert f"may not read {path}; ask an admin" in done.stderr
            assert f"the group {GROUP}" in done.stderr
        else:
            assert done.returncode == 2
    assert list(new.iterdir()) == []


@pytest.mark.parametrize("umask", UMASKS, ids=oct)
def test_a_public_ledger_is_read_by_everybody(program: Program, team: Team, umask: int) -> None:
    """Where it is public, others get everything that reads, no writing, and no hold on the lock."""
    path = made(program, f"public-{umask:o}", "--public", umask=umask)
    assert program.run(team.members[0], "--ledger", path, "allocate", "t", "1").returncode == 0
    for words in (["status"], ["list"], ["history"], ["audit", "who", "gpu-server-0"],
                  ["audit", "usage"], ["audit", "verify"]):  # fmt: skip
        done = program.run(team.outsider, "--ledger", path, *words, umask=umask)
        assert done.returncode == 0, (words, done.stderr)
    done = program.run(team.outsider, "--ledger", path, "allocate", "t", "1", umask=umask)
    assert done.returncode == 77
    assert GROUP in done.stderr
    lock = path.with_name("ledger.db.lock")
    assert not program.can(team.outsider, "r", lock)
    assert not program.can(team.outsider, "r+", path)


def test_what_is_for_admins_is_refused_to_others(program: Program, team: Team) -> None:
    """`reset`, `drain`, `resume`, `pool apply` and `import` by somebody who is no admin exit 77."""
    path = made(program, "admins")
    pool = program.folder / "pool.toml"
    pool.write_text('[[server]]\nname = "other"\ngpus = 1\ncpus = 1\n')
    pool.chmod(0o644)
    trace = program.folder / "trace.csv"
    trace.write_text("job_id,user,project,submit,start,end,gpus,cpus,nodes,servers,state\n")
    trace.chmod(0o644)
    acts = {
        "reset": ["reset", "--yes"],
        "drain": ["drain", "gpu-server-0"],
        "resume": ["resume", "gpu-server-0"],
        "pool apply": ["pool", "apply", str(pool)],
        "import": ["import", str(trace)],
        "allocate": ["allocate", "t", "1", "--for", team.members[1].name],
    }
    for act, words in acts.items():
        done = program.run(team.members[0], "--ledger", path, *words)
        assert done.returncode == 77, (act, done.stdout, done.stderr)
    episodes = document(program, None, path, "audit", "refusals")["episodes"]
    assert {one["reason"] for one in episodes} == {"not_permitted"}
    assert len(episodes) == len(acts)


def test_anothers_task_is_left_alone(program: Program, team: Team) -> None:
    """Releasing another's task exits 77, recorded; an admin's --force --reason records both."""
    path = made(program, "anothers")
    ada, bob = team.members[:2]
    assert program.run(ada, "--ledger", path, "allocate", "train", "2").returncode == 0
    refused = program.run(bob, "--ledger", path, "release", "train")
    assert refused.returncode == 77
    assert ada.name in refused.stderr
    (episode,) = document(program, bob, path, "audit", "refusals")["episodes"]
    assert (episode["user"], episode["reason"]) == (bob.name, "not_permitted")
    words = ["release", "train", "--force", "--reason", "she is on leave"]
    assert program.run(bob, "--ledger", path, *words).returncode == 77
    assert program.run(None, "--ledger", path, *words).returncode == 0
    lines = program.run(None, "--ledger", path, "export").stdout.splitlines()
    release = json.loads(lines[-1])["data"]
    grant = next(json.loads(line)["data"] for line in lines if ".granted" in line)
    assert (grant["user"], grant["uid"]) == (ada.name, ada.uid)
    assert (release["by"]["user"], release["by"]["uid"], release["cause"]) == ("root", 0, "admin")
    assert release["reason"] == "she is on leave"


def test_an_admin_group_is_looked_up_when_it_matters(program: Program, team: Team) -> None:
    """Members of a group named in [admins] may drain, and the event says by which right."""
    path = made(program, "admin-group")
    pool = program.folder / "admins.toml"
    pool.write_text(
        '[[server]]\nname = "a"\ngpus = 2\ncpus = 4\n'
        f'[admins]\nusers = ["root"]\ngroups = ["{GROUP}"]\n'
    )
    applied = program.run(None, "--ledger", path, "pool", "apply", pool, "--remove")
    assert applied.returncode == 0, applied.stderr
    assert program.run(team.members[2], "--ledger", path, "drain", "a:0").returncode == 0
    last = program.run(None, "--ledger", path, "export").stdout.splitlines()[-1]
    assert json.loads(last)["data"]["by"]["admin"] == f"group:{GROUP}"


@pytest.mark.needs("sudo")
def test_sudo_records_both(program: Program, team: Team) -> None:
    """Through sudo the actor is root, and the caller's uid and name stand beside it."""
    path = made(program, "sudo")
    ada = team.members[0]
    rule = Path(f"/etc/sudoers.d/{GROUP}")
    rule.write_text(f"%{GROUP} ALL=(root) NOPASSWD: ALL\n")
    try:
        done = program.run(
            ada, "--ledger", path, "allocate", "asroot", "1", through=("sudo", "-n", "-E")
        )
    finally:
        rule.unlink()
    assert done.returncode == 0, done.stderr
    last = json.loads(program.run(None, "--ledger", path, "export").stdout.splitlines()[-1])
    by = last["data"]["by"]
    assert last["actor"] == "uid:0"
    assert (by["user"], by["sudo_user"], by["sudo_uid"]) == ("root", ada.name, ada.uid)


def test_sudo_variables_are_nobodys_proof(program: Program, team: Team) -> None:
    """SUDO_UID counts only where the process is root, and $USER never does."""
    path = made(program, "spoofed")
    ada = team.members[0]
    liar = {"SUDO_UID": "0", "SUDO_USER": "root", "USER": "root", "LOGNAME": "root"}
    assert program.run(ada, "--ledger", path, "allocate", "t", "1", env=liar).returncode == 0
    (one,) = document(program, None, path, "list")["allocations"]
    assert one["user"] == ada.name
    last = json.loads(program.run(None, "--ledger", path, "export").stdout.splitlines()[-1])
    assert "sudo_uid" not in last["data"]["by"]


def test_the_machines_own_ledger_needs_nothing_set(program: Program, team: Team) -> None:
    """`init --group` as root makes the machine's ledger; everybody in the group then uses it."""
    if MACHINE.exists():
        pytest.fail(f"{MACHINE} exists already: this machine has a ledger in use")
    try:
        assert program.run(None, "init", "--group", GROUP).returncode == 0
        for person in (*team.members, team.nameless):
            done = program.run(person, "allocate", "train", "1", umask=0o077)
            assert done.returncode == 0, done.stderr
        done = program.run(team.outsider, "status")
        assert (done.returncode, done.stderr.count("\n")) == (77, 1)
        assert GROUP in done.stderr
    finally:
        shutil.rmtree(MACHINE, ignore_errors=True)


def in_line(path: Path, program: Program, person: Person, *args: str) -> Future[Any]:
    """A member's allocate that waits, once it stands in line."""
    threads = ThreadPoolExecutor(1)
    with Ledger(str(path)) as book:
        before = book.head().seq
        future = threads.submit(program.run, person, "--ledger", path, "allocate", *args, "--wait")
        while book.head().seq == before:
            assert not wait([future], timeout=0.02).done, future.result()
    threads.shutdown(wait=False)
    return future


def test_members_wait_for_one_another(program: Program, team: Team) -> None:
    """One's release serves the other; what a killed waiter of another user left, anybody clears."""
    path = made(program, "line", "--servers", "1", "--gpus-per-server", "2")
    ada, bob, eve = team.members[:3]
    document(program, ada, path, "allocate", "train", "2", "--lease", "8h")
    killed = in_line(path, program, bob, "gone", "2")
    served = in_line(path, program, eve, "next", "1")
    with Ledger(str(path)) as book:
        waiter = book.queue()[1][0].piece.waiter
        assert waiter is not None
        os.kill(waiter.processes[0].pid, signal.SIGKILL)
    assert killed.result().returncode == -signal.SIGKILL
    for act in (("extend", "train", "--by", "1h"), ("cancel", "next"), ("release", "train")):
        done = program.run(bob, "--ledger", path, *act)
        assert (done.returncode, ada.name in done.stderr or eve.name in done.stderr) == (77, True)
    assert document(program, bob, path, "queue")["requests"][0]["user"] == eve.name
    document(program, ada, path, "release", "train")
    assert served.result().returncode == 0
    (left,) = document(program, ada, path, "list")["allocations"]
    assert left["user"] == eve.name
    assert document(program, ada, path, "audit", "verify")["ok"]
