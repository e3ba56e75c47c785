"""`gpuledger backup`: a verified copy of the whole record in one file."""

from __future__ import annotations

import click

from ..exit import FAILED
from ..options import completed, define
from ..recovering import only_there, tell_problems
from ..report import head_text
from ..session import Session
from ..words import _

EXAMPLES = """
gpuledger backup /mnt/backup/ledger-$(date +%F).db
gpuledger backup --overwrite /mnt/backup/ledger.db
"""


@define("backup", examples=EXAMPLES, here=True)
@click.argument("file", metavar="FILE", shell_complete=completed("files"))
@click.option("--overwrite", is_flag=True, help="Replace the backup that lies there.")
def command(session: Session, *, file: str, overwrite: bool) -> None:
    """Copy all events into FILE while others go on, and verify the copy.

    FILE is a ledger by itself: every command that reads takes it with --ledger FILE, and
    gpuledger restore makes a ledger of it again. Nothing lies at FILE until it is whole.
    """
    only_there(session, "backup")
    with session.ledger() as ledger:
        made = ledger.backup(file, over=overwrite)
    if session.json:
        from ..shape_recovery import backup

        session.document(backup(made))
    else:
        sentence = _(
            "{path} holds {events} event, verified", "{path} holds {events} events, verified",
            made.events,
        )  # fmt: skip
        tell_problems(session, made.problems)
        if not made.problems:
            session.say(sentence.format(path=made.path, events=made.events))
        session.say(head_text(made.head.seq, made.head.hash))
    if made.problems:
        raise click.exceptions.Exit(FAILED)
