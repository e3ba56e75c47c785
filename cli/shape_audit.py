"""The JSON documents of history, the audits, rebuild and import, each made in one place.

Pure functions from records to documents. Times are ISO 8601 UTC with microseconds; sums
of time are seconds, integers where they are whole.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..replay.spent import SECOND_US
from . import gapwords
from .output import plain
from .sentence_problem import problem_sentence
from .shape import Document, server_facts, shares
from .timetext import utc_text

if TYPE_CHECKING:
    from ..ledger.event import Head
    from ..replay.episode import Episode
    from ..replay.facts import Place
    from ..replay.history import Spell
    from ..replay.holding import Holding
    from ..replay.importing import Imported
    from ..replay.interval import Window
    from ..replay.piece import AllocationPiece
    from ..replay.problem import Problem
    from ..replay.rebuilding import Rebuilt
    from ..replay.transition import Transition
    from ..replay.usage import Usage, UsageRow
    from ..replay.verification import Verified


def seconds(us: int) -> int | float:
    """Microseconds as seconds: an integer where they are whole, else the nearest double."""
    whole, rest = divmod(us, SECOND_US)
    return round(us / SECOND_US, 6) if rest else whole


def seconds_text(us: int) -> str:
    """The same as text, exact however great the sum."""
    whole, rest = divmod(us, SECOND_US)
    return f"{whole}.{rest:06d}" if rest else str(whole)


def head(at: Head) -> Document:
    """The head that a report was made from, its hash whole."""
    return {"seq": at.seq, "hash": at.hash.hex()}


def window(stretch: Window) -> Document:
    """A window, half open."""
    return {"from": utc_text(stretch.from_us), "to": utc_text(stretch.to_us)}


def state_of(spell: Spell) -> str:
    """`running` or `ended`."""
    return "running" if spell.end is None else "ended"


def elapsed_us(spell: Spell, now_us: int) -> int:
    """How long an allocation has run, microseconds; up to `now_us` while it runs."""
    return max(0, (now_us if spell.end is None else spell.end) - spell.start)


def history(stretch: Window, spells: Iterable[Spell], now_us: int) -> Document:
    """`history`: the allocations that share an instant with the window."""
    return {
        "window": window(stretch),
        "allocations": [
            {
                "allocation": spell.allocation,
                "task": spell.task,
                "user": spell.user,
                "project": spell.project,
                "servers": shares(spell.servers),
                "start": utc_text(spell.start),
                "end": None if spell.end is None else utc_text(spell.end),
                "elapsed_s": seconds(elapsed_us(spell, now_us)),
                "state": state_of(spell),
                "reason": spell.reason,
                "cause": spell.cause,
                "note": spell.note,
                **gapwords.document(spell.uncertain, spell.sure),
            }
            for spell in spells
        ],
    }


def who(stretch: Window, held: Iterable[tuple[int, Holding]], at: Head, now_us: int) -> Document:
    """`audit who`: each GPU's intervals, clipped to the window; `end` null where it is held on."""
    return {
        "window": window(stretch),
        "intervals": [_interval(stretch, gpu, holding, now_us) for gpu, holding in held],
        "head": head(at),
    }


def clipped(stretch: Window, holding: Holding, now_us: int) -> tuple[int, int | None]:
    """Start and end of a holding inside a window; None where it is held now and the window ends so.

    A window that ended before now clips what is still held like anything else, so that the same
    question has the same answer later.
    """
    start, end = stretch.clip(holding.start, holding.end)
    return start, None if holding.end is None and stretch.to_us >= now_us else end


def _interval(stretch: Window, gpu: int, holding: Holding, now_us: int) -> Document:
    start, end = clipped(stretch, holding, now_us)
    return {
        "server": holding.server,
        "gpu": gpu,
        "uuid": holding.uuid(gpu),
        "allocation": holding.allocation,
        "task": holding.task,
        "user": holding.user,
        "project": holding.project,
        "start": utc_text(start),
        "end": None if end is None else utc_text(end),
        **gapwords.document(holding.uncertain, holding.sure),
    }


