"""Records that no writer makes, rightly linked and hashed: no command stumbles over them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from conftest import RunCli
from forging import append
from gpuledger.handle import Ledger
from small_pools import ADA, ROOT, ledger

BY = {"uid": 0, "user": "root"}
FOLDERS = ["/tmp/a\0b", "/tmp/\x1b[31m\nred", "x" * 5000, "", "/proc/self/mem", "relative"]
COMMANDS = ["status", "list", "history", "mirror list", "export", "queue", "audit usage"]
COMMANDS += ["allocate more 1", "release more", "rebuild", "audit verify", "status", "mirror list"]


@pytest.fixture
def told(ledger_path: Path) -> Path:
    """A ledger with a task that runs."""
    with ledger(ledger_path, actor=ADA) as ada:
        ada.allocate("running", 1)
    return ledger_path


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_mirror_that_can_be_none(told: Path, folder: str, run_cli: RunCli) -> None:
    """It is in trouble, as one that is gone is, and commands do what they should."""
    append(told, "mirror.added", {"by": BY, "directory": folder})
    for words in COMMANDS:
        done = run_cli("--ledger", told, *words.split())
        assert done.returncode == 0, (words, done.stderr)
        assert "\x1b" not in done.stdout + done.stderr
    with Ledger(str(told), actor=ROOT) as root:
        assert [(one.directory, one.trouble is None) for one in root.mirrors()[0]] == [
            (folder, False)
        ]
        root.mirror_remove(folder)
        assert root.mirrors()[0] == []


def test_a_mirror_is_given_up_by_the_name_that_is_shown(told: Path, run_cli: RunCli) -> None:
    """What nobody can type is removed as it is printed."""
    append(told, "mirror.added", {"by": BY, "directory": "/tmp/a\0b"})
    done = run_cli("--ledger", told, "mirror", "remove", r"/tmp/a\x00b", "--reason", "forged")
    assert done.returncode == 0, done.stderr
    assert r"/tmp/a\x00b is no mirror any more" in done.stdout


@pytest.mark.parametrize("server", ["bare", "g\x1b[31m"])
def test_a_server_that_no_writer_adds(told: Path, server: str, run_cli: RunCli) -> None:
    """One without GPUs, or with a name that acts on a terminal, is shown, and restored."""
    gpus = [] if server == "bare" else [{"index": 2**53 - 1}]
    fact = {"cpus": 9, "gpus": gpus, "name": server}
    append(told, "pool.changed", {"added": [fact], "by": BY, "removed": ["s0"], "ended": [2]})
    target = str(told.with_name("other.db"))
    for words in [*COMMANDS, "pool show", f"restore {told} -o {target}"]:
        done = run_cli("--ledger", told, *words.split())
        assert "should not have happened" not in done.stderr, words
        assert "\x1b" not in done.stdout + done.stderr, words


def test_a_grant_of_nothing(told: Path, run_cli: RunCli) -> None:
    """It is listed and ended like any other."""
    grant: dict[str, Any] = {"asked": {"gpus": 1, "task": "none"}, "by": BY, "servers": []}
    append(told, "allocation.granted", {**grant, "task": "none", "uid": 0, "user": "root"})
    for words in [*COMMANDS, "release none", *COMMANDS]:
        done = run_cli("--ledger", told, *words.split())
        assert done.returncode == 0, (words, done.stderr)
    with Ledger(str(told), actor=ROOT) as root:
        assert [one.task for one in root.state().allocations()] == ["running"]
