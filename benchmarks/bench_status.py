"""Status: loading the state from its snapshot, beside fetching the snapshot's rows."""

from __future__ import annotations

from pathlib import Path

import pytest

import floors
import sample_ledgers as ledgers
from figure import Compare


@pytest.mark.parametrize("servers", [4, 121, 1_250])
def test_state_now(servers: int, tmp_path: Path, small: bool, compare: Compare) -> None:
    """The state of a pool of which half is held, every row checked, in an open ledger."""
    path = tmp_path / "held.db"
    count = min(servers, 121) if small else servers
    with ledgers.half_held(path, count) as ledger:
        bare = floors.read_only(path)
        compare(
            f"state at {count:,} servers, half held",
            lambda: ledger.state,
            lambda: lambda: floors.pieces(bare),
            against="bare SELECT of the pieces",
            rounds=60 if servers < 1_000 else 20,
        )
        bare.close()
