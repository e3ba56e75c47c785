"""`gpuledger audit who`: who held a GPU, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ....replay.spent import SECOND_US
from ...gapwords import SURE, mark, mark_cell
from ...moment import moment
from ...moving import named_places
from ...options import define
from ...report import now_of, tell_head, tell_window, window_of, windowed
from ...session import Session
from ...shape_audit import clipped, who
from ...table import Column, Row, Table, with_column
from ...timetext import held_text, utc_text
from ...words import _

if TYPE_CHECKING:
    from ....replay.holding import Holding
    from ....replay.interval import Window

EXAMPLES = """
gpuledger audit who gpu-server-2:0                  one GPU, the last 7 days
gpuledger audit who gpu-server-2 -S 2026-03-01T02:00 -E 2026-03-01T03:00
gpuledger audit who gpu-server-[0-3]:0-1 --month last-month
"""
COLUMNS = (
    Column("GPU", style="strong", shrink=1),
    Column("id", right=True, style="dim", drop=3),
    Column("task", shrink=3, least=12, drop=1),
    Column("user", shrink=2),
    Column("project", shrink=2, drop=4, hide_empty=True),
    Column("start"),
    Column("end"),
    Column("held for", right=True, drop=2),
)
CSV_COLUMNS = (
    "server", "gpu", "uuid", "allocation", "task", "user", "project", "start", "end",
)  # fmt: skip

Held = tuple[int, "Holding"]


@define("who", examples=EXAMPLES, csv=True)
@click.argument("places", nargs=-1, required=True, metavar="SERVER[:GPUS]...")
@windowed
def command(
    session: Session,
    *,
    places: tuple[str, ...],
    since: str | None,
    until: str | None,
    month: str | None,
) -> None:
    """Every interval in which somebody held a GPU of SERVER, clipped to the window."""
    asked = named_places(places)
    with session.ledger() as ledger:
        now_us = now_of(session, ledger)
        window = window_of(session, now_us, since, until, month)
        held, head = ledger.held(asked, window)
        session.notices(ledger, window)
    if session.json:
        session.document(who(window, held, head, now_us))
        return
    tell_window(session, window)
    if session.csv:
        session.table(_exact(window, held, now_us))
    elif held:
        session.table(_table(session, window, held, now_us))
    else:
        session.notice(_("nobody held any of that in this window"))
    tell_head(session, head)


def _exact(window: Window, held: list[Held], now_us: int) -> Table:
    """The table for programs: the JSON document's intervals, row by row."""
    rows: list[Row] = []
    for gpu, holding in held:
        start, end = clipped(window, holding, now_us)
        rows.append((
            holding.server, str(gpu), holding.uuid(gpu) or "", str(holding.allocation),
            holding.task, holding.user, holding.project or "",
            utc_text(start), "" if end is None else utc_text(end),
        ))  # fmt: skip
    sure = ["" if one.sure is None else utc_text(one.sure) for _gpu, one in held]
    return with_column(Table(tuple(map(Column, CSV_COLUMNS)), rows), Column(SURE), sure)


def _table(session: Session, window: Window, held: list[Held], now_us: int) -> Table:
    rows: list[Row] = []
    for gpu, holding in held:
        start, end = clipped(window, holding, now_us)
        length_us = (now_us if end is None else end) - start
        rows.append((
            f"{holding.server}:{gpu}", f"@{holding.allocation}", holding.task, holding.user,
            holding.project or "", moment(start, session.zone),
            mark_cell(moment(end, session.zone, none=_("still held")), holding.uncertain),
            mark(held_text(max(0, length_us) // SECOND_US), holding.uncertain),
        ))  # fmt: skip
    return Table(COLUMNS, rows)
