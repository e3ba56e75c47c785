"""Numbers beyond 2^53 - 1 in an event's own columns: named, and nothing is written behind them."""

from __future__ import annotations

from pathlib import Path

import pytest

import forging
from conftest import RunCli
from forging import Raw
from gpuledger.handle import Ledger
from gpuledger.ledger.errors import BrokenChain
from small_pools import ADA, ledger

MOST = 2**53 - 1
REFUSED = {"act": "allocate", "by": {"uid": 0, "user": "root"}, "reason": "gone", "user": "root"}


@pytest.fixture
def told(ledger_path: Path) -> Path:
    """A ledger with a task that runs."""
    with ledger(ledger_path, actor=ADA) as ada:
        ada.allocate("running", 1)
    return ledger_path


def append(path: Path, *, at: int, version: int = 1) -> None:
    """Append a refusal with these numbers, rightly linked and hashed."""
    last = forging.rows(path)[-1]
    data = forging.spelled(REFUSED)
    row = Raw(last.seq + 1, at, "request.refused", version, "uid:0", None, data, last.hash, b"")
    with forging.opened(path) as connection:
        forging.insert(connection, row.hashed())


def test_a_time_that_is_too_great(told: Path, tmp_path: Path, run_cli: RunCli) -> None:
    """A verification names the event, writers refuse the log, and restore ends before it."""
    append(told, at=MOST + 1)
    with Ledger(str(told), actor=ADA) as ada:
        assert [(one.seq, one.what) for one in ada.verify().problems] == [(3, "number")]
        with pytest.raises(BrokenChain, match=r"beyond 2\^53 - 1"):
            ada.allocate("more", 1)
        assert len(ada.state().allocations()) == 1
    done = run_cli("--ledger", told, "audit", "verify")
    assert "seq 3 holds a number beyond 2^53 - 1" in done.stdout
    assert "gpuledger salvage" in done.stdout
    for act in ("restore", "salvage"):
        done = run_cli(act, told, "-o", tmp_path / f"{act}.db")
        assert "should not have happened" not in done.stderr
        assert run_cli("--ledger", tmp_path / f"{act}.db", "audit", "verify").returncode == 0


def test_a_version_that_is_too_great(told: Path) -> None:
    """A verification names it, besides that no release knows it."""
    append(told, at=forging.rows(told)[-1].at, version=MOST + 1)
    with Ledger(str(told)) as reader:
        found = {(one.seq, one.what) for one in reader.verify().problems}
    assert found == {(3, "number"), (3, "unknown_event")}


def test_the_greatest_time_of_all(told: Path, tmp_path: Path, run_cli: RunCli) -> None:
    """It is in order: writers go on at that time, and salvage keeps its event."""
    append(told, at=MOST)
    done = run_cli("salvage", told, "-o", tmp_path / "new.db")
    assert "holds 3 of 3 events" in done.stdout
    with Ledger(str(told), actor=ADA) as ada:
        ada.allocate("more", 1)
        assert ada.verify().ok
    assert forging.rows(told)[-1].at == MOST
