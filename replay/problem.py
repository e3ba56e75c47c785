"""A problem that a verification found, as a value."""

from __future__ import annotations

from .facts import Record

PROBLEMS = {
    "unreadable": "the row cannot be read",
    "missing": "the event is missing",
    "gap": "the gap that an event names does not fit what is before it",
    "index": "the row is not found by its index",
    "schema": "a part of the schema is missing or changed",
    "foreign": "something in the file is not the ledger's",
    "type": "a column has a value of the wrong type",
    "canonical": "the data is not canonical JSON",
    "hash": "the hash does not fit the event",
    "prev": "the link does not fit the event before",
    "at": "the time is before that of the event before",
    "broken_chain": "the data is not what its kind says",
    "unknown_event": "the kind or version is not known to this release",
    "void": "the event is physically impossible",
    "double": "the grant takes what is held, by an independent count",
    "invariant": "the state contradicts itself",
    "snapshot": "the snapshot's header does not fit the log",
    "piece": "a piece of the snapshot does not fit the log",
    "holdings": "a row of the holdings does not fit the log",
    "capacity": "a row of the capacities does not fit the log",
    "tail": "the note in the lock file knows later events",
    "note": "the note in the lock file does not fit",
    "tree": "a row of the tree does not fit the log",
    "truncated": "the log ends before the checkpoint",
    "rewritten": "the log is not what the checkpoint was made from",
    "other_ledger": "the checkpoint is another ledger's",
    "signature": "the checkpoint is not signed by the key that was named",
    "unprovable": "a gap lies between the checkpoint and the log",
    "fork": "two checkpoints of one log tell different pasts",
    "cut": "the log ends before the expected head",
    "expected": "the expected head is not in the log",
    "lost": "the expected head is one of the events that are lost: nobody can tell",
}


class Problem(Record, frozen=True):
    """What was found: the seq where it was, a key of `PROBLEMS`, and a detail."""

    seq: int | None
    what: str
    detail: str = ""
