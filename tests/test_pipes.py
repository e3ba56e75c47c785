"""Pipes, which can be read only once and perhaps never end, where a file is to be."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from conftest import RunCli
from small_pools import ADA, ledger


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    """A pipe that nobody writes to."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    return path


def test_a_pipe_in_a_ledgers_place(
    pipe: Path, ledger_path: Path, tmp_path: Path, run_cli: RunCli
) -> None:
    """No ledger is put in the place of a pipe, or of a device; nothing is made beside it."""
    with ledger(ledger_path, actor=ADA) as ada:
        ada.backup(tmp_path / "b.db")
    before = sorted(os.listdir(tmp_path))
    refused = run_cli("--ledger", pipe, "restore", tmp_path / "b.db", "--replace")
    assert refused.returncode == 65
    assert f"{pipe} is no ledger but not a regular file" in refused.stderr
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert sorted(os.listdir(tmp_path)) == before


def test_a_pipe_to_read_from(
    pipe: Path, ledger_path: Path, tmp_path: Path, run_cli: RunCli
) -> None:
    """No ledger is made of what can be read only once, and nobody waits for it for ever."""
    ledger(ledger_path, actor=ADA).close()
    new = tmp_path / "new.db"
    for words in (
        ("restore", pipe, "-o", new),
        ("restore", ledger_path, pipe, "-o", new),
        ("salvage", ledger_path, "-o", new, "--backup", pipe),
        ("salvage", ledger_path, "-o", new, "--mirror", pipe),
    ):
        refused = run_cli(*words, timeout_s=20)
        assert refused.returncode == 65
        assert f"{pipe} is a pipe or a device" in refused.stderr
        assert "write what it gives to a file first" in refused.stderr
    assert run_cli("salvage", pipe, "-o", new, timeout_s=20).returncode == 65
    assert run_cli("mirror", "check", pipe, timeout_s=20).returncode == 65
    assert not new.exists()
