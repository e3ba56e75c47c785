"""`gpuledger status`: what is free, now or at any past instant."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from ...replay.errors import BadRequest
from ...replay.uncertainty import uncertainty
from .. import statustable
from ..moment import moment
from ..occupancy import occupancies, totals
from ..options import completed, define
from ..selection import chosen
from ..session import Session
from ..shape import status
from ..table import Table, is_terminal
from ..timetext import local_text
from ..usage import Misused, one_of
from ..words import _

if TYPE_CHECKING:
    from ...handle import Ledger
    from ...replay.state import State

EXAMPLES = """
gpuledger status
gpuledger status --gpus gpu-server-[0-1]
gpuledger status --at yesterday
gpuledger status --at 2026-03-31T15:00
gpuledger status --watch
gpuledger status --json
"""


@define("status", examples=EXAMPLES, csv=True)
@click.argument("servers", nargs=-1, metavar="[SERVER...]", shell_complete=completed("servers"))
@click.option("--at", metavar="TIME", help="As it was then: 2026-03-31T15:00, yesterday, -6h.")
@click.option("--gpus", is_flag=True, help="A row a GPU, with its holder.")
@click.option("--watch", is_flag=True, help="Draw it anew whenever it changes; Ctrl-C ends it.")
def command(
    session: Session, *, servers: tuple[str, ...], at: str | None, gpus: bool, watch: bool
) -> None:
    """Show what is free on each server, or on each SERVER that is named, and what is held.

    A drained GPU is not free. On a terminal, servers that are alike share a row where there
    are more than 40; --csv and --json always tell of each.
    """
    at_us = None if at is None else _instant(session, at)
    session.say_which()
    with session.ledger() as ledger:
        if watch:
            _watch(session, ledger, servers, at_us, gpus=gpus)
            return
        state = ledger.state(at_us)
        if at is not None and at_us is not None:
            _begun(session, ledger, state, at, at_us)
        session.notices(ledger)
    _answer(session, state, servers, session.now_us if at_us is None else at_us, gpus=gpus)


def _instant(session: Session, at: str) -> int:
    """The past instant that is meant. Raises BadRequest for one that is still to come."""
    from ..instants import parse_instant

    at_us = parse_instant(at, now_us=session.now_us, zone=session.zone, field="--at")
    if at_us > session.now_us:
        raise BadRequest("--at", at, "a time that has passed")
    return at_us


def _begun(session: Session, ledger: Ledger, state: State, at: str, at_us: int) -> None:
    """Say which time it is about. Raises BadRequest where nothing was recorded yet."""
    if state.seq == 0:
        first = local_text(next(iter(ledger.log.read(0))).at, session.zone)
        raise BadRequest("--at", at, f"a time from {first} on, when this record begins")
    if not (session.json or session.csv):
        session.notice(_("as of {time}").format(time=local_text(at_us, session.zone)))


def _answer(
    session: Session, state: State, servers: tuple[str, ...], at_us: int, *, gpus: bool
) -> None:
    rows = occupancies(state, chosen(state, servers))
    if session.json:
        waiting, lost = len(state.docket.waiting), uncertainty(state)
        session.document(status(state.seq, at_us, rows, totals(rows), waiting, lost=lost))
    elif session.csv:
        session.table(statustable.gpu_csv(rows, at_us) if gpus else statustable.server_csv(rows))
    else:
        session.table(_table(session, state, servers, at_us, gpus=gpus))
        count = len(state.docket.waiting)
        if count:
            session.notice(
                _(
                    "{count} waits in line; gpuledger queue shows it",
                    "{count} wait in line; gpuledger queue shows them",
                    count,
                ).format(count=count)
            )


def _table(
    session: Session, state: State, servers: tuple[str, ...], at_us: int, *, gpus: bool
) -> Table:
    rows = occupancies(state, chosen(state, servers))
    short = is_terminal(sys.stdout, os.environ)
    if gpus:
        zone = session.zone
        return statustable.gpu_table(rows, at_us, lambda us: moment(us, zone), short=short)
    return statustable.server_table(rows, totals(rows), short=short)


def _watch(
    session: Session, ledger: Ledger, servers: tuple[str, ...], at_us: int | None, *, gpus: bool
) -> None:
    if at_us is not None:
        raise one_of("--at", "--watch")
    if session.json or session.csv or not is_terminal(sys.stdout, os.environ):
        raise Misused(
            _("--watch draws on a terminal alone"),
            _("for a program there is gpuledger status --json"),
        )
    from ..watching import watch

    def draw(state: State, now_us: int) -> Table:
        return _table(session, state, servers, now_us, gpus=gpus)

    watch(ledger, draw, session.zone)
