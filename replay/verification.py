"""Verification: everything recomputed, nothing believed.

Encoder, hashes, tree and the count of who holds what are the verifier's own, on the standard
library. What the events amount to it computes with the writer's fold, which
`docs/verify_ledger.py` is held against. Problems are values, so one bad record never hides
the rest. It reads in runs up to a fixed head.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from ..ledger.errors import BrokenChain, UnknownEvent
from ..ledger.event import Event
from ..ledger.format import OURS
from ..ledger.note import Note, Unreadable
from ..ledger.schema_row import foreign_in, rows_of
from .checked_ahead import Run, Runs, Second, nobody
from .checked_gaps import NamedGaps
from .checked_reading import Checked, Raw, Row, before_the_first, last_seq, run
from .checked_rows import ChainCheck
from .checked_stores import StoreCheck
from .checked_tree import Anchor, TreeCheck
from .fold import VOID, fold
from .gap import Hole, lose
from .invariants import broken
from .piece import Piece
from .problem import Problem

if TYPE_CHECKING:
    import sqlite3


class Verified(msgspec.Struct, frozen=True):
    """The outcome: problems by where they were found, and the head that was checked.

    `anchored` tells that an expected head was given and found, `gaps` which events are lost
    for good, as the log itself names them: no problem, but to be told.
    """

    events: int
    seq: int
    hash: bytes
    problems: tuple[Problem, ...]
    anchored: bool = False
    gaps: tuple[Hole, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing at all was found."""
        return not self.problems


def verify(
    log: Checked,
    note: Note | Unreadable | None,
    expect: tuple[int, str] | None = None,
    anchors: Iterable[Anchor] = (),
    second: Second = nobody,
) -> Verified:
    """Check chain, invariants, snapshots, projections and the note of the head.

    `note` was read before anything of the log, so that it cannot lead a log that grows.

    `expect` is a seq and 16 or more hex digits of the hash that it must have, `anchors` are
    checkpoints whose trees the log's must extend. `second` begins a process that helps.
    Returns every problem found; raises only where the file cannot be read at all.
    """
    named = NamedGaps(log)
    asked = {note.seq} if isinstance(note, Note) else set[int]()
    chain = ChainCheck(named, asked if expect is None else {*asked, expect[0]})
    replaying = _Replaying(log, chain.problems)
    tree = TreeCheck(log, anchors, chain.problems)
    chain.problems += log.reading(schema_problems)
    head = named.head = log.reading(last_seq)
    chain.problems += before_the_first(log)
    with second(head) as ahead:
        replaying.stores.check_tables()
        runs, walk = Runs(log, head, chain, ahead), _Walk(chain, tree, replaying, named)
        after = 0
        while after < head:
            whole = runs.next(after)
            if whole is None:
                rows, after = run(log, after, head, chain.problems)
                walk.row_by_row(rows)
            else:
                after = chain.seq
                voids = walk.at_once(whole)
                if voids:
                    runs.alone(after, voids)
    chain.finish(max(head, 1))
    replaying.finish()
    chain.check_note(note)
    extends = tree.finish(chain.book.ledger)
    anchored = chain.check_expected(expect) or extends
    chain.problems.sort(key=lambda problem: (problem.seq is None, problem.seq or 0))
    return Verified(
        chain.count, chain.seq, chain.hash, tuple(dict.fromkeys(chain.problems)), anchored,
        tuple(chain.gaps),
    )  # fmt: skip


def schema_problems(conn: sqlite3.Connection) -> list[Problem]:
    """Triggers, the table and its index that are missing or changed, and what is foreign there."""
    rows = rows_of(conn)
    there = {(row.kind, row.name) for row in rows if row.ours}
    missing = [one for one in OURS if one not in there]
    foreign = [
        f"{row.kind_told} {row.name}"
        for row in foreign_in(conn, rows)
        if (row.kind, row.name) not in missing
    ]
    problems = [Problem(None, "schema", f"{kind} {name}") for kind, name in missing]
    return problems + [Problem(None, "foreign", one) for one in foreign]


class _Walk(NamedTuple):
    """What goes along the rows: each sees every one of them, in order."""

    chain: ChainCheck
    tree: TreeCheck
    replaying: _Replaying
    named: NamedGaps

    def at_once(self, found: Run) -> list[int]:
        """Follow rows that are known to be sound; returns the seqs of the void events."""
        rows = found.rows
        self.tree.follow_run([row[8] for row in rows], found.tiles)
        voids = self.replaying.follow_run(rows)
        if found.values is not None:
            self.chain.book.take_run(rows, found.values, voids)
        return voids

    def row_by_row(self, rows: Sequence[Row]) -> None:
        """Follow rows with which something may be wrong, or before which some are lost."""
        for row in rows:
            data = self.chain.check(row)
            self.tree.follow(self.chain.hash, self.chain.crossed, self.named.known)
            event = _event(row)
            void = self.replaying.follow(event, self.chain.crossed)
            self.chain.book.take(row.seq, event.kind, data, void=void)


class _Replaying:
    """Folds the rows that can be folded, and holds stores and invariants against the outcome."""

    def __init__(self, log: Checked, problems: list[Problem]) -> None:
        self._problems = problems
        self.stores = StoreCheck(log, problems)
        self._pieces: dict[str, Piece] = {}
        self._at = 0
        self._stopped = False

    def follow(self, event: Event, hole: Hole | None) -> bool:
        """Fold one event, and the hole before it where there is one, and say whether it is void.

        What cannot be decoded stops the folding, never the check of the chain.
        """
        if self._stopped:
            return False
        try:
            if hole is not None:
                lose(self._pieces, hole, self._at, event.at)
            effects = fold(self._pieces, event)
        except (BrokenChain, UnknownEvent) as error:
            why = getattr(error, "why", str(event.seq))
            return self._stop(Problem(event.seq, error.code, why))
        except TypeError:
            return self._stop(Problem(event.seq, "broken_chain", "a column of the wrong type"))
        if effects.void is not None:
            self._problems.append(Problem(event.seq, "void", VOID[effects.void]))
        self._at = event.at
        self.stores.follow(event, self._pieces, effects)
        return effects.void is not None

    def follow_run(self, rows: Sequence[Raw]) -> list[int]:
        """Fold sound rows with no gap before any; returns the seqs of the void ones."""
        follow = self.follow
        return [
            seq
            for seq, at, kind, version, actor, key, data, prev, own in rows
            if follow(Event(seq, at, kind, version, actor, key, data.encode(), prev, own), None)
        ]

    def _stop(self, problem: Problem) -> bool:
        self._problems.append(problem)
        self._stopped = True
        self.stores.catch_up()
        return False

    def finish(self) -> None:
        """Check the invariants of the last state, and that nothing is stored beyond it."""
        if self._stopped:
            return
        self._problems += broken(self._pieces)
        self.stores.finish()


def _event(row: Row) -> Event:
    """The row as an event. What is no UTF-8 is folded as well as it can be: its hash tells."""
    seq, at, kind, version, actor, key, data, prev, own = msgspec.structs.astuple(row)
    return Event(seq, at, _text(kind), version, _text(actor), _text(key), data, prev, own)


def _text(column: Any) -> Any:  # noqa: ANN401 - a damaged file may hold any type anywhere
    return column.decode("utf-8", "replace") if isinstance(column, bytes) else column
