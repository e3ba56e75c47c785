"""`gpuledger import`: a past that lies in a file, made a ledger's own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from ...replay.refusal import REASONS
from ..options import define
from ..printable import printable
from ..session import Session
from ..words import _

if TYPE_CHECKING:
    from ...replay.importing import Imported
    from ...replay.trace import Unusable

EXAMPLES = """
gpuledger --ledger past.db init --pool pool.toml --at 2020-03-31T15:00:00Z
gpuledger --ledger past.db import jobs.csv.gz
"""
MOST_LISTED = 10
Watch = Callable[[int, int], None]


@define("import", examples=EXAMPLES)
@click.argument("file", metavar="FILE")
def command(session: Session, file: str) -> None:
    """Take over the jobs in FILE, CSV or CSV.gz, into a ledger that has no allocations yet.

    FILE may be - for stdin. Its columns are job_id, user, project, submit, start, end, gpus,
    cpus, nodes, servers and state. All of it is there at the end, or, where it is interrupted,
    nothing. For admins.
    """
    from ..tracefile import read

    source = read(file, session.files)
    with session.ledger(once=True) as ledger, _bar(session) as progress:
        outcome = ledger.import_trace(source, progress)
    session.notices(ledger)
    if session.json:
        from ..shape_audit import imported

        session.document(imported(outcome))
        return
    _tell(session, outcome)


def _tell(session: Session, outcome: Imported) -> None:
    from ...replay.importing import TOO_EARLY

    session.say(
        _(
            "imported {rows} row: {granted} granted, {refused} refused,"
            " {skipped} skipped as GPU-less, {unusable} unusable",
            "imported {rows} rows: {granted} granted, {refused} refused,"
            " {skipped} skipped as GPU-less, {unusable} unusable",
            outcome.rows,
        ).format(
            rows=outcome.rows,
            granted=outcome.granted,
            refused=len(outcome.refused),
            skipped=outcome.skipped,
            unusable=len(outcome.unusable),
        )
    )
    held = outcome.still_held
    if held:
        sentence = _("{count} has no end and is held", "{count} have no end and are held", held)
        session.say(sentence.format(count=held))
    _list(session, outcome.refused, _("refused"))
    _list(session, outcome.unusable, _("unusable"))
    if any(row.why == TOO_EARLY for row in outcome.unusable):
        session.notice(
            _("the pool begins too late; make a ledger for this past with gpuledger init --at TIME")
        )


def _list(session: Session, rows: tuple[Unusable, ...], what: str) -> None:
    """The first rows that became no grant, and how many more there are."""
    for row in rows[:MOST_LISTED]:
        session.say(
            _("line {line}, job {job}: {what}, {why}").format(
                line=row.line,
                job=printable(row.job),
                what=what,
                why=printable(_(REASONS.get(row.why, row.why))),
            )
        )
    more = len(rows) - MOST_LISTED
    if more > 0:
        session.say(_("and {more} more {what}; --json lists them all").format(more=more, what=what))


@contextmanager
def _bar(session: Session) -> Generator[Watch | None]:
    """A progress bar on a terminal; nothing elsewhere."""
    if session.json or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(_("importing"))
        yield lambda done, whole: bar.update(task, completed=done, total=whole)
