"""Forged names: what a forger put into a ledger's events never acts on a terminal."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from conftest import RunCli
from forging import append, rehash_from, unguarded
from gpuledger.handle import Ledger, init
from gpuledger.replay.facts import Limits, Placed, Pool
from small_pools import pool, server

EVIL = "\x1b[2J\nX\x9b\u202e"
SPELLED = r"\u001b[2J\nX" + "\x9b\u202e"
SHOWN = r"\x1b[2J\nX\x9b\u202e"


@pytest.fixture
def forged(ledger_path: Path, tmp_path: Path) -> Path:
    """A ledger whose server, task, project, note, reason and mirror have names that clear a
    screen and begin a line.
    """
    (tmp_path / "EVIL").mkdir()
    init(ledger_path, Pool((server("aEVIL"),), Limits()))
    with Ledger(str(ledger_path)) as book:
        book.allocate("tEVIL", 1, project="pEVIL", note="nEVIL")
        book.allocate("two", 1)
        book.release("two")
        book.drain((Placed("aEVIL", (3,)),), reason="rEVIL")
        book.mirror_add(tmp_path / "EVIL")
    with unguarded(ledger_path) as connection:
        connection.execute("UPDATE events SET data = replace(data, 'EVIL', ?)", (SPELLED,))
        for table in ("snapshot", "pieces", "holdings", "capacity"):
            connection.execute(f"DELETE FROM {table}")
    rehash_from(ledger_path, 1)
    ledger_path.with_name(f"{ledger_path.name}.lock").unlink()
    return ledger_path


COMMANDS = """
status
status --gpus
list
list -l
queue
history
history -l
history -P
history -o task,servers
audit who
audit usage
audit usage --by project
audit refusals
audit diff 1s
audit verify
pool show
mirror list
release tEVIL
release nothing
drain aEVIL:0
resume aEVIL
allocate x 1 --on aEVIL
allocate x 99
allocate x 1 --export
salvage FILE -o NEW
restore FILE -o NEW
""".strip().splitlines()


@pytest.mark.parametrize("line", COMMANDS)
def test_nothing_acts_on_the_terminal(
    forged: Path, tmp_path: Path, run_cli: RunCli, line: str
) -> None:
    """Each command shows such names with escapes, in its tables, sentences and notices."""
    places = {"FILE": str(forged), "NEW": str(tmp_path / "new.db")}
    words = [places.get(word, word).replace("EVIL", EVIL) for word in shlex.split(line)]
    done = run_cli("--ledger", forged, *words)
    said = done.stdout + done.stderr
    assert "this should not have happened" not in said
    assert done.stderr == "" or done.stderr.startswith("gpuledger: ")
    assert not [letter for letter in said if not (letter.isprintable() or letter == "\n")]
    quoted = "--export" in line  # a shell reads on within quotes, and needs the newline
    assert quoted or not [text for text in said.splitlines() if text.startswith("X")]


def test_completions_are_one_a_line(forged: Path, run_cli: RunCli) -> None:
    """No shell is offered a name that would be taken for two."""
    asked = {
        "_GPULEDGER_COMPLETE": "bash_complete",
        "COMP_WORDS": f"gpuledger --ledger {forged} drain ",
        "COMP_CWORD": "4",
    }
    done = run_cli(env=asked)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")


@pytest.mark.parametrize("shown", [True, False])
def test_such_a_mirror_can_be_given_up(
    forged: Path, tmp_path: Path, run_cli: RunCli, shown: bool
) -> None:
    """The step that the notice names works, with the folder as it is shown or as it is."""
    told = run_cli("--ledger", forged, "status").stderr
    step = told.partition("given up with ")[2].partition("\n")[0]
    assert SHOWN in step
    words = shlex.split(step)[1:] if shown else ["mirror", "remove", str(tmp_path / EVIL)]
    done = run_cli("--ledger", forged, *words)
    assert done.returncode == 0
    assert done.stdout.endswith("is no mirror any more; what lies there stays\n")
    assert "mirror" not in run_cli("--ledger", forged, "status").stderr


@pytest.mark.parametrize("name", ["relative", "/nul\0", ""])
def test_no_folder_at_all(ledger_path: Path, run_cli: RunCli, name: str) -> None:
    """A mirror at what can be no absolute path keeps nobody from writing, and can be given up."""
    init(ledger_path, pool())
    append(ledger_path, "mirror.added", {"by": {"uid": 0, "user": "root"}, "directory": name})
    done = run_cli("--ledger", ledger_path, "allocate", "t", "1")
    assert done.returncode == 0
    assert "this should not have happened" not in done.stderr
    gone = run_cli("--ledger", ledger_path, "mirror", "remove", name.replace("\0", r"\x00"))
    assert gone.returncode == 0
    assert run_cli("--ledger", ledger_path, "status").stderr == ""
