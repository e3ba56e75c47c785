"""`gpuledger queue`: who waits in line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..gapwords import mark
from ..moment import moment
from ..options import define
from ..session import Session
from ..shape import held_s
from ..shape_line import asked_text, waiting
from ..table import Column, Row, Table, with_column
from ..timetext import held_text, utc_text
from ..usage import one_of
from ..words import _

if TYPE_CHECKING:
    from ...replay.queue import Queued

EXAMPLES = """
gpuledger queue
gpuledger queue --mine
gpuledger queue --json
"""
COLUMNS = (
    Column("place", right=True),
    Column("id", right=True, style="dim"),
    Column("task", style="strong", shrink=3, least=12),
    Column("user", shrink=2),
    Column("project", shrink=2, drop=3, hide_empty=True),
    Column("asked", shrink=4, least=12, fold=True),
    Column("why", shrink=4, least=12, fold=True),
    Column("since", style="dim", drop=2),
    Column("waits", right=True),
    Column("starts by", style="dim"),
)
CSV_COLUMNS = (
    "position", "request", "task", "user", "project", "gpus", "cpus", "servers", "on", "reason",
    "since", "waited_s", "starts",
)  # fmt: skip


@define("queue", examples=EXAMPLES, csv=True)
@click.option("--mine", is_flag=True, help="Your own alone.")
@click.option("--user", metavar="USER", help="Those of USER alone.")
def command(session: Session, *, mine: bool, user: str | None) -> None:
    """List who waits in line, the first in line first.

    `starts by` is when a request starts at the latest if every lease runs to its end; a dash
    where something without a lease is in the way, so that nobody can tell.
    """
    if mine and user is not None:
        raise one_of("--mine", "--user")
    with session.ledger() as ledger:
        seq, found = ledger.queue(session.now_us)
        session.notices(ledger)
        owner = ledger.actor.identity if mine else None
    line = [
        one for one in found if owner in (None, one.piece.owner) and user in (None, one.piece.user)
    ]
    if session.json:
        session.document(waiting(seq, session.now_us, line))
    elif session.csv:
        table = Table(tuple(map(Column, CSV_COLUMNS)), [_csv_row(session, one) for one in line])
        unsure = ["" if one.piece.uncertain is None else "yes" for one in line]
        session.table(with_column(table, Column("uncertain"), unsure))
    elif line:
        session.table(Table(COLUMNS, [_row(session, one) for one in line]))
    else:
        session.notice(_("nothing of that waits") if mine or user else _("nobody waits"))


def _why(reason: str) -> str:
    words = {
        "next": _("is being served"),
        "waiting": _("others come first"),
        "limit": _("a limit"),
        "drained": _("drained"),
        "no_gpus": _("no GPUs"),
        "no_cpus": _("no CPUs"),
        "fragmented": _("not on one server"),
        "never": _("its servers or project are gone"),
        "stopped": _("its process is stopped"),
    }
    return words.get(reason, reason)


def _row(session: Session, one: Queued) -> Row:
    piece = one.piece
    return (
        str(one.position),
        f"@{piece.id}",
        piece.asked.task,
        piece.user,
        piece.project or "",
        asked_text(piece.asked),
        _why(one.reason),
        moment(piece.at, session.zone),
        mark(held_text(held_s(piece.at, session.now_us)), piece.uncertain),
        "–" if one.starts is None else moment(one.starts, session.zone),
    )


def _csv_row(session: Session, one: Queued) -> Row:
    piece, asked = one.piece, one.piece.asked
    return (
        str(one.position), str(piece.id), asked.task, piece.user, piece.project or "",
        str(asked.gpus), "" if asked.cpus is None else str(asked.cpus), str(asked.servers),
        " ".join(asked.on), one.reason, utc_text(piece.at),
        str(held_s(piece.at, session.now_us)),
        "" if one.starts is None else utc_text(one.starts),
    )  # fmt: skip
