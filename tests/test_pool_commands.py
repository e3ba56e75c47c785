"""The pool: shown, checked, compared, changed; and what stands in the way of a change."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import RunCli
from console import BOB, Console
from json_shapes import check

POOL = """\
[[server]]
name = "s[0-1]"
gpus = 4
cpus = 32

[[server]]
name = "h100"
host = "h100.lab"
cpus = 64
gpus = 2
gpu_model = "H100"
"""


@pytest.fixture
def console(run_cli: RunCli, ledger_path: Path, tmp_path: Path) -> Console:
    (tmp_path / "pool.toml").write_text(POOL)
    made = Console(run_cli, ledger_path)
    made.says("init --pool pool.toml")
    return made


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "pool.toml"


def test_show_tells_servers_that_are_alike_in_one_row(console: Console) -> None:
    """The table folds like servers, and below it stand sum and admins."""
    out = console.says("pool show").splitlines()
    rows = [line.split() for line in out]
    assert rows[0] == ["server", "GPUs", "model", "CPUs", "host", "drained"]
    assert rows[2] == ["s[0-1]", "4", "32"]
    assert rows[3] == ["h100", "2", "H100", "64", "h100.lab"]
    assert out[4] == "3 servers, 10 GPUs, 128 CPUs"
    assert out[5].startswith("admins: ")


def test_show_tells_what_is_drained(console: Console) -> None:
    """A server with drained GPUs has a row of its own."""
    console.says("drain s1:0-2")
    rows = [line.split() for line in console.says("pool show").splitlines()]
    assert ["s1", "4", "32", "0-2"] in rows


def test_show_gives_every_card_to_programs(console: Console) -> None:
    """CSV has a row a card, JSON every fact."""
    rows = console.csv("pool show")
    assert [(row["server"], row["gpu"]) for row in rows[-3:]] == [
        ("s1", "3"), ("h100", "0"), ("h100", "1"),
    ]  # fmt: skip
    document = console.document("pool show")
    check("pool-show", document)
    assert document["servers"][2]["host"] == "h100.lab"
    assert "exclude each other" in console.fails(2, "pool show --toml --csv")


def test_the_pool_as_a_file_changes_nothing(console: Console, file: Path) -> None:
    """`pool show --toml` applies to no change and no event, also with limits and drains."""
    file.write_text(f"{POOL}[limits]\ngpus_per_task = 3\n")
    console.says("pool apply pool.toml")
    console.says("drain h100")
    file.write_text(console.says("pool show --toml"))
    seq = console.head()
    assert console.remarks("pool diff pool.toml --remove") == "the pool is what pool.toml says"
    assert "says already" in console.remarks("pool apply pool.toml --remove")
    assert console.head() == seq


def test_check_needs_no_ledger(run_cli: RunCli, ledger_path: Path) -> None:
    """`pool check -` reads stdin and tells the sum of a sound file."""
    console = Console(run_cli, ledger_path)
    out, _ = console.ends(0, "pool check -", input=console.says("pool template"))
    assert out == "stdin is sound: 4 servers, 32 GPUs, 256 CPUs\n"
    out, err = console.ends(78, "pool check -", input="[[server]\n")
    assert (out, err[:26]) == ("", "gpuledger: stdin, line 1: ")


def test_diff_tells_each_change_and_makes_none(console: Console, file: Path) -> None:
    """Added, changed, absent, limits and admins, a line each; nothing is recorded."""
    file.write_text(
        POOL.replace("s[0-1]", "s[1-3]").replace("cpus = 64", "cpus = 96").replace("H100", "H200")
        + '[limits]\ngpus_per_task = 3\n[admins]\nusers = ["root"]\n'
    )
    seq = console.head()
    out, err = console.ends(0, "pool diff pool.toml")
    assert out.splitlines()[:3] == [
        "+ s[2-3]: 4 GPUs, 32 CPUs",
        "~ h100: 64 CPUs -> 96, other facts about GPUs 0-1",
        "~ limits: GPUs per task any number -> 3",
    ]
    assert err == "gpuledger: s0 is not in pool.toml and stays; --remove takes it out\n"
    assert "- s0\n" in console.says("pool diff pool.toml --remove")
    document = console.document("pool diff pool.toml --remove")
    check("pool-diff", document)
    assert document["changes"]["removed"] == ["s0"]
    assert console.head() == seq


def test_servers_that_change_alike_share_a_line(console: Console, file: Path) -> None:
    """A change to a hundred servers is no hundred lines."""
    file.write_text(POOL.replace("gpus = 4", "gpus = 8"))
    assert console.says("pool diff pool.toml") == "~ s[0-1]: GPUs 4-7 come\n"


def test_diff_exits_as_it_is_asked_to(console: Console, file: Path) -> None:
    """With `--exit-code` a difference is 1, as for `diff`; otherwise every answer is 0."""
    console.ends(0, "pool diff pool.toml --exit-code")
    file.write_text(POOL.replace("cpus = 64", "cpus = 65"))
    console.ends(0, "pool diff pool.toml")
    console.ends(1, "pool diff pool.toml --exit-code")


def test_apply_adds_and_changes_and_removes_only_when_told(console: Console, file: Path) -> None:
    """A server that the file lacks stays until `--remove`; each change is one event."""
    file.write_text(POOL.replace("s[0-1]", "s[1-2]"))
    out, err = console.ends(0, "pool apply pool.toml --reason 'one more'")
    assert out == "+ s2: 4 GPUs, 32 CPUs\nthe pool has changed, event 2\n"
    assert "s0 is not in pool.toml and stays" in err
    assert "- s0\n" in console.says("pool apply pool.toml --remove")
    names = [one["server"] for one in console.document("status")["servers"]]
    assert names == ["s1", "h100", "s2"]


def test_what_a_file_leaves_out_stays(console: Console, file: Path) -> None:
    """A file without [limits] and [admins] changes neither."""
    file.write_text(f"{POOL}[limits]\ngpus_per_task = 3\n")
    console.says("pool apply pool.toml")
    file.write_text(POOL.replace("cpus = 64", "cpus = 65"))
    console.says("pool apply pool.toml")
    pool = console.document("pool show")
    assert pool["limits"]["gpus_per_task"] == 3
    assert pool["admins"]["users"]


@pytest.mark.parametrize(
    ("edit", "change"),
    [
        (("s[0-1]", "s1"), "cannot be removed"),
        (("gpus = 4", "gpus = 1"), "cannot shrink"),
        (("cpus = 32", "cpus = 7"), "cannot shrink"),
    ],
)
def test_what_is_in_use_is_left_alone(
    console: Console, file: Path, edit: tuple[str, str], change: str
) -> None:
    """A change that would end tasks is refused whole; forced, it ends just those, in its event."""
    console.says("allocate keep 1 --on h100")
    console.says("allocate mine 2 8 --on s0:1-2")
    file.write_text(POOL.replace(*edit))
    seq = console.head()
    assert change in console.fails(5, "pool apply pool.toml --remove")
    out = console.says("pool diff pool.toml --remove")
    assert "! s0 is in use: @3 would end, with --force\n" in out
    assert console.head() == seq
    assert "! ended @3\n" in console.says("pool apply pool.toml --remove --force")
    assert [one["task"] for one in console.document("list")["allocations"]] == ["keep"]
    assert console.head() == seq + 1


def test_ending_what_others_run_wants_a_reason(console: Console, file: Path) -> None:
    """A forced change that ends somebody else's task is refused without `--reason`."""
    with console.acting(BOB) as ledger:
        ledger.allocate("b", 4)
    file.write_text(POOL.replace("gpus = 4", "gpus = 1"))
    assert "--reason" in console.fails(2, "pool apply pool.toml --force")
    document = console.document("pool apply pool.toml --force --reason 'cards burnt'")
    check("pool-apply", document)
    assert document["changes"]["ended"] == [2]


def test_a_file_that_is_not_there_is_said(console: Console) -> None:
    """A missing pool file, or a folder, is one sentence."""
    for name in ("nowhere.toml", "."):
        assert "pool template" in console.fails(2, f"pool diff {name}")
