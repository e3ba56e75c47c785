"""A gang's environment: what torchrun, MPI and code for Slurm are told of an allocation."""

from __future__ import annotations

import json
import os
import shlex
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import RunCli
from console import Console
from gpuledger.cli import gang as gangs
from gpuledger.cli.actor import host_name
from gpuledger.cli.environment import FORMS, export_lines
from gpuledger.cli.gang import Gang
from gpuledger.cli.hostrange import expand
from gpuledger.ledger.errors import StorageFailed
from gpuledger.replay.facts import Share

PLAIN = ["GPULEDGER_ALLOCATION", "GPULEDGER_SERVER", "CUDA_DEVICE_ORDER", "CUDA_VISIBLE_DEVICES"]
HERE = """
[defaults]
gpus = 4
cpus = 32
[[server]]
name = "s0"
host = "s0.lab.example"
[[server]]
name = "s1"
host = "{host}"
[[server]]
name = "s2"
"""
TRIO = Gang(
    4711, "train",
    (Share("a-08", (0, 1), 16), Share("a-09", (2, 3), 16), Share("b", (7,), 8)),
    ("a-08", "a-09", "b.lab.example"), 1,
)  # fmt: skip


@st.composite
def gangs_drawn(draw: st.DrawFn) -> Gang:
    """One to six servers in any order, each with a few GPUs, seen from one of them or none."""
    names = draw(st.lists(st.from_regex(r"[a-z]{1,3}-?[0-9]{0,3}", fullmatch=True),
                          min_size=1, max_size=6, unique=True))  # fmt: skip
    suffix = draw(st.sampled_from(["", ".lab.example"]))
    shares = tuple(
        Share(name, tuple(sorted(draw(st.sets(st.integers(0, 7), min_size=1)))),
              draw(st.integers(1, 64)))
        for name in names
    )  # fmt: skip
    here = draw(st.none() | st.integers(0, len(names) - 1))
    hosts = tuple(name + suffix for name in names)
    return Gang(draw(st.integers(1, 2**53)), "train", shares, hosts, here)


def repeated(text: str) -> list[int]:
    """`64(x2),32` written out."""
    found: list[int] = []
    for part in text.split(","):
        count, _, times = part.rstrip(")").partition("(x")
        found += [int(count)] * int(times or 1)
    return found


@given(gangs_drawn(), st.sampled_from([None, *FORMS]))
def test_lines_say_what_the_variables_hold(told: Gang, form: str | None) -> None:
    """Each line is one export of one name, read back word for word; the plain four come first."""
    made = gangs.environment(form, told, "/tmp/it's $(here)")
    words = [shlex.split(line) for line in export_lines(made)]
    assert all(len(word) == 2 and word[0] == "export" for word in words)
    assert dict(word[1].split("=", 1) for word in words) == made
    assert list(made)[:4] == PLAIN
    assert (len(made) == 4) == (form is None)


@given(gangs_drawn())
def test_a_hostfile_has_as_many_slots_as_there_are_gpus(told: Gang) -> None:
    """A line a host, in order, in either form."""
    files = gangs.hostfiles(told)
    slots = [line.split(" slots=") for line in files["hostfile"].splitlines()]
    counts = [line.split(":") for line in files["machinefile"].splitlines()]
    assert slots == counts
    assert [host for host, _ in slots] == list(told.hosts)
    assert [int(count) for _, count in slots] == [len(share.gpus) for share in told.shares]


@given(gangs_drawn())
def test_slurms_lists_mean_the_servers(told: Gang) -> None:
    """The node list names the hosts in order, counts are those of the shares, ranks fit them."""
    made = gangs.environment("slurm", told)
    nodes = made["SLURM_JOB_NODELIST"]
    assert expand(nodes, check=lambda _, name: name) == told.hosts
    assert all(not part or part[0] == "," for part in nodes.split("]")[1:])
    assert repeated(made["SLURM_JOB_CPUS_PER_NODE"]) == [share.cpus for share in told.shares]
    assert repeated(made["SLURM_TASKS_PER_NODE"]) == [1] * len(told.shares)
    rank = int(made["SLURM_PROCID"])
    assert rank == int(made["SLURM_NODEID"]) == (told.here or 0) < int(made["SLURM_NTASKS"])
    assert int(made["SLURM_GPUS_ON_NODE"]) == len(told.shares[rank].gpus)


