"""Status: what it shows of each server and GPU, in tables, for programs, and on a terminal."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from conftest import RunCli
from console import BOB, SMALL, Console
from gpuledger.cli.statustable import share_text
from json_shapes import check
from terminal import plain, terminal

US = 1_000_000


@pytest.fixture
def console(run_cli: RunCli, ledger_path: Path) -> Console:
    made = Console(run_cli, ledger_path)
    made.says(SMALL)
    return made


@pytest.fixture
def wide(run_cli: RunCli, ledger_path: Path) -> Console:
    """A pool of 50 servers, on two of which something runs."""
    made = Console(run_cli, ledger_path)
    made.says("init --servers 50 --gpus-per-server 2 --cpus-per-server 8")
    made.says("allocate a 1 --on gpu-server-7")
    made.says("allocate b 2 4 --on gpu-server-8")
    return made


def test_every_state_of_a_server(run_cli: RunCli, ledger_path: Path) -> None:
    """idle, mixed, full, draining, drained; single drained GPUs are told beside the state."""
    console = Console(run_cli, ledger_path)
    console.says("init --servers 6 --gpus-per-server 4 --cpus-per-server 8")
    console.says("allocate a 1 --on gpu-server-1")
    console.says("allocate b 4 4 --on gpu-server-2")
    console.says("allocate c 1 --on gpu-server-3")
    console.says("drain gpu-server-[3-4] gpu-server-5:1")
    document = console.document("status")
    check("status", document)
    assert [one["state"] for one in document["servers"]] == [
        "idle", "mixed", "full", "draining", "drained", "idle",
    ]  # fmt: skip
    rows = [re.split(r"\s{2,}", line) for line in console.says("status").splitlines()]
    assert [row[1:3] for row in rows[2:8]] == [
        ["idle", "4/4"],
        ["mixed", "3/4"],
        ["full", "0/4"],
        ["draining", "0/4"],
        ["drained", "0/4"],
        ["idle, 1 drained", "3/4"],
    ]
    assert [one["state"] for one in document["servers"][5]["gpus"]] == [
        "free", "drained", "free", "free",
    ]  # fmt: skip


def test_totals_count_a_task_on_two_servers_once(console: Console) -> None:
    """A task over two servers is one in each row, and one in the totals."""
    console.says("allocate wide 4 --servers 2")
    assert [console.row(name)[-1] for name in ("gpu-server-0", "gpu-server-1", "total")] == [
        "1", "1", "1",
    ]  # fmt: skip


def test_servers_can_be_named(console: Console) -> None:
    """Names and ranges narrow every form down, and the totals with it; an unknown one is 3."""
    console.says("allocate a 1 --on gpu-server-1")
    out = console.says("status 'gpu-server-[1-1]'")
    assert "gpu-server-0" not in out
    assert out.splitlines()[-1].split()[1] == "3/4"
    assert len(console.csv("status gpu-server-1 gpu-server-0")) == 2
    assert "it has gpu-server-[0-1]" in console.fails(3, "status gpu-server-[1-2]")


def test_gpus_have_a_row_each(console: Console) -> None:
    """`--gpus` tells of each GPU who holds it for what and since when."""
    console.says("allocate train 2 --project vision --on gpu-server-1:1-2")
    console.says("drain gpu-server-1:2-3")
    rows = [line.split() for line in console.says("status --gpus gpu-server-1").splitlines()]
    assert rows[2] == ["gpu-server-1:0", "free"]
    assert rows[3][:4] == ["gpu-server-1:1", "held", "@2", "train"]
    assert "vision" in rows[3]
    assert [row[1] for row in rows[4:6]] == ["draining", "drained"]
    cells = console.csv("status --gpus gpu-server-1")
    assert [row["allocation"] for row in cells] == ["", "2", "2", ""]
    assert cells[1]["start"].endswith("Z")
    assert cells[1]["held_s"].isdigit()


def test_a_past_instant_shows_what_was_then(console: Console, tmp_path: Path) -> None:
    """`--at` shows the state after every event up to that time, and says the time on stderr."""
    console.says("allocate a 2 16")
    granted = console.document("list")["allocations"][0]["start"]
    console.says("release a")
    console.says("drain gpu-server-0")
    out, err = console.ends(0, f"status --at {granted}")
    assert out.splitlines()[-1].split()[1:] == ["6/8", "25%", "48/64", "25%", "1"]
    assert err.startswith(f"gpuledger: as of {granted[:19]}")
    document = console.document(f"status --at {granted}")
    assert document["at"] == granted
    assert document["seq"] == 2
    assert len(console.csv(f"status --at {granted}")) == 2


def test_only_what_is_over_can_be_shown(console: Console) -> None:
    """A time to come, or before the ledger's first event, is refused with what would do."""
    assert "has passed" in console.fails(2, "status --at now+1h")
    assert "when this record begins" in console.fails(2, "status --at 2001-01-01")


