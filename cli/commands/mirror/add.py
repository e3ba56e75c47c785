"""`gpuledger mirror add`: a second copy of the record, from now on."""

from __future__ import annotations

import click

from ...options import completed, define
from ...printable import printable
from ...recovering import only_there
from ...session import Session
from ...words import _

EXAMPLES = """
gpuledger mirror add /mnt/second-disk/gpuledger
gpuledger mirror add /mnt/fileserver/gpuledger --reason 'so that a second machine has it'
"""


@define("add", examples=EXAMPLES, here=True)
@click.argument("directory", metavar="DIR", shell_complete=completed("files"))
@click.option("--reason", metavar="TEXT", help="Why; stays in the record.")
def command(session: Session, *, directory: str, reason: str | None) -> None:
    """Copy the record into the folder DIR, and from now on all that comes; for admins.

    DIR must be there, and whoever writes to the ledger must be able to write there. It may lie
    on a network filesystem: mount it such that it fails in the end where its server is gone. An
    answer is given once what it tells is in the mirror as well, or with a notice where that cannot
    be.
    """
    only_there(session, "mirror add")
    with session.ledger() as ledger:
        recorded = ledger.mirror_add(directory, reason)
        ours = ledger.mirror_path(directory)
        standings, head = ledger.mirrors()
        session.notices(ledger)
    (one,) = [one for one in standings if one.directory == ours]
    if session.json:
        from ...shape_mirror import added

        session.document(added(head.seq if recorded is None else recorded.event.seq, one))
        return
    if recorded is None:
        session.notice(_("{directory} is a mirror already").format(directory=printable(ours)))
    session.say(
        _("{directory} mirrors {count} event", "{directory} mirrors {count} events", one.seq)
        .format(directory=printable(ours), count=one.seq)
    )  # fmt: skip
