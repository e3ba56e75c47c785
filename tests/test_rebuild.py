"""`rebuild`: everything but the log is disposable, and the log alone gives it back."""

from __future__ import annotations

from pathlib import Path

import pytest

from chosen_times import document
from conftest import RunCli
from forging import opened, unguarded
from gpuledger.handle import Ledger
from gpuledger.replay.facts import Placed
from gpuledger.replay.piece import state_hash
from small_pools import ADA, ROOT, ledger

TABLES = ("snapshot", "pieces", "holdings", "capacity")


@pytest.fixture
def told(ledger_path: Path) -> Path:
    """A ledger with running and ended allocations, a drained GPU, and a current snapshot."""
    with ledger(ledger_path, actor=ADA) as ada:
        for name in ("a", "b", "c", "d"):
            ada.allocate(name, 1, 1)
        ada.release("b", "c")
        ada.rebuild()
    return ledger_path


def ledger_of(path: Path) -> Ledger:
    """The ledger opened for root."""
    return Ledger(str(path), actor=ROOT)


def test_a_rebuild_proves_the_state(told: Path, run_cli: RunCli) -> None:
    """It tells the events, the state hash, that what was stored was right, and what it dropped."""
    answer = document(run_cli, told, "rebuild")
    with ledger_of(told) as opened_again:
        assert answer["state_hash"] == state_hash(opened_again.state().pieces).hex()
    assert (answer["events"], answer["matches"], answer["snapshots_dropped"]) == (6, True, 1)
    assert answer["seconds"] >= 0
    text = run_cli("--ledger", told, "rebuild").stdout
    assert f"state hash  {answer['state_hash']}" in text
    assert "yes, what was stored before was right" in text


@pytest.mark.parametrize("table", [*TABLES, "all"])
def test_deleted_rows_come_back(told: Path, run_cli: RunCli, table: str) -> None:
    """With any or all of the stores' tables emptied the same state hash comes out."""
    before = document(run_cli, told, "rebuild")["state_hash"]
    with opened(told) as connection:
        for name in TABLES if table == "all" else (table,):
            connection.execute(f"DELETE FROM {name}")
    answer = document(run_cli, told, "rebuild")
    assert answer["state_hash"] == before
    assert answer["matches"] is (None if table in ("snapshot", "all") else False)
    assert document(run_cli, told, "audit", "verify")["ok"]


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE pieces SET value = '{}' WHERE key = 'pool'",
        "UPDATE pieces SET digest = zeroblob(32) WHERE key = 'server:s0'",
        "UPDATE snapshot SET seq = seq - 1",
        "UPDATE snapshot SET state_hash = zeroblob(32)",
        "UPDATE holdings SET ended = ended + 1 WHERE n = 1",
        "UPDATE holdings SET value = '{}' WHERE n = 2",
        "DELETE FROM holdings WHERE n = 1",
        "UPDATE capacity SET value = '{}' WHERE n = 1",
        "DROP TABLE holdings",
        "DROP TABLE snapshot",
    ],
)
def test_edited_rows_are_noticed_and_mended(told: Path, run_cli: RunCli, edit: str) -> None:
    """Whatever was edited, it is told that it did not match, and afterwards it does."""
    before = document(run_cli, told, "rebuild")["state_hash"]
    with opened(told) as connection:
        connection.execute(edit)
    answer = document(run_cli, told, "rebuild")
    assert (answer["state_hash"], answer["matches"]) == (before, False)
    again = document(run_cli, told, "rebuild")
    assert (again["state_hash"], again["matches"]) == (before, True)
    assert document(run_cli, told, "audit", "verify")["ok"]


def test_a_snapshot_behind_the_head_is_no_mismatch(told: Path, run_cli: RunCli) -> None:
    """A snapshot that stands some events back is brought up to the head before it is compared."""
    with ledger_of(told) as root:
        root.drain((Placed("s1", (0,)),))
        root.allocate("later", 1, 1)
    with opened(told) as connection:
        (stands,) = connection.execute("SELECT seq FROM snapshot").fetchone()
    answer = document(run_cli, told, "rebuild")
    assert stands < answer["events"] == 8
    assert answer["matches"] is True


def test_a_broken_log_is_not_rebuilt(told: Path, run_cli: RunCli) -> None:
    """Where the log itself is broken a rebuild says so, exits 1 and changes nothing."""
    with unguarded(told) as connection:
        connection.execute("UPDATE events SET at = at + 1 WHERE seq = 3")
    done = run_cli("--ledger", told, "rebuild")
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1)
    assert "3" in done.stderr
    with opened(told) as connection:
        assert connection.execute("SELECT count(*) FROM holdings").fetchone() == (2,)
