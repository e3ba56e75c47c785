"""What a verification found, said in a sentence that names where it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..replay.problem import Problem
from .printable import printable
from .words import _, stretch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..replay.gap import Hole

EVENT = {
    "unreadable": _("seq {seq} cannot be read from the file"),
    "missing": _("seq {seq} is missing"),
    "gap": _("the gap from seq {seq} {detail} does not fit the event before it"),
    "type": _("seq {seq} has a value of the wrong type in one of its columns"),
    "canonical": _("seq {seq} holds data that is not canonical JSON"),
    "hash": _("seq {seq} does not have the hash of what it says"),
    "prev": _("seq {seq} does not link to the event before it"),
    "at": _("seq {seq} tells a time before that of the event before it"),
    "number": _("seq {seq} holds a number beyond 2^53 - 1, in its seq, time or version"),
    "double": _("seq {seq} grants a GPU that was held"),
    "broken_chain": _("seq {seq} holds data that is not what its kind says"),
    "unknown_event": _("seq {seq} is of a kind or version that this release does not know"),
    "void": _("seq {seq} has no effect: it {detail}"),
    "index": _("seq {seq} is not found by its {detail}, as if the index had been changed"),
    "tail": _("seq {seq} is missing: the lock file knows of {detail}"),
    "note": _("the lock file tells another head at seq {seq}: {detail}"),
    "foreign": _("seq {seq} is not the ledger's: seqs begin at 1"),
    "truncated": _("seq {seq} and what follows is missing: the checkpoint has {detail} events"),
    "rewritten": _(
        "the log was rewritten at or before seq {seq}: it is not what the checkpoint was made from"
    ),
    "unprovable": _("a gap begins at seq {seq}: whether the log extends the checkpoint is unknown"),
    "cut": _("seq {seq} was expected, the log ends at seq {detail}"),
    "expected": _("seq {seq} does not have the hash {detail} that was expected there"),
    "lost": _("seq {seq} is lost, so nobody can tell whether it had the hash {detail}"),
}
"""Sentences about one event, by what was found."""

FILE = {
    "schema": _("the file's {detail} is missing or was changed"),
    "foreign": _("the file's {detail} is not the ledger's"),
    "invariant": _("the state contradicts itself: {detail}"),
    "snapshot": _("the snapshot does not fit the log: {detail}"),
    "piece": _("the snapshot's piece {detail}"),
    "holdings": _("the holdings do not fit the log: {detail}"),
    "capacity": _("the capacities do not fit the log: {detail}"),
    "tree": _("the tree's stored hashes do not fit the log: {detail}"),
    "other_ledger": _("the checkpoint is of another ledger, {detail}"),
    "signature": _("the checkpoint is not signed by that key: {detail}"),
    "fork": _("two checkpoints of {detail} tell different pasts: a fork"),
    "note": _("the note of the head in the lock file is wrong: {detail}"),
}
"""Sentences about the file, where no single event is meant."""

MENDED_BY_REBUILD = frozenset({"snapshot", "piece", "holdings", "capacity", "tree"})
"""What is found in the stores alone, which `rebuild` makes anew."""


NOT_THE_LEDGER = frozenset({"signature", "other_ledger"})
"""What is found in the checkpoints that were given, and says nothing of the ledger."""

HARMED = frozenset(
    "unreadable missing type number hash prev broken_chain index tail schema".split()
)
"""What damage to the file does, of which salvage makes one that is whole."""


def problem_sentence(problem: Problem) -> str:
    """One whole sentence about a problem, without a full stop."""
    detail = printable(problem.detail)
    if problem.what == "missing" and detail:
        return _("seq {seq} and all {detail} are missing").format(seq=problem.seq, detail=detail)
    told = FILE.get(problem.what) if problem.seq is None else EVENT.get(problem.what)
    if told is None:
        where = _("the file") if problem.seq is None else f"seq {problem.seq}"
        return f"{where}: {' '.join(filter(None, (problem.what, detail)))}"
    return told.format(seq=problem.seq, detail=detail)


def gaps_sentence(gaps: Sequence[Hole]) -> str:
    """Which events are lost for good, as the ledger itself tells."""
    lost = sum(gap.last - gap.first + 1 for gap in gaps)
    told = _("{count} event is lost: seq {where}", "{count} events are lost: seq {where}", lost)
    return told.format(count=lost, where=", ".join(stretch(gap.first, gap.last) for gap in gaps))


def next_step(problems: tuple[Problem, ...]) -> str:
    """What to do: rebuild where only the stores are wrong, else keep the evidence."""
    if all(problem.what in MENDED_BY_REBUILD for problem in problems):
        return _("gpuledger rebuild makes them anew from the log")
    if all(problem.what in NOT_THE_LEDGER for problem in problems):
        return _("see that checkpoint, key and ledger belong together")
    if any(problem.what in HARMED for problem in problems):
        return _("gpuledger salvage gets back what can be had; let nothing write to it before")
    return _("put the ledger, its -wal and its lock file aside together before anything writes")
