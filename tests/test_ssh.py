"""A ledger on another machine: commands run there through ssh as if it were here."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

import gpuledger
from conftest import RunCli
from console import SMALL, Console
from desk import GROUPED
from gpuledger.cli.keyfile import make, signed, verifier_of
from gpuledger.cli.program import COMMANDS
from gpuledger.ledger.checkpoint import Checkpoint
from sshd import Sshd

pytestmark = GROUPED
HOSTILE = (
    'it\'s "quoted" `id` $(id) ${HOME} \\ \\n %s %20 ~ * ? [a] {b,c} ; & | < > # ! ^',
    "--reason",
    "-rf",
    "'",
    '"$(touch /tmp/never)"',
    "\\",
    "名前 é ñ 🎉 \u202f\xa0",
    " leading and trailing ",
    "x" * 200,
    "=YWJj=",
)


@pytest.fixture
def ada(sshd: Sshd, run_cli: RunCli) -> Console:
    return sshd.console(run_cli, sshd.ada, sshd.ledger(*SMALL.split()[1:]))


@pytest.fixture
def bob(sshd: Sshd, run_cli: RunCli, ada: Console) -> Console:
    return sshd.console(run_cli, sshd.bob, ada.ledger)


def test_checkpoints_lie_on_this_machine(ada: Console, tmp_path: Path) -> None:
    """They and the verifier key are read here, whatever lies there and whatever they are called."""
    key = make(str(tmp_path / "key"))
    with gpuledger.open(ada.ledger) as opened:
        tree = opened.tree()
    checkpoint = Checkpoint(tree.origin, tree.size, tree.root)
    (tmp_path / "monday+tuesday").write_text(signed(checkpoint, key))
    (tmp_path / "team.vkey").write_text(verifier_of(key, tree.origin).text())
    said = ada.says("audit verify --against monday+tuesday --signed-by team.vkey")
    assert said.startswith(f"consistent, and extends the checkpoint of {tree.size} events")


def test_the_actor_is_the_user_of_that_machine(sshd: Sshd, ada: Console, bob: Console) -> None:
    """Whoever types, the record names the uid that sshd let in; what it may do follows that."""
    said = ada.says("allocate train 2 16")
    assert said.startswith("granted @2 train: gpu-server-0:0-1, 16 CPUs; give back:")
    bob.says("allocate train 1 4")
    runs = ada.document("list")["allocations"]
    assert [one["user"] for one in runs] == [sshd.ada.name, sshd.bob.name]
    with gpuledger.open(ada.ledger) as opened:
        actors = [event.actor for event in opened.log.read(1)]
    assert actors == [f"uid:{sshd.ada.uid}", f"uid:{sshd.bob.uid}"]
    bob.fails(77, "release @2")
    assert ada.says("release train").startswith("released @2 train")


def test_every_command_prints_what_it_prints_there(sshd: Sshd, ada: Console) -> None:
    """What reads answers byte for byte the same, times in the zone of whoever typed it."""
    ada.says("allocate train 2 16 --note 'größer'")
    ada.ends(4, "allocate big 4 --on gpu-server-0")
    ada.says("release train")
    with gpuledger.open(ada.ledger) as opened:
        at = [event.at for event in opened.log.read(1)]
    time, end = (datetime.fromtimestamp(us / 1e6, UTC).isoformat() for us in (at[0] + 1, at[2] + 1))
    for words in (
        "status", f"status --json --at {time}", f"status --gpus --csv --at {time}", "list",
        f"history -E {end}", f"history --json -E {end}", "pool show", "pool show --toml",
        f"audit who gpu-server-0 -E {end}", f"audit usage -E {end} --json", "audit verify",
        f"audit refusals -E {end} --csv", f"audit diff {time} {end}", "export",
    ):  # fmt: skip
        here = ada.ends(0, words)
        done = sshd.program.run(sshd.ada, "--ledger", ada.ledger, *words.split())
        assert here == (done.stdout, done.stderr), words
        assert "+09:00" not in here[0], "the other machine's zone"


def test_arguments_arrive_as_they_are(ada: Console) -> None:
    """Notes and reasons of whatever letters reach the record as they were typed."""
    for text in HOSTILE:
        word = shlex.quote(text)
        ada.says(f"allocate train 1 4 --note={word}")
        ada.says(f"release train --reason={word}")
    with gpuledger.open(ada.ledger) as opened:
        told = [json.loads(event.data) for event in opened.log.read(1)]
    assert [one.get("note", one.get("reason")) for one in told] == [
        text for text in HOSTILE for _ in range(2)
    ]
    assert not Path("/tmp/never").exists()


def test_names_arrive_as_they_are(ada: Console) -> None:
    """A task's name is taken or refused as on the machine itself, and told as it was typed."""
    for task in ("-x", "--help", "a b", "a;b", "$(id)", "a\nb", "%s", "-"):
        out, _ = ada.ends(2, f"allocate --json -- {shlex.quote(task)} 1")
        assert json.loads(out)["error"]["facts"]["value"] == task
    assert ada.says("allocate 名.é_1+2-3 1").startswith("granted @2 名.é_1+2-3: ")


