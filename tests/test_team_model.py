"""Invariant 3 and the line: whatever a team does, in any order, is answered as a page of it says.

The page is `team_model.py`, plain dictionaries where everything is found by trying.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from team_machine import Team

PARTS = 8
EXAMPLES = 20_000


@pytest.mark.parametrize("part", range(PARTS))
def test_whatever_a_team_does(part: int, full: bool, rng_seed: int) -> None:
    """Grants, refusals, the line, leases, limits, ends: each as the model has it, at every step."""
    machine = seed(rng_seed * PARTS + part)(type("Team", (Team,), {}))
    chosen = settings(
        max_examples=EXAMPLES // PARTS if full else 25,
        stateful_step_count=20,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine, settings=chosen)
