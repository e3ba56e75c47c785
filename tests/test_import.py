"""`import`: a past that lies elsewhere, whole or not at all, row by row through the same decide."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import pytest

import gpuledger
from chosen_times import document
from conftest import RunCli
from forging import rows
from gpuledger.cli.tracefile import read
from gpuledger.handle import Ledger
from gpuledger.replay.errors import NotEmpty, Refused
from small_pools import ADA, ROOT, pool

HEADER = "job_id,user,project,submit,start,end,gpus,cpus,nodes,servers,state"
BEGINS = 1_577_836_800_000_000
"""2020-01-01T00:00:00Z."""


@pytest.fixture
def past(ledger_path: Path) -> Path:
    """A ledger of two servers with 4 GPUs and 32 CPUs each, as of 1 January 2020."""
    gpuledger.init(ledger_path, pool(), at=BEGINS, actor=ROOT)
    return ledger_path


def trace(folder: Path, *lines: str, header: str = HEADER) -> Path:
    """A trace file of these rows."""
    file = folder / "jobs.csv"
    file.write_text("\n".join((header, *lines)) + "\n", encoding="utf-8")
    return file


def job(  # noqa: PLR0917 - the columns in their order
    name: str, start: str, end: str, gpus: int = 1, cpus: int = 1, nodes: int = 1, servers: str = ""
) -> str:
    """A row of u1's, with times of 1 January 2020 as `HH:MM`."""
    times = [f"2020-01-01T{time}:00Z" if time else "" for time in (start, start, end)]
    return ",".join([name, "u1", "vision", *times, str(gpus), str(cpus), str(nodes), servers, "ok"])


def data(path: Path) -> list[dict[str, object]]:
    """What each event says."""
    return [json.loads(row.data) for row in rows(path)]


def test_rows_become_events_at_their_own_times(past: Path, tmp_path: Path, run_cli: RunCli) -> None:
    """A job is its granted and its released event, with its user, no uid, the importer as actor."""
    file = trace(tmp_path, job("a", "10:00", "11:30", 2, 8))
    run_cli("--ledger", past, "import", file)
    _, began, granted, released = rows(past)
    assert [row.kind for row in (began, granted, released)] == [
        "import.recorded", "allocation.granted", "allocation.released",
    ]  # fmt: skip
    assert granted.at == BEGINS + 10 * 3_600_000_000
    assert released.at - granted.at == 5_400_000_000
    _, _, grant, release = data(past)
    assert (grant["user"], grant.get("uid"), grant["project"]) == ("u1", None, "vision")
    assert granted.actor == began.actor == f"uid:{os.getuid()}"
    assert (grant["imported"], release["imported"], release["allocations"]) == (2, 2, [3])


def test_the_import_says_first_what_comes(past: Path, tmp_path: Path, run_cli: RunCli) -> None:
    """The first event names the file, its SHA-256, its rows, and the true time of the import."""
    file = trace(tmp_path, job("a", "10:00", "11:00"), job("b", "10:00", "11:00", 0))
    answer = document(run_cli, past, "import", file)
    assert answer["seq"] == 2
    told = data(past)[1]
    assert told["source"] == "jobs.csv"
    assert told["sha256"] == sha256(file.read_bytes()).hexdigest()
    assert (told["rows"], told["skipped"]) == (2, 1)
    assert isinstance(told["clock"], int)
    assert told["clock"] > BEGINS + 10**15 // 10


def test_ends_come_before_starts(past: Path, tmp_path: Path, run_cli: RunCli) -> None:
    """What one job gives back the next has at the same instant, whatever the file's order."""
    file = trace(
        tmp_path, job("next", "11:00", "12:00", 8, 8, 2), job("first", "10:00", "11:00", 8, 8, 2)
    )
    changes = document(run_cli, past, "import", file)["changes"]
    assert (changes["granted"], changes["refused"]) == (2, 0)


