"""What the gaps of a ledger leave open, in sentences, and the marks of it in tables and JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import tzinfo
from typing import TYPE_CHECKING, Any

from .table import Cell
from .timetext import local_text, utc_text
from .words import _, stretch

if TYPE_CHECKING:
    from ..replay.facts import Place
    from ..replay.interval import Window
    from ..replay.piece import Loss
    from ..replay.uncertainty import Uncertainty

SURE = "sure_until"
"""The column of a CSV file that only a ledger with a gap has, where something is uncertain."""

MOST = 6
"""So many are named, the others counted."""


def mark(text: str, uncertain: object) -> str:
    """A text with a question mark where a gap leaves open whether it is so."""
    return text if uncertain in (None, False) else f"{text}?"


def mark_cell(cell: Cell, uncertain: object) -> Cell:
    """The same of a cell."""
    brief = mark(cell.brief, uncertain) if cell.brief else ""
    return Cell(mark(cell.text, uncertain), cell.style, brief)


def document(uncertain: int | None, sure: int | None) -> dict[str, Any]:
    """The two keys of whatever may have ended in a gap; both null where it is certain."""
    return {"uncertain": uncertain, "sure_until": None if sure is None else utc_text(sure)}


def gaps(found: Uncertainty | None) -> list[dict[str, Any]]:
    """The gaps as JSON: the seqs, and the times between which they lay."""
    return [
        {
            "first": loss.first,
            "last": loss.last,
            "from": utc_text(loss.at),
            "until": utc_text(loss.until),
        }
        for loss in (found.losses if found is not None else ())
    ]


def sentences(found: Uncertainty, zone: tzinfo, window: Window | None) -> list[str]:
    """What to say below a report of now, or of a window that meets a gap."""
    if window is not None:
        met = [one for one in found.losses if window.meets(one.at, max(one.until, one.at + 1))]
        held = found.allocations and window.to_us > min(one.at for one in found.losses)
        shown = met or (found.losses if held else ())
        return [_lost(shown, zone)] if shown else []
    if not found.open:
        return []
    return [_lost(found.losses, zone), *_steps(found)]


def _lost(losses: Sequence[Loss], zone: tzinfo) -> str:
    count = sum(one.last - one.first + 1 for one in losses)
    where = ", ".join(stretch(one.first, one.last) for one in losses[:MOST])
    told = _(
        "{count} event is lost (seq {where}, {when}); what nobody can tell since is marked with ?",
        "{count} events are lost (seq {where}, {when}); "
        "what nobody can tell since is marked with ?",
        count,
    )
    between = _("between {start} and {end}")
    when = _("at or before {end}") if losses[0].first == 1 else between
    start, end = local_text(losses[0].at, zone), local_text(losses[-1].until, zone)
    return told.format(
        count=count, where=where + _more(losses), when=when.format(start=start, end=end)
    )


def _steps(found: Uncertainty) -> Iterable[str]:
    """What may be otherwise, and what somebody who knows better does."""
    if found.allocations:
        named = _ids(found.allocations)
        yield _(
            "{named} may have ended then; who knows that it has: "
            "gpuledger release {named} --force --reason TEXT"
        ).format(named=named)
    if found.requests:
        yield _(
            "{named} may have left the line then; who knows that it has: "
            "gpuledger cancel {named} --force --reason TEXT"
        ).format(named=_ids(found.requests))
    if found.unknown:
        yield _("{named} was granted then and runs; what it holds nobody can tell").format(
            named=_ids(found.unknown)
        )
    if found.free:
        places = " ".join(map(_place, found.free[:MOST])) + _more(found.free)
        yield _(
            "{places} may have been granted then; until somebody has looked: "
            "gpuledger drain {places}, and resume what is free"
        ).format(places=places)


def _ids(numbers: Sequence[int]) -> str:
    return " ".join(f"@{number}" for number in numbers[:MOST]) + _more(numbers)


def _place(place: Place) -> str:
    from .hostrange import place_text

    return place_text(place.server, place.gpus)


def _more(every: Sequence[object]) -> str:
    if len(every) <= MOST:
        return ""
    return " " + _("and {count} more").format(count=len(every) - MOST)