@given(gangs_drawn())
def test_torchrun_meets_at_the_first_server(told: Gang) -> None:
    """The same address and port whoever asks; alone on a server, at the loopback address."""
    made = gangs.environment("torchrun", told)
    host, _, port = made["PET_RDZV_ENDPOINT"].rpartition(":")
    assert (host, port) == (made["MASTER_ADDR"], made["MASTER_PORT"])
    assert host == (told.hosts[0] if len(told.hosts) > 1 else "127.0.0.1")
    assert 20_000 <= int(port) < 30_000
    assert int(port) % 10_000 == told.allocation % 10_000
    for name in ("NNODES", "NPROC_PER_NODE", "NODE_RANK", "MASTER_ADDR", "MASTER_PORT"):
        assert made[f"PET_{name}"] == made[name]
    assert int(made["NODE_RANK"]) < int(made["NNODES"]) == len(told.shares)
    assert not {"RANK", "WORLD_SIZE", "LOCAL_RANK"} & made.keys()


def test_what_code_for_slurm_finds() -> None:
    """A whole step of three servers, seen from the second."""
    made = gangs.environment("slurm", TRIO)
    del made["SLURM_SUBMIT_DIR"]
    assert {name: made[name] for name in made if name.startswith("SLURM")} == {
        "SLURM_JOB_ID": "4711", "SLURM_JOBID": "4711", "SLURM_JOB_NAME": "train",
        "SLURM_JOB_NODELIST": "a-[08-09],b.lab.example",
        "SLURM_NODELIST": "a-[08-09],b.lab.example",
        "SLURM_JOB_NUM_NODES": "3", "SLURM_NNODES": "3", "SLURM_NODEID": "1",
        "SLURMD_NODENAME": "a-09", "SLURM_NTASKS": "3", "SLURM_NPROCS": "3",
        "SLURM_NTASKS_PER_NODE": "1", "SLURM_TASKS_PER_NODE": "1(x3)",
        "SLURM_PROCID": "1", "SLURM_LOCALID": "0",
        "SLURM_CPUS_ON_NODE": "16", "SLURM_CPUS_PER_TASK": "16",
        "SLURM_JOB_CPUS_PER_NODE": "16(x2),8", "SLURM_GPUS_ON_NODE": "2",
        "SLURM_JOB_GPUS": "2,3", "SLURM_STEP_GPUS": "2,3",
        "SLURM_STEP_NODELIST": "a-[08-09],b.lab.example", "SLURM_STEP_NUM_NODES": "3",
        "SLURM_STEP_NUM_TASKS": "3", "SLURM_STEP_TASKS_PER_NODE": "1(x3)",
        "SLURM_LAUNCH_NODE_IPADDR": "a-08",
    }  # fmt: skip
    assert made["CUDA_VISIBLE_DEVICES"] == "2,3"
    assert made["GPULEDGER_PLACES"] == "a-08:0-1 a-09:2-3 b:7"


