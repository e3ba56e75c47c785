"""The JSON documents of backup, restore and salvage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .shape import Document
from .shape_audit import head, problem
from .timetext import utc_text

if TYPE_CHECKING:
    from ..recovery import BackedUp, Restored
    from ..salvaging import Salvaged


def backup(made: BackedUp) -> Document:
    """`backup`: the file, how many events it holds, its head, and what is wrong in it."""
    return {
        "path": made.path,
        "events": made.events,
        "head": head(made.head),
        "problems": [problem(one) for one in made.problems],
    }


def restored(made: Restored) -> Document:
    """`restore`: where the history ends, what is not in it, and where the old file lies."""
    return {
        "path": made.path,
        "ledger": made.ledger,
        "restored": {**head(made.restored), "at": utc_text(made.restored.at)},
        "head": head(made.head),
        "drained": made.drained.event.seq,
        "sources": [
            {
                "path": source.path,
                "kind": source.kind,
                "events": source.events,
                "skipped": source.skipped,
                "cut": source.cut,
            }
            for source in made.sources
        ],
        "aside": made.aside,
        "lost": None if made.lost is None else {"first": made.lost[0], "last": made.lost[1]},
        "differs": made.differs,
        "forks": [
            {
                "seq": fork.seq,
                "taken": fork.taken.hex(),
                "left": fork.left.hex(),
                "upto": fork.upto,
            }
            for fork in made.forks
        ],
        "unlinked": made.unlinked,
        "beyond": made.beyond,
        "behind": [problem(one) for one in made.behind],
        "problems": [problem(one) for one in made.problems],
    }


def salvaged(made: Salvaged) -> Document:
    """`salvage`: what is in the new ledger, which seqs are lost, and what was left out."""
    return {
        "path": made.path,
        "ledger": made.ledger,
        "head": head(made.head),
        "recovered": made.recovered,
        "missing": made.missing,
        "lost": [
            {
                "first": hole.first,
                "last": hole.last,
                "from": None if hole.from_us is None else utc_text(hole.from_us),
                "to": None if hole.to_us is None else utc_text(hole.to_us),
            }
            for hole in made.lost
        ],
        "gap": made.gap,
        "sources": [
            {
                "path": one.path,
                "events": one.events,
                "alone": one.alone,
                "skipped": one.skipped,
            }
            for one in made.helped
        ],
        "forked": [
            {"seq": event.seq, "hash": event.hash.hex(), "at": utc_text(event.at)}
            for event in made.forked
        ],
        "unfinished": made.unfinished,
        "head_known": made.noted,
        "unreadable_bytes": made.unreadable,
        "given_up": made.given_up,
        "problems": [problem(one) for one in made.problems],
    }