def test_more_ledgers_than_one_are_told_apart(
    run_cli: RunCli, console: Console, cli_env: Mapping[str, str]
) -> None:
    """Where another ledger could be meant `status` says which it reads; with `--ledger` not."""
    own = Path(cli_env["XDG_STATE_HOME"]) / "gpuledger" / "ledger.db"
    assert run_cli(*SMALL.split()).returncode == 0
    _, err = console.ends(0, "status")
    assert err == f"gpuledger: this is {console.ledger}; there is also {own}\n"
    console.says(f"--ledger {console.ledger} status")
    console.document("status")


def test_shares_are_never_rounded_to_all_or_nothing() -> None:
    """0% is nothing and 100% everything; in between a share is rounded."""
    assert [share_text(part, 1000) for part in (0, 1, 4, 255, 996, 999, 1000)] == [
        "0%", "1%", "1%", "26%", "99%", "99%", "100%",
    ]  # fmt: skip
    assert share_text(0, 0) == "0%"


def test_a_pipe_gets_every_server(wide: Console) -> None:
    """Without a terminal nothing folds, however many rows there are, and nothing is coloured."""
    out = wide.says("status")
    assert len(out.splitlines()) == 2 + 50 + 2
    assert out.isprintable() or set(out) - {"\n"} <= {
        letter for letter in out if letter.isprintable()
    }
    assert len(wide.csv("status")) == 50
    assert len(wide.says("status --gpus").splitlines()) == 2 + 100


@pytest.mark.needs("linux", "setsid")
def test_a_terminal_folds_what_is_alike(
    wide: Console, cli_command: Sequence[str], cli_env: Mapping[str, str], tmp_path: Path
) -> None:
    """Above 40 rows neighbours that are alike share a framed row, which counts them."""
    environ = {**cli_env, **wide.environ}
    with terminal([*cli_command, "status"], environ, cwd=tmp_path) as screen:
        lines = plain(screen.rest()).splitlines()
        assert screen.ends() == 0
    assert lines[0].startswith("╭")
    names = [line.split("  ")[0].strip("│ ") for line in lines if "gpu-server" in line]
    assert names == [
        "gpu-server-[0-6] ×7", "gpu-server-7", "gpu-server-8", "gpu-server-[9-49] ×41",
    ]  # fmt: skip
    with terminal([*cli_command, "status", "--gpus"], environ, cwd=tmp_path) as screen:
        shown = plain(screen.rest())
        assert screen.ends() == 0
    for name in ("gpu-server-[0-6]:0-1", "gpu-server-7:0 ", "gpu-server-7:1 ", "gpu-server-8:0-1"):
        assert name in shown


@pytest.mark.needs("linux", "setsid")
def test_watch_follows_the_ledger_and_leaves_cleanly(
    console: Console, cli_command: Sequence[str], cli_env: Mapping[str, str], tmp_path: Path
) -> None:
    """`--watch` draws anew what others change; Ctrl-C ends it with 0, the last table staying."""
    command = [*cli_command, "status", "--watch"]
    environ = {**cli_env, **console.environ}
    with terminal(command, environ, cwd=tmp_path, height=20) as screen:
        first = screen.read_until("event 1;")
        assert first.startswith("\x1b[?1049h")
        screen.read_until("\x1b[J")
        with console.acting(BOB) as ledger:
            ledger.allocate("b", 2, 16)
        shown = screen.read_until("event 2;") + screen.read_until("\x1b[J")
        assert "6/8" in plain(shown)
        assert screen.interrupt() == 0
        last = screen.rest()
    after = last.rpartition("\x1b[?1049l")[2]
    assert "6/8" in plain(after)
    assert "Traceback" not in screen.text


def test_watch_is_for_a_terminal(console: Console) -> None:
    """Piped, or with JSON, CSV or a past time, `--watch` is refused with what to use instead."""
    assert "status --json" in console.fails(2, "status --watch")
    assert "status --json" in console.fails(2, "status --watch --csv")
    assert "exclude each other" in console.fails(2, "status --watch --at -0s")


@pytest.mark.needs("linux", "setsid")
def test_reset_asks_on_a_terminal(
    console: Console, cli_command: Sequence[str], cli_env: Mapping[str, str], tmp_path: Path
) -> None:
    """On a terminal `reset` lists what would end and asks: no and Ctrl-C change nothing."""
    console.says("allocate a 1")
    environ = {**cli_env, **console.environ}
    for answer, code in (("n\n", 1), ("", 130), ("y\n", 0)):
        with terminal([*cli_command, "reset"], environ, cwd=tmp_path) as screen:
            asked = screen.read_until("[y/N]")
            assert "@2 a of " in asked
            screen.type(answer)
            assert (screen.ends() if answer else screen.interrupt()) == code
            screen.rest()
            assert "Traceback" not in screen.text
        assert console.head() == (3 if code == 0 else 2)
