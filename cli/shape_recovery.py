"""The JSON documents of backup and restore."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .shape import Document
from .shape_audit import head, problem
from .timetext import utc_text

if TYPE_CHECKING:
    from ..recovery import BackedUp, Restored


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
