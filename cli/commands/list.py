"""`gpuledger list`: what runs now."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ...replay.facts import cpus_in
from ..gapwords import SURE, mark
from ..moment import moment
from ..options import completed, define
from ..placing import place_text
from ..selection import chosen
from ..session import Session
from ..shape import held_s, running, until_text
from ..table import Column, Row, Table, with_column
from ..timetext import held_text, utc_text
from ..usage import one_of
from ..words import _

if TYPE_CHECKING:
    from ...replay.piece import AllocationPiece

EXAMPLES = """
gpuledger list
gpuledger list --mine
gpuledger list gpu-server-[0-1] --user ada
gpuledger list --json
"""
COLUMNS = (
    Column("id", right=True, style="dim"),
    Column("task", style="strong", shrink=3, least=12),
    Column("user", shrink=2),
    Column("project", shrink=2, drop=2, hide_empty=True),
    Column("GPUs", shrink=4, least=16, fold=True),
    Column("CPUs", right=True),
    Column("since", style="dim", drop=3),
    Column("held for", right=True),
    Column("left", right=True, hide_empty=True),
)
CERTAIN = Column("certain until", style="warn")
"""Until when an allocation certainly ran that may have ended in a gap."""

CSV_COLUMNS = (
    "allocation",
    "task",
    "user",
    "project",
    "servers",
    "cpus",
    "start",
    "held_s",
    "until",
)


@define("list", examples=EXAMPLES, csv=True)
@click.argument("servers", nargs=-1, metavar="[SERVER...]", shell_complete=completed("servers"))
@click.option("--mine", is_flag=True, help="Your own alone.")
@click.option("--user", metavar="USER", help="Those of USER alone.")
def command(session: Session, *, servers: tuple[str, ...], mine: bool, user: str | None) -> None:
    """List what runs now, and on which GPUs; on SERVER alone, where one is named."""
    if mine and user is not None:
        raise one_of("--mine", "--user")
    with session.ledger() as ledger:
        state = ledger.state()
        session.notices(ledger)
        owner = ledger.actor.identity if mine else None
    names = {server.facts.name for server in chosen(state, servers)}
    pieces = [
        piece
        for piece in state.allocations()
        if owner in (None, piece.owner)
        and user in (None, piece.user)
        and (not servers or any(share.server in names for share in piece.servers))
    ]
    if session.json:
        session.document(running(state.seq, session.now_us, pieces))
    elif session.csv:
        rows = [_csv_row(piece, session.now_us) for piece in pieces]
        unsure = [utc_text(piece.sure) if piece.sure is not None else "" for piece in pieces]
        session.table(
            with_column(Table(tuple(map(Column, CSV_COLUMNS)), rows), Column(SURE), unsure)
        )
    elif pieces:
        table = Table(COLUMNS, [_row(session, piece) for piece in pieces])
        sure = [moment(piece.sure, session.zone) for piece in pieces]
        session.table(with_column(table, CERTAIN, sure))
    else:
        session.notice(_("nothing of that runs") if mine or user or servers else _("nothing runs"))


def _row(session: Session, piece: AllocationPiece) -> Row:
    return (
        f"@{piece.id}",
        piece.task,
        piece.user,
        piece.project or "",
        place_text(piece.servers),
        str(cpus_in(piece.servers)),
        moment(piece.start, session.zone),
        mark(held_text(held_s(piece.start, session.now_us)), piece.uncertain),
        "" if piece.due is None else held_text(held_s(session.now_us, piece.due)),
    )


def _csv_row(piece: AllocationPiece, now_us: int) -> tuple[str, ...]:
    return (
        str(piece.id),
        piece.task,
        piece.user,
        piece.project or "",
        place_text(piece.servers),
        str(cpus_in(piece.servers)),
        utc_text(piece.start),
        str(held_s(piece.start, now_us)),
        until_text(piece.until) or "",
    )
