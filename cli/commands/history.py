"""`gpuledger history`: allocations of the past, as sacct shows jobs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from ...replay.errors import BadRequest
from ..columns import Field, choose, fixed_lines, parsable_lines
from ..historytable import FIELDS, RIGHT, STATES, USUAL, cells, csv_table, table
from ..hostrange import expand
from ..options import define
from ..report import now_of, tell_window, window_of, windowed
from ..session import Session
from ..shape_audit import history, state_of
from ..words import _

if TYPE_CHECKING:
    from ...replay.history import Spell
    from ...replay.interval import Window

EXAMPLES = """
gpuledger history                                   the last 7 days, and everything that runs
gpuledger history -S 2026-03-01 -E 2026-04-01 -u ada
gpuledger history --month last-month -A vision --csv
gpuledger history -j @4711
gpuledger history -N gpu-server-[0-1] -s running
gpuledger history -o JobID,JobName%20,User,Elapsed,State -P -n
"""
MOST_DIGITS = 15


@define("history", examples=EXAMPLES, csv=True)
@windowed
@click.option("-u", "--user", "users", multiple=True, metavar="USERS", help="Of these users.")
@click.option(
    "-A", "--project", "projects", multiple=True, metavar="PROJECTS", help="Of these projects."
)
@click.option(
    "-j", "--allocation", "ids", multiple=True, metavar="IDS",
    help="These allocations, @4711 or 4711; of all time where no window is given.",
)  # fmt: skip
@click.option(
    "-N", "--server", "servers", multiple=True, metavar="SERVERS", help="On any of these servers."
)
@click.option(
    "-s", "--state", "states", multiple=True, metavar="STATES",
    help="running (R) or ended (CD).",
)  # fmt: skip
@click.option(
    "-o", "--format", "fields", metavar="FIELDS",
    help=f"Which fields, such as task%20,elapsed. Known: {', '.join(FIELDS)}.",
)  # fmt: skip
@click.option("-P", "--parsable", is_flag=True, help="Fields with | between them, unshortened.")
@click.option("-n", "--noheader", is_flag=True, help="No header.")
def command(
    session: Session,
    *,
    since: str | None,
    until: str | None,
    month: str | None,
    fields: str | None,
    parsable: bool,
    noheader: bool,
    **wanted: tuple[str, ...],
) -> None:
    """Allocations that share an instant with the window, by id, also those that still run."""
    chosen = choose(USUAL if fields is None else fields, list(FIELDS))
    of = _Wanted(**wanted)
    with session.ledger() as ledger:
        now_us = now_of(session, ledger)
        window = window_of(session, now_us, since, until, month)
        if of.ids and since is until is month is None:
            window = _all_time(now_us)
        found, _head = ledger.history(window)
        session.notices(ledger, window)
    spells = [spell for spell in found if of.takes(spell)]
    if session.json:
        session.document(history(window, spells, now_us))
        return
    tell_window(session, window)
    if fields is not None or parsable or noheader:
        rows = cells(spells, now_us, session.zone)
        _lines(session, chosen, rows, parsable=parsable, header=not noheader)
    elif session.csv:
        session.table(csv_table(spells, now_us))
    elif spells:
        session.table(table(spells, now_us, session.zone))
    else:
        session.notice(_("nothing of that ran in this window"))


def _lines(
    session: Session,
    chosen: tuple[Field, ...],
    rows: list[list[str]],
    *,
    parsable: bool,
    header: bool,
) -> None:
    """Chosen fields: as CSV, with bars between them, or in columns."""
    if session.csv:
        from ..csvtext import csv_lines

        names = [field.name for field in chosen] if header else None
        lines = csv_lines(names, [[row[field.at] for field in chosen] for row in rows])
    elif parsable:
        lines = parsable_lines(chosen, rows, header=header)
    else:
        lines = fixed_lines(chosen, rows, header=header, right=RIGHT)
    for line in lines:
        session.say(line)


def _all_time(now_us: int) -> Window:
    from ...replay.interval import Window

    return Window(0, now_us)


class _Wanted:
    """Which allocations were asked for; an empty condition is met by all."""

    def __init__(
        self,
        *,
        users: Iterable[str],
        projects: Iterable[str],
        ids: Iterable[str],
        servers: Iterable[str],
        states: Iterable[str],
    ) -> None:
        self.users = set(_split(users))
        self.projects = set(_split(projects))
        self.ids = {_number(text) for text in _split(ids)}
        self.servers = {name for text in servers for name in expand(text, field="-N")}
        self.states = {_state(text) for text in _split(states)}

    def takes(self, spell: Spell) -> bool:
        """Whether an allocation meets all conditions."""
        told = (
            (self.users, {spell.user}),
            (self.projects, {spell.project}),
            (self.ids, {spell.allocation}),
            (self.servers, {share.server for share in spell.servers}),
            (self.states, {state_of(spell)}),
        )
        return all(not wanted or wanted & has for wanted, has in told)


def _split(texts: Iterable[str]) -> list[str]:
    return [part.strip() for text in texts for part in text.split(",")]


def _number(text: str) -> int:
    digits = text.removeprefix("@")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= MOST_DIGITS):
        raise BadRequest("-j", text, "the id of an allocation, such as @4711")
    return int(digits)


def _state(text: str) -> str:
    state = STATES.get(text.lower())
    if state is None:
        raise BadRequest("-s", text, "running, ended, R or CD")
    return state