def usage(used: Usage, at: Head) -> Document:
    """`audit usage`: a key for each dimension, sums in seconds, and what there was to use."""
    return {
        "window": window(used.window),
        "by": list(used.by),
        "rows": [
            {
                **dict(zip(used.by, row.values, strict=True)),
                "allocations": row.allocations,
                "gpu_seconds": seconds(row.gpu_us),
                "cpu_seconds": seconds(row.cpu_us),
                "uncertain_gpu_seconds": seconds(row.unsure_us),
                **({"limits": _limits(row)} if row.limits else {}),
            }
            for row in used.rows
        ],
        "totals": {
            "allocations": used.allocations,
            "gpu_seconds": seconds(used.gpu_us),
            "cpu_seconds": seconds(used.cpu_us),
            "capacity_gpu_seconds": seconds(used.capacity_us),
            "drained_gpu_seconds": seconds(used.drained_us),
            "held_share": used.held_share,
            "uncertain_gpu_seconds": seconds(used.unsure_us),
        },
        "head": head(at),
    }


def _limits(row: UsageRow) -> Document:
    """What is used of what is allowed, where that is limited."""
    return {
        one.what: {"used": one.used, "allowed": one.allowed}
        if one.window is None
        else {"used_s": one.used, "allowed_s": one.allowed, "window_s": one.window}
        for one in row.limits
    }


def refusals(stretch: Window, episodes: Iterable[Episode], at: Head) -> Document:
    """`audit refusals`: unmet demand in episodes; `granted` the allocation that ended one."""
    return {
        "window": window(stretch),
        "episodes": [
            {
                "user": one.user,
                "act": one.act,
                "asked": asked(one),
                "reason": one.reason,
                "first": utc_text(one.first),
                "last": utc_text(one.last),
                "times": one.times,
                "granted": one.granted,
            }
            for one in episodes
        ],
        "head": head(at),
    }


def asked(episode: Episode) -> Document | None:
    """What was asked for, every field of it; None for what has no more to it than its name."""
    request = episode.asked or episode.asked_release or episode.asked_change or episode.asked_extend
    if request is None:
        return None
    fields: Document = plain(request)
    return fields


def diff(from_us: int, to_us: int, change: Transition, at: Head) -> Document:
    """`audit diff`: what changed from one instant to another."""
    return {
        "from": utc_text(from_us),
        "to": utc_text(to_us),
        "servers": {
            "added": [server_facts(server) for server in change.added],
            "changed": [server_facts(server) for server in change.changed],
            "removed": list(change.removed),
        },
        "started": [_piece(piece) for piece in change.started],
        "ended": [
            {**_piece(piece), "uncertain": piece.id in change.unsure} for piece in change.ended
        ],
        "drained": [_place(place) for place in change.drained],
        "resumed": [_place(place) for place in change.resumed],
        "head": head(at),
    }


def _piece(piece: AllocationPiece) -> Document:
    return {
        "allocation": piece.id,
        "task": piece.task,
        "user": piece.user,
        "project": piece.project,
        "servers": shares(piece.servers),
        "start": utc_text(piece.start),
    }


def _place(place: Place) -> Document:
    return {"server": place.server, "gpus": list(place.gpus)}


def verify(outcome: Verified) -> Document:
    """`audit verify`: each problem with its seq, null where it belongs to none."""
    return {
        "ok": outcome.ok,
        "anchored": outcome.anchored,
        "events": outcome.events,
        "head": {"seq": outcome.seq, "hash": outcome.hash.hex()},
        "problems": [problem(one) for one in outcome.problems],
        "gaps": [{"first": gap.first, "last": gap.last} for gap in outcome.gaps],
    }


def problem(found: Problem) -> Document:
    """A problem: its code and detail for programs, its sentence for people."""
    return {
        "seq": found.seq,
        "problem": found.what,
        "detail": found.detail,
        "sentence": problem_sentence(found),
    }


def imported(outcome: Imported) -> Document:
    """`import`: the counts, and every row that became no grant with its line and why."""
    rows = [("refused", row) for row in outcome.refused]
    rows += [("unusable", row) for row in outcome.unusable]
    return {
        "seq": outcome.seq,
        "changes": {
            "rows": outcome.rows,
            "granted": outcome.granted,
            "released": outcome.released,
            "refused": len(outcome.refused),
            "skipped": outcome.skipped,
            "unusable": len(outcome.unusable),
            "still_held": outcome.still_held,
            "not_granted": [
                {"line": row.line, "job": row.job, "outcome": what, "why": row.why}
                for what, row in sorted(rows, key=lambda pair: pair[1].line)
            ],
        },
    }


def rebuild(outcome: Rebuilt, seconds: float) -> Document:
    """`rebuild`: `matches` is null where there was no snapshot to compare with."""
    return {
        "events": outcome.events,
        "state_hash": outcome.state_hash.hex(),
        "matches": outcome.matches,
        "snapshots_dropped": outcome.dropped,
        "seconds": seconds,
    }