def test_a_retry_key_goes_along(ada: Console) -> None:
    """Each act that can carry a key has one, the user's own where he gave it."""
    ada.says("allocate one 1 4")
    ada.says("allocate two 1 4 --key mine")
    again = ada.says("allocate two 1 4 --key mine")
    assert again.startswith("granted @3 two")
    ada.says("release one two")
    with gpuledger.open(ada.ledger) as opened:
        keys = [event.key for event in opened.log.read(1)]
    assert keys[1] == "mine"
    assert len(set(keys)) == 3
    assert all(key and re.fullmatch("mine|[0-9a-f]{16}", key) for key in keys)


def test_exit_codes_pass_through(sshd: Sshd, ada: Console) -> None:
    """A failure there ends here with its code, one sentence, and the same as JSON."""
    ada.says("allocate held 1 4 --on gpu-server-0")
    for code, words in (
        (2, "allocate train 9"),
        (2, "allocate train"),
        (3, "release nothing"),
        (4, "allocate big 4 32 --on gpu-server-0"),
        (5, "allocate held 1"),
        (77, "drain gpu-server-0"),
        (78, f"--ledger {sshd.url(sshd.ada)}/nowhere/l.db status"),
    ):
        sentence = ada.fails(code, words)
        out, err = ada.ends(code, f"{words} --json")
        error = json.loads(out)["error"]
        assert sentence == f"{error['sentence']}; {error['next']}"
        assert err == ""


def test_files_are_opened_here(sshd: Sshd, ada: Console, tmp_path: Path) -> None:
    """Pool files and traces are this machine's, stdin is this command's; each is named as here."""
    pool = tmp_path / "pool.toml"
    pool.write_text('[[server]]\nname = "näw"\ngpus = 2\ncpus = 8\n', encoding="utf-8")
    pool.chmod(0o600)
    other = sshd.url(sshd.ada, "/~/other.db")
    said = ada.says(f"--ledger {other} init --pool {pool}")
    assert said.startswith(f"made {sshd.folder}/home-{sshd.ada.name}/other.db: ")
    assert f"next: gpuledger --ledger {other} allocate" in said
    toml = ada.says(f"--ledger {other} pool show --toml").replace("cpus = 8", "cpus = 9")
    out, _ = ada.ends(0, f"--ledger {other} pool apply -", input=toml)
    assert "näw" in out
    assert ada.document(f"--ledger {other} status")["totals"]["cpus_total"] == 9
    assert "nowhere.toml" in ada.fails(2, "pool diff nowhere.toml")
    pool.write_text("[[server]]\nname = 3\n", encoding="utf-8")
    assert ada.fails(78, f"pool diff {pool}").startswith(f"{pool}, line 2: ")


def test_a_trace_is_read_here(sshd: Sshd, ada: Console, tmp_path: Path) -> None:
    """`import` takes a file of this machine, larger than any pipe holds at once."""
    trace = tmp_path / "jobs.csv"
    rows = [f"{n},u1,2020-01-02,2020-01-02,0" for n in range(9_000)]
    head = ["job_id,user,start,end,gpus", "0,u1,2020-01-02,2020-01-03,1"]
    trace.write_text("\n".join([*head, *rows]), encoding="utf-8")
    past = sshd.url(sshd.ada, "/~/past.db")
    ada.says(f"--ledger {past} init --at 2020-01-01")
    assert "9001 rows: 1 granted" in ada.says(f"--ledger {past} import {trace}")


def test_here_is_this_host(
    sshd: Sshd, ada: Console, cli_env: dict[str, str], tmp_path: Path
) -> None:
    """`--here` means the host where the command was typed, and so does the notice of `--short`."""
    pool = tmp_path / "pool.toml"
    pool.write_text(
        '[defaults]\ngpus = 2\ncpus = 8\n[[server]]\nname = "a"\n'
        '[[server]]\nname = "b"\nhost = "desk"\n',
        encoding="utf-8",
    )
    other = sshd.url(sshd.ada, "/~/here.db")
    ada.says(f"--ledger {other} init --pool {pool}")
    desk = [sys.executable, "-c", AT_THE_DESK, "--ledger", other, "allocate", "--short"]
    environ = {**cli_env, **ada.environ}
    for words, err in (
        (["one", "1", "--here"], ""),
        (["two", "1", "--on", "a"], "gpuledger: these are GPUs of a:0; this is desk\n"),
    ):
        done = subprocess.run(
            [*desk, *words], env=environ, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "0\n", err)


AT_THE_DESK = """
import gpuledger.cli.actor as actor
from gpuledger.cli.entry import main
actor.host_name = lambda: "desk"
main()
"""


def test_what_needs_no_ledger_stays_here(run_cli: RunCli, tmp_path: Path) -> None:
    """Help, version, completion, the template and the check of a pool file connect to nowhere."""
    nowhere = {"GPULEDGER": "ssh://nowhere.invalid/x", "PATH": "/usr/bin:/bin"}
    pool = tmp_path / "pool.toml"
    for words in (
        *(f"{name} --help" for name in COMMANDS),
        "--version",
        "completion bash",
        "pool template",
    ):
        done = run_cli(*words.split(), env=nowhere)
        assert (done.returncode, done.stderr) == (0, ""), words
    pool.write_text(done.stdout, encoding="utf-8")
    assert run_cli("pool", "check", str(pool), env=nowhere).returncode == 0
    asked = {"_GPULEDGER_COMPLETE": "bash_complete", "COMP_WORDS": "gpuledger release ",
             "COMP_CWORD": "2"}  # fmt: skip
    done = run_cli(env={**nowhere, **asked})
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")
