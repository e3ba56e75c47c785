"""`gpuledger rebuild`: snapshot and projections made anew from the log."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ..options import define
from ..session import Session
from ..words import _

if TYPE_CHECKING:
    from ...replay.rebuilding import Rebuilt

EXAMPLES = """
gpuledger rebuild          prove that the state is what the events amount to
gpuledger rebuild --json
"""


@define("rebuild", examples=EXAMPLES)
def command(session: Session) -> None:
    """Drop what was computed from the log, compute it anew, and compare the two."""
    began_s = time.perf_counter()
    with session.ledger(once=True) as ledger:
        rebuilt = ledger.rebuild()
    session.notices(ledger)
    seconds = round(time.perf_counter() - began_s, 3)
    if session.json:
        from ..shape_audit import rebuild

        session.document(rebuild(rebuilt, seconds))
        return
    session.say(_("events      {events}").format(events=rebuilt.events))
    session.say(_("state hash  {state_hash}").format(state_hash=rebuilt.state_hash.hex()))
    session.say(_("matches     {answer}").format(answer=_matches(rebuilt)))
    session.say(_("dropped     {count} snapshot", "dropped     {count} snapshots", rebuilt.dropped)
                .format(count=rebuilt.dropped))  # fmt: skip
    session.say(_("took        {seconds} s").format(seconds=seconds))


def _matches(rebuilt: Rebuilt) -> str:
    if rebuilt.matches is None:
        return _("no snapshot was there to compare")
    if rebuilt.matches:
        return _("yes, what was stored before was right")
    return _("no, what was stored before was wrong; now it is right")
