"""A problem that a verification found, as a value."""

from __future__ import annotations

from .facts import Record

PROBLEMS = frozenset(
    "unreadable missing gap index schema foreign type number canonical hash prev at"
    " broken_chain unknown_event void double invariant snapshot piece holdings capacity tail note"
    " tree truncated rewritten other_ledger signature unprovable fork cut expected lost".split()
)
"""Whatever can be found, each by its word; `cli/sentence_problem.py` says what it means."""


class Problem(Record, frozen=True):
    """What was found: the seq where it was, a word of `PROBLEMS`, and a detail."""

    seq: int | None
    what: str
    detail: str = ""
