"""The commands of every day: what they take, what they say, what they leave in the ledger."""

from __future__ import annotations

import os
import shlex
import sqlite3
from pathlib import Path

import pytest

import gpuledger
from conftest import RunCli
from console import BOB, EVE, SMALL, Console
from gpuledger.cli.actor import current
from gpuledger.cli.duration import units_s
from json_shapes import check

ME = current().user


@pytest.fixture
def console(run_cli: RunCli, ledger_path: Path) -> Console:
    made = Console(run_cli, ledger_path)
    made.says(SMALL)
    return made


def test_init_says_what_it_made_and_what_is_next(run_cli: RunCli, ledger_path: Path) -> None:
    """`init` names file, pool, admins and the next command; its defaults are 4 × 8 × 64."""
    made = Console(run_cli, ledger_path)
    admins = ", ".join(dict.fromkeys([ME, "root"]))
    assert made.says("init").splitlines() == [
        f"made {ledger_path}: 4 servers, 32 GPUs, 256 CPUs",
        f"admins: {admins}",
        "next: gpuledger allocate TASK GPUS",
    ]
    assert made.document("pool show")["servers"][3]["server"] == "gpu-server-3"


def test_init_never_touches_what_is_there(console: Console) -> None:
    """A second `init` is a conflict, and the ledger's bytes stay."""
    before = console.ledger.read_bytes()
    assert "already" in console.fails(5, SMALL)
    assert console.ledger.read_bytes() == before


def test_init_takes_a_pool_file(run_cli: RunCli, ledger_path: Path, tmp_path: Path) -> None:
    """`init --pool FILE` makes just that pool, as of `--at`; the counts do not go with it."""
    (tmp_path / "pool.toml").write_text('[[server]]\nname = "h[1-2]"\ngpus = 2\ncpus = 8\n')
    made = Console(run_cli, ledger_path)
    assert "exclude each other" in made.fails(2, "init --pool pool.toml --servers 2")
    out = made.says("init --pool pool.toml --at 2020-03-31T15:00:00Z")
    assert "its record begins at 2020-03-31T15:00:00+00:00" in out
    assert made.document("status --at 2020-04-01")["totals"]["cpus_total"] == 16


def test_the_first_example(console: Console) -> None:
    """8/8 GPUs, 64/64 CPUs, 0 tasks; with test_001 of 2 and 16 6/8, 48/64, 1; then as before."""
    assert console.row("total") == ["total", "8/8", "0%", "64/64", "0%", "0"]
    console.says("allocate test_001 2 16")
    assert console.row("total") == ["total", "6/8", "25%", "48/64", "25%", "1"]
    console.says("release test_001")
    assert console.row("total") == ["total", "8/8", "0%", "64/64", "0%", "0"]


def test_a_grant_says_how_it_is_given_back(console: Console) -> None:
    """The sentence of a grant: id, task, place, CPUs, and the command that ends it."""
    assert console.says("allocate train 2 16") == (
        "granted @2 train: gpu-server-0:0-1, 16 CPUs; give back: gpuledger release train\n"
    )
    assert console.says("allocate one 1 1 --on gpu-server-1").startswith(
        "granted @3 one: gpu-server-1:0, 1 CPU;"
    )


def test_cpus_not_given_are_the_servers_share(console: Console) -> None:
    """Without CPUS a task gets the server's CPUs per GPU, times the GPUs."""
    assert ", 24 CPUs;" in console.says("allocate train 3")


def test_on_names_servers_ranges_and_gpus(console: Console) -> None:
    """`--on` takes a server, a range, or GPUs one by one, with brackets or without."""
    assert "gpu-server-1:0-1," in console.says("allocate a 2 --on gpu-server-1")
    assert "gpu-server-1:3," in console.says("allocate b 1 --on 'gpu-server-1:[3]'")
    assert "gpu-server-0:0-2," in console.says("allocate c 3 --on 'gpu-server-[0-1]'")
    assert "gpu-server-0:3 gpu-server-1:2," in console.says(
        "allocate d 2 8 --on gpu-server-0:3 --on gpu-server-1:2"
    )