def test_hostfiles_are_for_one_pair_of_eyes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new folder named after the allocation, which only this user may enter; gone on demand."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folders = [Path(gangs.write_hostfiles(TRIO)) for _ in range(2)]
    assert len(set(folders)) == 2
    for folder in folders:
        assert folder.name.startswith("gpuledger-4711-")
        assert {path.name for path in folder.iterdir()} == {"hostfile", "machinefile"}
        if os.name == "posix":
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
            modes = {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
            assert modes == {0o600}
        gangs.remove_hostfiles(str(folder))
        gangs.remove_hostfiles(str(folder))
    assert list(tmp_path.iterdir()) == []


def test_no_room_for_hostfiles(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where no folder can be made it is said so, and found out before anything is granted."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(StorageFailed):
        gangs.write_hostfiles(TRIO)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: [str(tmp_path / "nowhere")])
    monkeypatch.setattr(tempfile, "tempdir", None)
    with pytest.raises(StorageFailed):
        gangs.ready_for_hostfiles()


@pytest.fixture
def console(run_cli: RunCli, ledger_path: Path, tmp_path: Path) -> Console:
    """A person on the second of three servers."""
    (tmp_path / "pool.toml").write_text(HERE.format(host=host_name()))
    made = Console(run_cli, ledger_path)
    made.environ["TMPDIR"] = str(tmp_path)
    made.says("init --pool pool.toml")
    return made


def exported(console: Console, words: str) -> tuple[dict[str, str], str]:
    """The variables that a command prints, and its notices."""
    out, err = console.ends(0, words)
    pairs = [shlex.split(line)[1].split("=", 1) for line in out.splitlines()]
    return dict(pairs), err


def test_each_server_is_told_its_own_rank(console: Console) -> None:
    """On the second server of two: rank 1 of 2, and the first is where all meet."""
    made, err = exported(console, "allocate wide 8 --servers 2 --export torchrun --on s[0-1]")
    assert (made["NODE_RANK"], made["NNODES"], made["NPROC_PER_NODE"]) == ("1", "2", "4")
    assert made["MASTER_ADDR"] == "s0.lab.example"
    assert made["CUDA_VISIBLE_DEVICES"] == "0,1,2,3"
    assert "these are GPUs of s[0-1]:0-3; this is" in err
    assert "rank" not in err


def test_on_another_host_rank_0_is_told(console: Console) -> None:
    """On none of the servers: rank 0 with a notice, and no GPU is shown."""
    words = "allocate wide 4 --servers 2 --on s0:0-1 --on s2:0-1 --export=slurm --key k"
    made, err = exported(console, words)
    assert (made["SLURM_NODEID"], made["SLURM_JOB_NODELIST"]) == ("0", "s0.lab.example,s2")
    assert made["CUDA_VISIBLE_DEVICES"] == ""
    assert "is none of these servers, so rank 0 is told" in err
    assert exported(console, words) == (made, err)


def test_unequal_parts_are_nothing_for_torchrun(console: Console) -> None:
    """Different numbers of GPUs are refused before anything is granted; MPI takes them."""
    words = "allocate odd 3 --on s0:0-1 --on s1:0 --export"
    head = console.head()
    assert console.fails(2, f"{words} torchrun").startswith(
        "torchrun starts as many processes on each server, and --on names 2 and 1 GPUs; name as"
    )
    assert console.head() == head
    made, _ = exported(console, f"{words} mpi")
    text = Path(made["GPULEDGER_HOSTFILE"]).read_text()
    assert text == f"s0.lab.example slots=2\n{host_name()} slots=1\n"
    assert Path(made["HYDRA_HOST_FILE"]).read_text() == f"s0.lab.example:2\n{host_name()}:1\n"


@pytest.mark.skipif(os.name != "posix", reason="a POSIX shell")
@pytest.mark.parametrize("form", FORMS)
def test_a_shell_evaluates_them(console: Console, tmp_path: Path, form: str) -> None:
    """After `eval` they stand in the environment, in a folder of any name, and nothing else ran."""
    folder = tmp_path / 'it\'s $(touch ran)\n`touch ran` \\ "x"'
    folder.mkdir()
    console.environ["PWD"] = str(folder)
    script = f"""
        cd "$1"
        env=$("$2" -m gpuledger allocate train 4 --here --export={form}) || exit
        eval "$env"
        "$2" -c 'import json, os; print(json.dumps(dict(os.environ)))'
    """
    done = subprocess.run(
        ["sh", "-c", script, "sh", folder, sys.executable],
        env={**os.environ, **console.environ}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    made = json.loads(done.stdout)
    assert (made["GPULEDGER_TASK"], made["GPULEDGER_PLACES"]) == ("train", "s1:0-3")
    assert made["CUDA_VISIBLE_DEVICES"] == "0,1,2,3"
    if form == "slurm":
        assert made["SLURM_SUBMIT_DIR"] == str(folder)
    assert list(folder.iterdir()) == []


def test_a_gang_is_extended_and_released_as_one(console: Console) -> None:
    """Whatever it holds, on however many servers: one event each for grant, extension, release."""
    steps = (
        "allocate wide 6 --servers 3 --lease 2h", "extend wide --by 1h", "release wide",
    )  # fmt: skip
    for step, words in enumerate(steps, 2):
        console.says(words)
        assert console.head() == step
    (ended,) = console.document("history")["allocations"]
    assert [one["server"] for one in ended["servers"]] == ["s0", "s1", "s2"]
    assert console.document("status")["totals"]["gpus_free"] == 12
