"""`gpuledger reset`: end every allocation."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from ...replay.errors import ReasonNeeded
from ..options import define
from ..placing import place_text
from ..session import Session
from ..shape import ended
from ..usage import Misused
from ..words import _, ids

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...handle import Ledger
    from ...replay.piece import AllocationPiece

EXAMPLES = """
gpuledger reset --yes
gpuledger reset --yes --reason 'the cluster was rebooted'
"""


@define("reset", examples=EXAMPLES)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--reason", metavar="TEXT", help="Why; needed where others' tasks run.")
def command(session: Session, *, yes: bool, reason: str | None) -> None:
    """End every allocation; for admins.

    The pool and its drains stay as they are, and so does the whole history.
    """
    with session.ledger(once=True) as ledger:
        if not yes:
            _ask(session, ledger)
        try:
            recorded = ledger.reset(reason)
        except ReasonNeeded as needed:
            _list(session, ledger, needed.allocations)
            raise
        session.notices(ledger)
        gone = recorded.payload.ended
        if session.json:
            session.document(ended(recorded.event.seq, gone))
            return
        sentence = _(
            "reset: {count} allocation ended{ids}; the pool and the history stay",
            "reset: {count} allocations ended{ids}; the pool and the history stay",
            len(gone),
        )
        told = f" ({ids(gone)})" if gone else ""
        session.say(sentence.format(count=len(gone), ids=told))


def _ask(session: Session, ledger: Ledger) -> None:
    """Ask where somebody is there to answer. Raises BadRequest where nobody is."""
    if session.json or not sys.stdin.isatty() or not sys.stderr.isatty():
        raise Misused(
            _("reset ends every allocation, and nobody is here to be asked"),
            _("say --yes if that is meant"),
        )
    running = ledger.state().allocations()
    _list(session, ledger, [piece.id for piece in running])
    question = _(
        "End this {count} allocation?", "End these {count} allocations?", len(running)
    ).format(count=len(running))
    if not click.confirm(question, err=True):
        session.notice(_("nothing was changed"))
        click.get_current_context().exit(1)


def _list(session: Session, ledger: Ledger, allocations: Sequence[int]) -> None:
    """Say on stderr which allocations it is about."""
    if session.json:
        return
    state = ledger.state()
    for number in allocations:
        piece = state.allocation(number)
        if piece is not None:
            session.notice(_line(piece))


def _line(piece: AllocationPiece) -> str:
    return _("@{id} {task} of {user} runs on {places}").format(
        id=piece.id, task=piece.task, user=piece.user, places=place_text(piece.servers)
    )
