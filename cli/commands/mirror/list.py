"""`gpuledger mirror list`: where each mirror stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...options import define
from ...session import Session
from ...table import Cell, Column, Row, Table
from ...words import _

if TYPE_CHECKING:
    from ....ledger.mirrored import Mirrored

EXAMPLES = """
gpuledger mirror list
gpuledger mirror list --json
"""
COLUMNS = (
    Column("mirror", style="strong", shrink=2, least=12, fold=True),
    Column("state", shrink=3, least=12, fold=True),
    Column("events", right=True),
    Column("sealed", right=True, drop=1),
    Column("lacks", right=True),
)
CSV_COLUMNS = ("directory", "state", "events", "sealed", "lacks", "why")


@define("list", examples=EXAMPLES, csv=True)
def command(session: Session) -> None:
    """List the mirrors: how many events each holds, in how many sealed segments, what it lacks.

    What a mirror holds is not read anew here; gpuledger mirror check does that.
    """
    with session.ledger() as ledger:
        standings, head = ledger.mirrors()
    if session.json:
        from ...shape_mirror import listed

        session.document(listed(head.seq, standings))
    elif session.csv:
        rows = [(*_counts(one), one.why) for one in standings]
        session.table(Table(tuple(map(Column, CSV_COLUMNS)), rows))
    elif standings:
        session.table(Table(COLUMNS, [_row(one) for one in standings]))
    else:
        session.notice(_("there is no mirror; gpuledger mirror add DIR makes one"))


def _counts(one: Mirrored) -> tuple[str, str, str, str, str]:
    return one.directory, one.trouble or "whole", str(one.seq), str(one.sealed), str(one.behind)


def _row(one: Mirrored) -> Row:
    directory, state, seq, sealed, lacks = _counts(one)
    told = {
        "whole": _("whole"),
        "behind": _("behind"),
        "gone": _("gone"),
        "full": _("its disk is full"),
        "read_only": _("its disk can only be read"),
        "not_permitted": _("this user may not read it"),
        "failed": one.why,
        "diverged": _("differs: {why}").format(why=one.why),
    }.get(state, state)
    style = "" if state == "whole" else "bad"
    if one.trouble is not None and not one.seq:
        return directory, Cell(told, style), "–", "–", "–"
    return directory, Cell(told, style), seq, sealed, lacks