def test_rows_get_the_gpus_that_they_name(past: Path, tmp_path: Path, run_cli: RunCli) -> None:
    """A row that names servers and indices holds exactly those."""
    lines = (
        job("a", "10:00", "11:00", 3, 6, 2, '"s1:1,3;s0:0"'),
        job("b", "10:00", "", 1, 1, 1, "s1:2"),
    )
    document(run_cli, past, "import", trace(tmp_path, *lines))
    held = document(run_cli, past, "history", "-j", "3,4")["allocations"]
    assert [(s["server"], s["gpus"]) for s in held[0]["servers"]] == [("s1", [1, 3]), ("s0", [0])]
    assert [(s["server"], s["gpus"]) for s in held[1]["servers"]] == [("s1", [2])]


def test_what_does_not_fit_is_counted_and_listed(
    past: Path, tmp_path: Path, run_cli: RunCli
) -> None:
    """Refused, unusable and GPU-less rows are never fatal; JSON lists each and says why."""
    file = trace(
        tmp_path,
        job("all", "10:00", "12:00", 8, 8, 2),
        job("late", "11:00", "12:00"),
        job("huge", "13:00", "14:00", 40),
        job("cpu-only", "13:00", "14:00", 0),
        job("backwards", "15:00", "14:00"),
        job("nowhere", "15:00", "16:00", 1, 1, 1, "s9:0"),
        "too,few",
    )
    answer = document(run_cli, past, "import", file)["changes"]
    counts = {name: answer[name] for name in ("rows", "granted", "refused", "skipped", "unusable")}
    assert counts == {"rows": 7, "granted": 1, "refused": 2, "skipped": 1, "unusable": 3}
    assert [(one["line"], one["job"], one["outcome"]) for one in answer["not_granted"]] == [
        (3, "late", "refused"), (4, "huge", "refused"), (6, "backwards", "unusable"),
        (7, "nowhere", "unusable"), (8, "too", "unusable"),
    ]  # fmt: skip
    assert answer["not_granted"][0]["why"] == "no_gpus"


def test_refused_rows_are_recorded_as_refused(past: Path, tmp_path: Path, run_cli: RunCli) -> None:
    """A row that did not fit is a refusal of its own time, and unmet demand shows it."""
    file = trace(tmp_path, job("all", "10:00", "12:00", 8, 8, 2), job("late", "11:00", "12:00"))
    document(run_cli, past, "import", file)
    (one,) = document(run_cli, past, "audit", "refusals", "-S", "2020-01-01")["episodes"]
    assert (one["user"], one["reason"], one["first"][:16]) == ("u1", "no_gpus", "2020-01-01T11:00")


def test_the_text_lists_the_first_ten(past: Path, tmp_path: Path, run_cli: RunCli) -> None:
    """People get the counts, ten rows of each kind, and how many more there are."""
    bad = [job(f"bad{at}", "12:00", "11:00") for at in range(13)]
    file = trace(tmp_path, job("a", "10:00", ""), *bad, job("none", "10:00", "11:00", 0))
    done = run_cli("--ledger", past, "import", file)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == (
        "imported 15 rows: 1 granted, 0 refused, 1 skipped as GPU-less, 13 unusable"
    )
    assert "1 has no end and is held" in lines[1]
    assert sum(line.startswith("line ") for line in lines) == 10
    assert "line 3, job bad0: unusable, end is before start" in lines
    assert lines[-1].startswith("and 3 more unusable")


def test_a_pool_that_begins_too_late(ledger_path: Path, tmp_path: Path, run_cli: RunCli) -> None:
    """Into a pool of today nothing of the past fits, and one is told how to make one of then."""
    gpuledger.init(ledger_path, pool(), actor=ROOT)
    done = run_cli("--ledger", ledger_path, "import", trace(tmp_path, job("a", "10:00", "11:00")))
    assert "it starts before the pool does" in done.stdout
    assert "init --at" in done.stderr


