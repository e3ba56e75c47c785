"""A text that became a blob of the same bytes is damage, though its hash still fits."""

from __future__ import annotations

from pathlib import Path

import pytest

from forging import reshape, unguarded
from gpuledger.handle import Ledger
from small_pools import ADA, ledger


@pytest.mark.parametrize("column", ["kind", "actor", "key", "data"])
def test_a_text_that_is_a_blob_is_named(ledger_path: Path, column: str) -> None:
    """A verification names the row, whichever column it is."""
    with ledger(ledger_path, actor=ADA) as ada:
        ada.allocate("t", 1, 1, key="k")
        ada.allocate("u", 1, 1)
    reshape(ledger_path, "replace(sql, ') STRICT', ')')")
    with unguarded(ledger_path) as connection:
        connection.execute(f"UPDATE events SET {column} = CAST({column} AS BLOB) WHERE seq = 2")
    reshape(ledger_path, "sql || ' STRICT'")
    with Ledger(str(ledger_path)) as reader:
        found = [(one.seq, one.what) for one in reader.verify().problems]
    assert (2, "type") in found
