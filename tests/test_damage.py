"""Whatever happens to a ledger's bytes is found by `audit verify`, or provably harmless.

Single bytes and whole pages of the file (its snapshots with it) and of its -wal: nothing
crashes, nothing takes more than five seconds of a processor, and no reader is told what is not so
without a word of warning.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from damage import Files, Harm, Truth, flipped, harmed, judged, lively_files, overwritten

Record = Callable[[str, object], None]
TIMES = {flipped: 20_000, overwritten: 2_000}
SHARES = 4
"""So many parts of a campaign, for as many processors."""


@pytest.fixture(scope="module")
def size(full: bool) -> int:
    """How many events the ledger has."""
    return 5_000 if full else 400


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, size: int, rng_seed: int) -> tuple[Files, Truth]:
    """A lively ledger that was open when the machine went down."""
    path = tmp_path_factory.mktemp("told") / "ledger.db"
    return lively_files(path, rng_seed, size, size // 20)


@pytest.fixture
def judge(told: tuple[Files, Truth], tmp_path: Path) -> Callable[[Harm, Random], str]:
    """Harms a copy, and says what came of it."""
    files, truth = told
    return lambda harm, random: judged(harmed(files, harm, random), tmp_path, truth)


@pytest.mark.needs("linux")
@pytest.mark.parametrize("share", range(SHARES))
@pytest.mark.parametrize("harm", [flipped, overwritten])
def test_damage_is_found_or_harmless(
    harm: Harm,
    share: int,
    judge: Callable[[Harm, Random], str],
    request: pytest.FixtureRequest,
    record_property: Record,
) -> None:
    """Each case in a process of its own."""
    random = Random(request.getfixturevalue("rng_seed") * SHARES + share)
    times = TIMES[harm] // SHARES if request.getfixturevalue("full") else 15
    verdicts = Counter(judge(harm, random) for _ in range(times))
    record_property("verdicts", dict(verdicts))
    assert set(verdicts) <= {"found", "harmless"}, verdicts
