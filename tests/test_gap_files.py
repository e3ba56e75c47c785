"""Ledger files with holes: every way to the state goes over a hole that an event names."""

from __future__ import annotations

from pathlib import Path

import pytest

import forging
from chosen_times import document
from conftest import RunCli
from gapping import punch
from gpuledger.handle import Ledger
from gpuledger.ledger.errors import BrokenChain
from gpuledger.replay.facts import Gap, Placed
from gpuledger.replay.hole import holes_of
from gpuledger.replay.past import load_past, replayed, state_at, states_at
from gpuledger.replay.piece import ServerPiece
from gpuledger.replay.state import State, replay
from small_pools import ADA, ROOT, ledger, pool

LOST = (4, 5)


@pytest.fixture
def torn(ledger_path: Path) -> Path:
    """Ada was granted a to f, and gave c back; the grants of c and d, events 4 and 5, are lost."""
    with ledger(ledger_path, actor=ADA) as ada:
        for name in ("a", "b", "c", "d", "e"):
            ada.allocate(name, 1, 1)
        ada.release("c")
        ada.allocate("f", 1, 1)
    punch(ledger_path, LOST)
    return ledger_path


def seen(state: State) -> dict[str, dict[str, int]]:
    """Who holds which GPU of which server."""
    return {
        piece.facts.name: {
            f"{card.index}{'?' * (card.index in piece.doubtful)}": holder
            for card, holder in zip(piece.facts.gpus, piece.holders, strict=True)
        }
        for piece in state.pieces.values()
        if isinstance(piece, ServerPiece)
    }


def test_what_ran_before_is_uncertain_and_what_came_after_is_not(torn: Path) -> None:
    """The holdings of before are kept and marked; an end of an unknown number is told of."""
    with Ledger(str(torn), actor=ADA) as ada:
        state = replay(ada.log.read(0), holes_of(ada.log))
    assert seen(state) == {
        "s0": {"0?": 2, "1?": 3, "2": 8, "3?": 0},
        "s1": {"0": 6, "1?": 0, "2?": 0, "3?": 0},
    }
    assert {one.id: (one.uncertain, one.sure is None) for one in state.allocations()} == {
        2: (4, False), 3: (4, False), 6: (None, True), 8: (None, True),
    }  # fmt: skip


def test_every_way_to_the_state_is_the_same(torn: Path) -> None:
    """Replayed, loaded, shown as of an instant, and made anew: one state, and rows that fit."""
    with Ledger(str(torn), actor=ADA) as ada:
        log, notices = ada.log, list[str]()
        whole = replay(log.read(0), holes_of(log)).pieces
        head = log.head()
        assert replayed(log, notices).state.pieces == whole
        assert load_past(log, notices).state.pieces == whole
        assert state_at(log, head.at, notices).pieces == whole
        assert states_at(log, 0, head.at, head.seq, notices)[1].pieces == whole
        ada.rebuild()
        assert load_past(log, notices).state.pieces == whole
        assert ada.rebuild().matches
        assert ada.verify().problems == ()


def test_writers_go_on_behind_a_gap(torn: Path) -> None:
    """What may be held is not given away, can be released, and the rest of the log is as ever."""
    with Ledger(str(torn), actor=ADA) as ada:
        given = ada.allocate("more", 3, 3)
        held = {(share.server, gpu) for share in given.servers for gpu in share.gpus}
        assert not held & {("s0", 0), ("s0", 1)}
        ada.release("a", "b")
        ada.allocate("next", 2)
        assert ada.verify().problems == ()
        assert ada.rebuild().matches
    with Ledger(str(torn), actor=ADA) as ada:
        assert ada.verify().ok


def test_verify_names_the_gap_and_finds_nothing_wrong(torn: Path, run_cli: RunCli) -> None:
    """A gap that the ledger tells of is no problem, and is said."""
    done = run_cli("--ledger", torn, "audit", "verify")
    assert done.returncode == 0
    assert done.stdout.splitlines()[0] == "2 events are lost: seq 4 to 5"
    told = document(run_cli, torn, "audit", "verify")
    assert (told["ok"], told["gaps"]) == (True, [{"first": 4, "last": 5}])