def test_servers_divide_evenly(console: Console) -> None:
    """`--servers N` gives an equal part on each, told as one range."""
    assert console.says("allocate wide 4 32 --servers 2").startswith(
        "granted @2 wide: gpu-server-[0-1]:0-1, 16 CPUs on each; give back: "
    )
    assert "a multiple of 2" in console.fails(2, "allocate odd 3 --servers 2")


def test_here_is_the_server_that_this_machine_is(
    run_cli: RunCli, ledger_path: Path, tmp_path: Path
) -> None:
    """`--here` takes the server named like this host, or that gives it as its `host`."""
    host = os.uname().nodename
    pool = f'[[server]]\nname = "a"\ngpus = 8\ncpus = 8\n[[server]]\nname = "b"\nhost = "{host}"\n'
    (tmp_path / "pool.toml").write_text(pool + "gpus = 2\ncpus = 4\n")
    made = Console(run_cli, ledger_path)
    made.says("init --pool pool.toml")
    assert "b:0," in made.says("allocate train 1 --here")


def test_project_and_note_stay_with_the_grant(console: Console) -> None:
    """Project and note are recorded, and `list` and JSON show them."""
    console.says("allocate train 1 --project vision --note 'with the new data'")
    (one,) = console.document("list")["allocations"]
    assert (one["project"], one["note"]) == ("vision", "with the new data")
    assert "vision" in console.says("list")


def test_a_key_gives_the_same_answer_again(console: Console) -> None:
    """Asked again with its key a grant is answered word for word, and no event is added."""
    first = console.says("allocate train 1 --key k1")
    assert console.says("allocate train 1 --key k1") == first
    assert console.head() == 2
    assert "stands for another request" in console.fails(5, "allocate other 1 --key k1")


@pytest.mark.needs("root")
def test_an_admin_acts_for_somebody(console: Console) -> None:
    """`--for USER` makes the task that user's own; both names are recorded."""
    out = console.says("allocate theirs 1 --for nobody")
    assert "granted @2 theirs for nobody: " in out
    assert out.endswith("give back: gpuledger release @2 --for nobody\n")
    assert console.document("list --user nobody")["allocations"][0]["user"] == "nobody"
    assert "--for nobody" in console.says("release @2 --for nobody")


def test_a_release_says_how_to_take_it_back(console: Console) -> None:
    """The command that a release prints takes the very same GPUs, CPUs, project and note again."""
    console.says("allocate other 1 --on gpu-server-1:0")
    for words in (
        "train 2 5 --on gpu-server-1:1,3 --project vision --note 'it is mine'",
        "wide 2 10 --servers 2",
    ):
        console.says(f"allocate {words}")
        before = console.document("list")["allocations"][-1]
        told = console.says(f"release {words.split()[0]}")
        _, _, again = told.partition("; take it back: gpuledger ")
        console.says(again)
        after = console.document("list")["allocations"][-1]
        for key in ("task", "servers", "project", "note"):
            assert after[key] == before[key]


def test_what_is_taken_back_has_the_time_that_was_left(console: Console) -> None:
    """Extensions count as well, also where a key asks again, up to the longest lease there is."""
    for task, lease in (("a", "1m"), ("long", "366d")):
        console.says(f"allocate {task} 1 --lease {lease}")
        console.says(f"extend {task} --by 7h")
        console.says(f"extend {task} --by 1h")
    told = console.says("release long a --key k")
    assert console.says("release long a --key k") == told
    long, short = (one.partition("--lease ")[2].split()[0] for one in told.splitlines())
    assert long == "366d"
    assert 8 * 3_600 < (units_s(short) or 0) <= 8 * 3_600 + 60


def test_a_release_ends_all_or_nothing_in_one_event(console: Console) -> None:
    """Of several names either all end, in one event, or none does."""
    console.says("allocate a 1")
    console.says("allocate b 1")
    assert "no task 'c' runs" in console.fails(3, "release a c")
    assert len(console.document("list")["allocations"]) == 2
    document = console.document("release a @3 a")
    check("release", document)
    assert [one["allocation"] for one in document["released"]] == [2, 3]
    assert document["seq"] == console.head() == 4


