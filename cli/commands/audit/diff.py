"""`gpuledger audit diff`: what changed between two instants."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

import click

from ....replay.errors import BadRequest
from ....replay.facts import Share
from ....replay.interval import Window
from ...gapwords import mark
from ...hostrange import fold
from ...instants import parse_instant
from ...options import define
from ...placing import place_text
from ...report import now_of, tell_head, tell_window
from ...session import Session
from ...shape_audit import diff
from ...table import Cell, Column, Table
from ...timetext import local_text, utc_text
from ...words import _

if TYPE_CHECKING:
    from ....replay.facts import Place, Server
    from ....replay.piece import AllocationPiece
    from ....replay.transition import Transition

EXAMPLES = """
gpuledger audit diff yesterday today
gpuledger audit diff 2026-03-01T00:00 now-2hours --json
"""
CSV = "change allocation task user project where start".split()
STYLES = {"server removed": "warn", "drained": "warn"}


@define("diff", examples=EXAMPLES, csv=True)
@click.argument("earlier", metavar="T1")
@click.argument("later", metavar="T2")
def command(session: Session, *, earlier: str, later: str) -> None:
    """What the state at T2 has and the state at T1 had not, and the other way round."""
    with session.ledger() as ledger:
        now_us = now_of(session, ledger)
        first, last = (
            parse_instant(text, now_us=now_us, zone=session.zone, field=name)
            for name, text in (("T1", earlier), ("T2", later))
        )
        if first > last:
            raise BadRequest(
                "T1", earlier, _("an instant that is not after {later}").format(later=later)
            )
        change, head = ledger.diff(first, last)
        session.notices(ledger, Window(first, last))
    if session.json:
        session.document(diff(first, last, change, head))
        return
    tell_window(session, Window(first, last))
    rows = [*_servers(change), *_allocations(session, change), *_places(change)]
    if rows or session.csv:
        session.table(_table(session, rows))
    else:
        session.say(_("nothing changed"))
    tell_head(session, head)


Line = tuple[str, str, str, str, str, str, str]


def _table(session: Session, rows: list[Line]) -> Table:
    if session.csv:
        return Table(tuple(map(Column, CSV)), rows)
    columns = (
        Column("change"),
        Column("id", right=True, hide_empty=True),
        Column("task", style="strong", shrink=2, hide_empty=True),
        Column("user", shrink=1, hide_empty=True),
        Column("project", shrink=2, drop=1, hide_empty=True),
        Column("where", shrink=3, least=16),
        Column("start", drop=2, hide_empty=True),
    )
    return Table(columns, [(Cell(row[0], STYLES.get(row[0], "")), *row[1:]) for row in rows])


def _servers(change: Transition) -> Iterator[Line]:
    for what, servers in (("server added", change.added), ("server changed", change.changed)):
        for where in _ranges(servers):
            yield (what, "", "", "", "", where, "")
    for name in change.removed:
        yield ("server removed", "", "", "", "", name, "")


def _ranges(servers: Sequence[Server]) -> Iterator[str]:
    """The servers with their GPUs, neighbours that are alike as one range."""
    for gpus, alike in groupby(servers, lambda one: tuple(card.index for card in one.gpus)):
        for names, _count in fold([server.name for server in alike]):
            yield place_text([Share(names, gpus, 0)])


def _allocations(session: Session, change: Transition) -> Iterator[Line]:
    for what, pieces in (("started", change.started), ("ended", change.ended)):
        for piece in pieces:
            yield _allocation(session, mark(what, piece.id in change.unsure), piece)


def _allocation(session: Session, what: str, piece: AllocationPiece) -> Line:
    start = utc_text(piece.start) if session.csv else local_text(piece.start, session.zone)
    number = str(piece.id) if session.csv else f"@{piece.id}"
    where = place_text(piece.servers)
    return (what, number, piece.task, piece.user, piece.project or "", where, start)


def _places(change: Transition) -> Iterator[Line]:
    for what, places in (("drained", change.drained), ("resumed", change.resumed)):
        for place in places:
            yield (what, "", "", "", "", _where(place), "")


def _where(place: Place) -> str:
    return place_text([Share(place.server, place.gpus, 0)])