def test_a_hole_that_nothing_names_is_a_problem(torn: Path, run_cli: RunCli) -> None:
    """As ever: writers refuse such a log, and verify names the first that is missing."""
    with forging.unguarded(torn) as connection:
        connection.execute("DELETE FROM events WHERE kind = 'gap.recorded'")
    told = document(run_cli, torn, "audit", "verify", code=1)
    assert told["problems"][0]["sentence"] == "seq 4 and all up to 5 are missing"
    with Ledger(str(torn), actor=ADA) as ada, pytest.raises(BrokenChain):
        ada.allocate("x", 1)


@pytest.mark.parametrize("side", ["before", "after", "last"])
def test_a_gap_that_does_not_fit_is_a_problem(torn: Path, side: str) -> None:
    """Both hashes and both ends must be those of the hole."""
    row = forging.rows(torn)[-1]
    hole = next(iter(holes_of(Ledger(str(torn)).log)(0)))
    wrong = {"before": "0" * 64, "after": "0" * 64, "last": 6}[side]
    gap = {"first": 4, "last": 5, "before": hole.before.hex(), "after": hole.after.hex()}
    Gap(**{**gap, side: wrong})  # type: ignore[arg-type]
    data = forging.spelled({**forging.json.loads(row.data), "gaps": [{**gap, side: wrong}]})
    with forging.unguarded(torn) as connection:
        connection.execute(
            "UPDATE events SET data = ?, hash = ? WHERE seq = ?",
            (data, row._replace(data=data).hashed().hash, row.seq),
        )
    with Ledger(str(torn), actor=ADA) as ada:
        assert {one.what for one in ada.verify().problems} >= {
            {"before": "gap", "after": "prev", "last": "missing"}[side]
        }
        with pytest.raises(BrokenChain):
            ada.allocate("x", 1)


def test_an_expected_head_that_is_lost(torn: Path, run_cli: RunCli) -> None:
    """The hash at a gap's end is known; of the others nobody can tell."""
    last = next(iter(holes_of(Ledger(str(torn)).log)(0))).after.hex()
    assert run_cli("--ledger", torn, "audit", "verify", "--expect", f"5:{last}").returncode == 0
    done = run_cli("--ledger", torn, "audit", "verify", "--expect", f"4:{last}")
    assert done.returncode == 1
    assert "seq 4 is lost, so nobody can tell" in done.stdout


def test_the_first_event_may_be_lost(ledger_path: Path, run_cli: RunCli) -> None:
    """The pool is what the rest tells of it, and can be said anew; the id is in the gap's event."""
    with ledger(ledger_path, actor=ADA) as ada:
        born = ada.ledger_id()
        ada.allocate("a", 2, 4)
        ada.allocate("b", 1, 1, on=(Placed("s1", (3,)),))
        ada.release("a")
    punch(ledger_path, (1,), born)
    with Ledger(str(ledger_path), actor=ROOT) as root:
        assert root.ledger_id() == born
        assert root.verify().problems == ()
        state = root.state()
        assert [(one.facts.name, one.facts.cpus) for one in state.servers()] == [
            ("s0", 4), ("s1", 1),
        ]  # fmt: skip
        assert {one.facts.name: one.holders for one in state.servers()} == {
            "s0": (0, 0), "s1": (3,),
        }  # fmt: skip
        root.pool_apply(pool())
        assert [len(one.holders) for one in root.state().servers()] == [4, 4]
        root.allocate("c", 4)
        assert root.verify().ok
        assert root.rebuild().matches
    for words in (("status",), ("list",), ("history",), ("audit", "usage"), ("export",)):
        assert run_cli("--ledger", ledger_path, *words).returncode == 0


def test_the_first_event_is_lost_besides(torn: Path, run_cli: RunCli) -> None:
    """Where no event names that, it is told like any other loss, with salvage as the next step."""
    with forging.unguarded(torn) as connection:
        connection.execute("DELETE FROM events WHERE seq = 1")
        connection.execute("DELETE FROM snapshot")
    with Ledger(str(torn), actor=ADA) as ada:
        assert (1, "missing") in [(one.seq, one.what) for one in ada.verify().problems]
        with pytest.raises(BrokenChain, match="no event makes the pool"):
            ada.state()
    done = run_cli("--ledger", torn, "audit", "verify")
    assert done.returncode == 1
    assert "gpuledger salvage" in done.stdout