def test_if_held_passes_over_what_is_not_held(console: Console) -> None:
    """With `--if-held` a clean-up succeeds, whether anything is held or not."""
    console.says("allocate a 1")
    assert "released @2 a" in console.says("release a gone --if-held")
    assert console.remarks("release a gone --if-held") == "nothing of that is held"
    assert console.document("release a --if-held")["released"] == []


def test_mine_ends_ones_own_alone(console: Console) -> None:
    """`--mine` ends what this user runs and nothing of anybody else."""
    console.says("allocate a 1")
    with console.acting(BOB) as ledger:
        ledger.allocate("b", 1)
    assert console.says("release --mine").startswith("released @2 a")
    assert [one["user"] for one in console.document("list")["allocations"]] == ["bob"]


def test_an_admin_ends_others_with_a_reason(console: Console) -> None:
    """`--for USER`, or `--force --reason` on tasks and servers; a reason is needed and recorded."""
    with console.acting(BOB) as ledger:
        ledger.allocate("b", 1, on_words=(), on=())
        ledger.allocate("c", 4)
    with console.acting(EVE) as ledger:
        ledger.allocate("e", 1)
    assert "--reason" in console.fails(2, "release --server gpu-server-0 --force")
    out = console.says("release --server 'gpu-server-[0-1]' --for bob --reason 'left us'")
    assert [line.split()[1] for line in out.splitlines()] == ["@2", "@3"]
    assert out.splitlines()[0].endswith("--for bob")
    again = console.fails(3, "release --server gpu-server-0 --for bob --reason 'left us'")
    assert "nothing of that runs on gpu-server-0" in again
    assert "released @4 e" in console.says("release e --force --reason 'new cards'")
    assert console.document("history")["allocations"][0]["reason"] == "left us"


def test_a_release_takes_several_servers(console: Console) -> None:
    """`--server` may be repeated: what runs on any of them ends, all in one event."""
    for server in (0, 1):
        console.says(f"allocate t{server} 1 --on gpu-server-{server}")
    both = "release --server gpu-server-0 --server gpu-server-1"
    assert [line.split()[2] for line in console.says(both).splitlines()] == ["t0:", "t1:"]
    assert console.head() == 4
    assert "on gpu-server-[0-1]" in console.fails(3, both)
    assert console.remarks(f"{both} --if-held") == "nothing of that is held"


def test_a_number_that_never_was_an_allocation(console: Console) -> None:
    """Neither release nor extend says that it ran once; of one that did they say so."""
    console.says("allocate a 1")
    console.says("release a")
    for command in ("release {}", "extend {} --by 1h"):
        for number in (1, 3):
            assert f"@{number} is no allocation" in console.fails(3, command.format(f"@{number}"))
        assert "@2 does not run any more" in console.fails(3, command.format("@2"))


def test_list_shows_what_was_asked_for(console: Console) -> None:
    """`list` filters by own tasks, user and server; where nothing is left it says so."""
    console.says("allocate a 1 --on gpu-server-0")
    with console.acting(BOB) as ledger:
        ledger.allocate("b", 4)
    ids = {
        words: [one["allocation"] for one in console.document(f"list {words}")["allocations"]]
        for words in ("", "--mine", "--user bob", "gpu-server-0", "'gpu-server-[0-1]'")
    }
    everything = [2, 3]
    assert ids == {
        "": everything, "--mine": [2], "--user bob": [3], "gpu-server-0": [2],
        "'gpu-server-[0-1]'": everything,
    }  # fmt: skip
    (header, rule, row, _) = console.says("list").splitlines()
    assert header.split("  ")[0] == "id"
    assert set(rule) == {"-", " "}
    assert row.split()[:3] == ["@2", "a", ME]
    assert console.remarks("list --user eve") == "nothing of that runs"
    assert [row["servers"] for row in console.csv("list")] == ["gpu-server-0:0", "gpu-server-1:0-3"]


