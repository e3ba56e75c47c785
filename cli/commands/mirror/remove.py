"""`gpuledger mirror remove`: a mirror that grows no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ....replay.mirror_rows import mirrors_of
from ...options import completed, define
from ...printable import printable
from ...recovering import only_there
from ...session import Session
from ...words import _

if TYPE_CHECKING:
    from ....handle import Ledger

EXAMPLES = """
gpuledger mirror remove /mnt/second-disk/gpuledger --reason 'the disk died'
"""


@define("remove", examples=EXAMPLES, here=True)
@click.argument("directory", metavar="DIR", shell_complete=completed("files"))
@click.option("--reason", metavar="TEXT", help="Why; stays in the record.")
def command(session: Session, *, directory: str, reason: str | None) -> None:
    """Copy the record into DIR no longer; for admins. What lies there stays.

    DIR may be spelled as mirror list shows it, with escapes for what no terminal prints.
    """
    only_there(session, "mirror remove")
    with session.ledger(once=True) as ledger:
        recorded = ledger.mirror_remove(_meant(ledger, directory), reason)
        session.notices(ledger)
    removed = recorded.payload.directory
    if session.json:
        from ...shape_mirror import removed as document

        session.document(document(recorded.event.seq, removed))
        return
    told = _("{directory} is no mirror any more; what lies there stays")
    session.say(told.format(directory=removed))


def _meant(ledger: Ledger, directory: str) -> str:
    """The mirror that is called or shown so; the text itself where none is."""
    known = ledger.log.reading(mirrors_of)
    shown = (one for one in known if printable(one) == directory)
    return directory if directory in known else next(shown, directory)
