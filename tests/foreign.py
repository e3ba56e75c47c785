"""The verifier that shares no code with the program, run and read: `docs/verify_ledger.py`."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from gpuledger.replay.state import State

SCRIPT = Path(__file__).resolve().parent.parent / "docs" / "verify_ledger.py"


def foreign(path: Path, instants: list[int] | None = None) -> tuple[int, dict[str, Any]]:
    """Exit code and document of the script, run without site-packages."""
    words = [str(path), *map(str, instants or [])]
    done = subprocess.run(
        [sys.executable, "-I", "-S", SCRIPT, *words],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)


def script() -> ModuleType:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("verify_ledger", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def holders(state: State) -> dict[str, int]:
    """Who holds which GPU, by the program's own state."""
    return {
        f"{one.facts.name}:{card.index}": number
        for one in (state.servers() if state.pieces else ())
        for card, number in zip(one.facts.gpus, one.holders, strict=True)
        if number
    }


def named(wrong: list[str]) -> set[int]:
    """The seqs that the script found something wrong with."""
    return {int(sentence.partition(":")[0]) for sentence in wrong}