def test_a_drained_gpu_takes_no_new_work(console: Console) -> None:
    """`drain` says what goes on, later work goes elsewhere, `resume` brings it back."""
    console.says("allocate a 1 --on gpu-server-0:0")
    told = console.says("drain gpu-server-0:0-2 gpu-server-0:3 --reason ECC")
    assert told == "drained gpu-server-0:0-3; @2 goes on there\n"
    assert "gpu-server-1:" in console.says("allocate b 1")
    assert console.remarks("drain gpu-server-0:1") == "all of that is drained already"
    assert "nothing were drained" in console.fails(4, "allocate c 2 --on gpu-server-0")
    assert console.says("resume gpu-server-0") == "resumed gpu-server-0:0-3\n"
    assert console.remarks("resume gpu-server-0") == "nothing of that is drained"
    assert console.says("drain 'gpu-server-[0-1]'").startswith("drained gpu-server-[0-1]:0-3; ")


def test_reset_asks_or_is_told_not_to(console: Console) -> None:
    """Without a terminal `reset` wants `--yes`; it ends everything and keeps pool and history."""
    console.says("allocate a 1")
    console.says("drain gpu-server-1")
    assert "--yes" in console.fails(2, "reset")
    assert console.says("reset --yes") == (
        "reset: 1 allocation ended (@2); the pool and the history stay\n"
    )
    assert console.row("gpu-server-1")[1] == "drained"
    assert [one["state"] for one in console.document("history")["allocations"]] == ["ended"]


def test_reset_lists_what_is_not_ones_own(console: Console) -> None:
    """Where others' tasks run `reset --yes` names each and wants a reason."""
    with console.acting(BOB) as ledger:
        ledger.allocate("b", 2)
    out, err = console.ends(2, "reset --yes")
    assert out == ""
    assert err.splitlines()[0] == "gpuledger: @2 b of bob runs on gpu-server-0:0-1"
    assert err.splitlines()[1].endswith("say why with --reason TEXT")
    assert console.document("reset --yes --reason 'power cut'")["changes"]["ended"] == [2]


def test_what_the_ledger_notices_is_told(console: Console) -> None:
    """Where the snapshot is gone, command after command works and says on stderr what it did."""
    console.says("allocate a 1")
    for words in ("allocate b 1", "status", "list", "release a b"):
        with sqlite3.connect(console.ledger) as conn:
            for (table,) in conn.execute("SELECT name FROM sqlite_schema WHERE type='table'"):
                if "snapshot" in table or "piece" in table:
                    conn.execute(f"DELETE FROM {table}")
        conn.close()
        _, err = console.ends(0, words)
        assert "replayed" in err, words


@pytest.mark.parametrize("words", ["--ledger {} {}", "{1} --ledger {0}"])
def test_shared_options_stand_before_or_behind(
    run_cli: RunCli, console: Console, words: str
) -> None:
    """`--ledger` and `--json` count in front of the command's name and behind it."""
    elsewhere = Console(run_cli, console.ledger)
    elsewhere.environ = {}
    shown = elsewhere.says(words.format(shlex.quote(str(console.ledger)), "list --json"))
    assert '"seq": 1' in shown
    assert '"seq": 1' in console.says("--json list")


def test_help_ends_with_examples() -> None:
    """Every command's help has examples, and every option of them is one that it knows."""
    from click import Context, Group

    from gpuledger.cli.options import Command
    from gpuledger.cli.program import program

    def commands(group: Group) -> list[Command]:
        found: list[Command] = []
        for name in group.list_commands(Context(group)):
            one = group.get_command(Context(group), name)
            assert isinstance(one, Command)
            found += [one, *(commands(one) if isinstance(one, Group) else [])]
        return found

    for one in commands(program()):
        text = one.get_help(Context(one, info_name=one.name))
        assert "\nExamples:\n  gpuledger " in text or "\nExamples:\n  " in text
        assert "gpuledger " in text.partition("Examples:")[2], one.name


def test_a_misspelt_command_is_guessed(console: Console) -> None:
    """A word that is no command is told with the one that it is like, also inside a group."""
    assert console.fails(2, "stats") == (
        "there is no command 'stats'; did you mean status? see gpuledger --help"
    )
    assert "'pool chek'; did you mean check?" in console.fails(2, "pool chek")
    assert "did you mean" not in console.fails(2, "frobnicate")


def test_the_version_is_told(console: Console) -> None:
    """`--version` prints name and version, whatever the ledger is."""
    assert console.says("--version") == f"gpuledger {gpuledger.__version__}\n"