def test_only_before_the_first_allocation(past: Path, tmp_path: Path, run_cli: RunCli) -> None:
    """Into a ledger that has allocations, running or ended, nothing is imported: exit 5."""
    file = trace(tmp_path, job("a", "10:00", "11:00"))
    assert run_cli("--ledger", past, "import", file).returncode == 0
    before = rows(past)
    done = run_cli("--ledger", past, "import", file)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (5, "", 1)
    assert rows(past) == before
    with Ledger(str(past), actor=ROOT) as root, pytest.raises(NotEmpty):
        root.import_trace(read(str(file)))


def test_importing_is_for_admins(past: Path, tmp_path: Path) -> None:
    """Somebody who is no admin is refused, which is recorded, and nothing is imported."""
    source = read(str(trace(tmp_path, job("a", "10:00", "11:00"))))
    with Ledger(str(past), actor=ADA) as ada, pytest.raises(Refused) as refused:
        ada.import_trace(source)
    assert refused.value.reason == "not_permitted"
    assert [row.kind for row in rows(past)] == ["ledger.created", "request.refused"]


def test_what_is_still_held_admins_release(past: Path, tmp_path: Path, run_cli: RunCli) -> None:
    """A job without an end runs on under its user's name until an admin releases it."""
    document(run_cli, past, "import", trace(tmp_path, job("a", "10:00", "")))
    (held,) = document(run_cli, past, "list")["allocations"]
    assert (held["task"], held["user"]) == ("a", "u1")
    done = run_cli("--ledger", past, "release", "@3", "--force", "--reason", "long over")
    assert done.returncode == 0, done.stderr
    assert document(run_cli, past, "list")["allocations"] == []


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("missing.csv", None),
        ("empty.csv", b""),
        ("other.csv", b"a,b,c\n1,2,3\n"),
        ("twice.csv", f"{HEADER},user\n".encode()),
        ("cut.csv.gz", b"\x1f\x8b\x08\x00\x00\x00"),
        ("binary.csv", b"\xff\xfe\x00job"),
    ],
)
def test_a_file_that_is_no_trace(
    past: Path, tmp_path: Path, run_cli: RunCli, name: str, content: bytes | None
) -> None:
    """A file that is none is exit 2 and one sentence that names it, and nothing is imported."""
    file = tmp_path / name
    if content is not None:
        file.write_bytes(content)
    done = run_cli("--ledger", past, "import", file)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert len(rows(past)) == 1


def test_a_pipe_is_read_as_a_file(past: Path, tmp_path: Path, run_cli: RunCli) -> None:
    """`-` is stdin, and is called so in the record."""
    text = trace(tmp_path, job("a", "10:00", "11:30")).read_text(encoding="utf-8")
    assert run_cli("--ledger", past, "import", "-", input=text).returncode == 0
    assert len(rows(past)) == 4
    assert data(past)[1]["source"] == "stdin"


def test_a_folder_is_no_trace(past: Path, tmp_path: Path, run_cli: RunCli) -> None:
    """A directory in the file's place is exit 2, too."""
    done = run_cli("--ledger", past, "import", tmp_path)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)


@pytest.mark.needs("linux")
def test_the_bar_is_for_terminals(
    past: Path, tmp_path: Path, cli_command: Sequence[str], cli_env: dict[str, str]
) -> None:
    """With stderr on a terminal a bar shows how far it is; stdout has the summary alone."""
    file = trace(tmp_path, *(job(f"j{at}", "10:00", "10:00") for at in range(300)))
    ours, theirs = os.openpty()
    command = [*cli_command, "--ledger", past, "import", file]
    env = {**cli_env, "TERM": "xterm", "COLUMNS": "80"}
    done = subprocess.run(
        command, env=env, stdout=subprocess.PIPE, stderr=theirs, timeout=60, check=True
    )
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 65_536):
            shown += part
    except OSError:
        pass  # Linux says so where the other end is closed.
    os.close(ours)
    assert b"300/300" in shown
    assert done.stdout.decode().splitlines() == [
        "imported 300 rows: 300 granted, 0 refused, 0 skipped as GPU-less, 0 unusable"
    ]
