"""What people knew by hand from the script that came before: every habit of theirs works."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from plain_log import child, said

Run = Callable[..., subprocess.CompletedProcess[str]]
COLUMNS = "server state GPU free GPU held CPU free CPU held tasks"
ALLOCATE = ("test_001", "2", "16")
PAIRS = {
    "allocate": (("--allocate", *ALLOCATE), ("allocate", *ALLOCATE)),
    "allocate=": (("--allocate=test_001", "2", "16"), ("allocate", *ALLOCATE)),
    "release": (("--release", "held"), ("release", "held")),
    "release nothing": (("--release", "nope"), ("release", "nope")),
    "too many GPUs": (("--allocate", "big", "9", "16"), ("allocate", "big", "9", "16")),
    "status": (("--status",), ("status",)),
    "reset": (("--reset", "--yes"), ("reset", "--yes")),
    "reset unasked": (("--reset",), ("reset",)),
}


@pytest.fixture
def run(run_cli: Run, ledger_path: Path) -> Run:
    """A command on this test's own ledger."""

    def command(*words: str | Path, path: Path = ledger_path) -> subprocess.CompletedProcess[str]:
        return run_cli(*words, env={"GPULEDGER": str(path)})

    return command


@pytest.fixture
def ok(run: Run) -> Callable[..., str]:
    """What a command says that must succeed."""

    def command(*words: str | Path) -> str:
        done = run(*words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return command


@pytest.fixture
def small(ok: Callable[..., str]) -> None:
    """The pool of the must-show: 2 servers of 4 GPUs and 32 CPUs."""
    ok("init", "--servers", "2", "--gpus-per-server", "4", "--cpus-per-server", "32")


def totals(status: str) -> tuple[str, str, str]:
    """GPUs, CPUs and tasks of a status table's last line."""
    word, gpus, _, cpus, _, tasks = status.splitlines()[-1].split()
    assert word == "total"
    return gpus, cpus, tasks


def events(path: Path) -> list[tuple[object, ...]]:
    """Seq, kind and data of every event; nothing that tells of a clock."""
    conn = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    rows = conn.execute("SELECT seq, kind, data FROM events ORDER BY seq").fetchall()
    conn.close()
    return rows


@pytest.mark.usefixtures("small")
def test_two_servers_of_four(ok: Callable[..., str]) -> None:
    """8/8, 64/64, 0; after `allocate test_001 2 16` 6/8, 48/64, 1; after `release` as before."""
    assert totals(ok("status")) == ("8/8", "64/64", "0")
    assert ok("allocate", *ALLOCATE) == (
        "granted @2 test_001: gpu-server-0:0-1, 16 CPUs; give back: gpuledger release test_001\n"
    )
    assert totals(ok("status")) == ("6/8", "48/64", "1")
    ok("release", "test_001")
    assert totals(ok("status")) == ("8/8", "64/64", "0")


@pytest.mark.usefixtures("small")
def test_two_servers_of_four_by_the_old_words(ok: Callable[..., str]) -> None:
    """The same figures with nothing but the old script's spellings."""
    assert totals(ok("--status")) == ("8/8", "64/64", "0")
    ok("--allocate", *ALLOCATE)
    assert totals(ok("--status")) == ("6/8", "48/64", "1")
    ok("--release", "test_001")
    assert totals(ok("--status")) == ("8/8", "64/64", "0")


@pytest.mark.usefixtures("small")
def test_reset_keeps_the_history(ok: Callable[..., str], ledger_path: Path) -> None:
    """`reset --yes` is one event that ends everything; pool and history stay."""
    ok("allocate", *ALLOCATE)
    ok("allocate", "second", "4", "32")
    before = events(ledger_path)
    assert ok("reset", "--yes") == (
        "reset: 2 allocations ended (@2, @3); the pool and the history stay\n"
    )
    assert totals(ok("status")) == ("8/8", "64/64", "0")
    after = events(ledger_path)
    assert after[:-1] == before
    assert after[-1][1] == "ledger.reset"
    shown = json.loads(ok("history", "--json"))["allocations"]
    assert [(one["allocation"], one["task"], one["state"]) for one in shown] == [
        (2, "test_001", "ended"),
        (3, "second", "ended"),
    ]


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("pair", PAIRS)
def test_old_and_new_spelling_are_the_same_bytes(
    run: Run, ok: Callable[..., str], ledger_path: Path, tmp_path: Path, pair: str
) -> None:
    """On copies of one ledger both give the same output, exit code and event."""
    ok("allocate", "held", "2", "16")
    told = []
    for number, words in enumerate(PAIRS[pair]):
        folder = tmp_path / f"copy-{number}"
        shutil.copytree(ledger_path.parent, folder)
        done = run(*words, path=folder / ledger_path.name)
        output = re.sub(r"held for \S+;", "held for <time>;", done.stdout)
        told.append((done.returncode, output, done.stderr, events(folder / ledger_path.name)))
    assert told[0] == told[1]
    assert told[0][1] or told[0][2]


def test_the_old_pool_is_the_default(ok: Callable[..., str]) -> None:
    """`init` alone is TOTAL_SERVERS = 4, GPUS_PER_SERVER = 8, CPUS_PER_SERVER = 64."""
    assert "4 servers, 32 GPUs, 256 CPUs" in ok("init")
    lines = ok("status").splitlines()
    assert [line.split()[0] for line in lines[2:6]] == [f"gpu-server-{at}" for at in range(4)]
    assert totals(ok("status")) == ("32/32", "256/256", "0")


@pytest.mark.usefixtures("small")
def test_status_has_the_old_columns(ok: Callable[..., str]) -> None:
    """A row a server with what is free, what is held in per cent, the tasks; totals below."""
    ok("allocate", *ALLOCATE)
    header, _, first, second, _, total = (line.split() for line in ok("status").splitlines())
    assert " ".join(header) == COLUMNS
    assert first == ["gpu-server-0", "mixed", "2/4", "50%", "16/32", "50%", "1"]
    assert second == ["gpu-server-1", "idle", "4/4", "0%", "32/32", "0%", "0"]
    assert total == ["total", "6/8", "25%", "48/64", "25%", "1"]


@pytest.mark.usefixtures("small")
def test_one_gpu_up_to_a_whole_server(run: Run, ok: Callable[..., str]) -> None:
    """A task may have 1 GPU up to the largest server's, and more over several servers."""
    ok("allocate", "one", "1", "1")
    ok("allocate", "four", "4", "8")
    assert run("allocate", "five", "5").returncode == 2
    ok("release", "one", "four")
    assert "gpu-server-[0-1]:0-3" in ok("allocate", "eight", "8", "--servers", "2")


@pytest.mark.usefixtures("small")
def test_a_lower_cap_can_be_set(run: Run, ok: Callable[..., str], tmp_path: Path) -> None:
    """`gpus_per_task` in the pool file caps a task, and the refusal names the limit."""
    pool = tmp_path / "pool.toml"
    pool.write_text(ok("pool", "show", "--toml") + "\n[limits]\ngpus_per_task = 2\n")
    ok("pool", "apply", pool)
    ok("allocate", "two", "2")
    done = run("allocate", "three", "3")
    assert done.returncode == 2
    assert "2" in done.stderr


def test_config_template_check_and_apply(ok: Callable[..., str], tmp_path: Path) -> None:
    """`config_template.py` is `pool template`; `python config.py` is `pool check`."""
    pool = tmp_path / "pool.toml"
    pool.write_text(ok("pool", "template"))
    assert "is sound" in ok("pool", "check", pool)
    ok("init", "--pool", pool)
    assert ok("pool", "diff", pool) == ""
    ok("pool", "apply", pool)


def test_servers_may_differ(ok: Callable[..., str], tmp_path: Path) -> None:
    """A pool file may hold servers unlike each other; nobody edits source."""
    pool = tmp_path / "pool.toml"
    pool.write_text(
        '[[server]]\nname = "old"\ngpus = 2\ncpus = 8\n'
        '[[server]]\nname = "new-[0-1]"\ngpus = 8\ncpus = 192\n'
    )
    ok("init", "--pool", pool)
    assert totals(ok("status")) == ("18/18", "392/392", "0")


@pytest.mark.usefixtures("small")
def test_the_lock_times_out_with_a_name(run: Run, ledger_path: Path) -> None:
    """The script's lock time-out is `--lock-timeout`, and says who holds the lock since when."""
    with child("hold", ledger_path) as holder:
        assert said(holder) == "held"
        done = run("--allocate", *ALLOCATE, "--lock-timeout", "0.05")
    assert done.returncode == 75
    assert f"process {holder.pid}" in done.stderr
    assert "since 2" in done.stderr


@pytest.mark.usefixtures("small")
def test_no_state_goes_stale(ok: Callable[..., str], ledger_path: Path) -> None:
    """A snapshot deleted by hand changes no status, and `rebuild` proves what it was."""
    ok("allocate", *ALLOCATE)
    before = ok("status")
    proved = json.loads(ok("rebuild", "--json"))
    assert proved["matches"] is True
    conn = sqlite3.connect(ledger_path)
    conn.execute("DELETE FROM snapshot")
    conn.commit()
    conn.close()
    assert ok("status") == before
    assert json.loads(ok("rebuild", "--json"))["state_hash"] == proved["state_hash"]


@pytest.mark.needs("linux")
@pytest.mark.usefixtures("small")
def test_reset_over_others_needs_a_reason(run: Run, ok: Callable[..., str]) -> None:
    """Where others' tasks run, `reset --yes` lists them and is refused without `--reason`."""
    import pwd

    other = next(one.pw_name for one in pwd.getpwall() if one.pw_uid != os.getuid())
    ok("allocate", "theirs", "1", "1", "--for", other)
    refused = run("--reset", "--yes")
    assert refused.returncode == 2
    assert f"@2 theirs of {other} runs on gpu-server-0:0" in refused.stderr
    assert totals(ok("status"))[2] == "1"
    ok("--reset", "--yes", "--reason", "rebooted")
    assert totals(ok("status"))[2] == "0"
