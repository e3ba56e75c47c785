"""`gpuledger mirror check`: a mirror by itself, without the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ...exit import FAILED
from ...options import completed, define
from ...printable import printable
from ...report import head_text
from ...session import Session
from ...words import _

if TYPE_CHECKING:
    from ....ledger.mirror_check import Checked, Fault

EXAMPLES = """
gpuledger mirror check /mnt/second-disk/gpuledger
gpuledger mirror check 000000000001-000000004096-9f3c….jsonl     one sealed segment alone
"""


@define("check", examples=EXAMPLES, here=True)
@click.argument("path", metavar="DIR", shell_complete=completed("files"))
def command(session: Session, *, path: str) -> None:
    """Compute every hash in the mirror DIR anew, or in one of its segments.

    No ledger is asked, so it works where there is none any more; 1 is the exit code of what is
    found. The head at the end is what gpuledger audit verify --expect takes.
    """
    from ....ledger.mirror_check import check

    checked = check(path)
    if session.json:
        from ...shape_mirror import checked as document

        session.document(document(checked))
    else:
        _tell(session, checked)
    if checked.faults:
        raise click.exceptions.Exit(FAILED)


def _tell(session: Session, checked: Checked) -> None:
    for fault in checked.faults:
        session.say(_sentence(fault))
    events = _("{count} event", "{count} events", checked.events).format(count=checked.events)
    parts = _("{count} segment", "{count} segments", checked.segments)
    session.say(
        _("{events} from seq {first} on, in {segments}, of which {sealed} sealed").format(
            events=events, first=checked.first, segments=parts.format(count=checked.segments),
            sealed=checked.sealed,
        )
    )  # fmt: skip
    if checked.torn:
        told = _("the last line is not whole yet: the next command that writes completes it")
        session.notice(told)
    if not checked.faults:
        session.say(_("consistent; not compared with the ledger"))
    session.say(head_text(checked.head.seq, checked.head.hash))


def _sentence(fault: Fault) -> str:
    told = {
        "line": _("{name}: the line for event {seq} is no event, or was changed"),
        "link": _("{name}: event {seq} does not follow the one before it"),
        "missing": _("{name}: what comes before event {seq} is missing"),
        "block": _("{name}: event {seq} belongs to another segment"),
        "seal": _("{name}: it does not end with event {seq} as its name tells"),
        "file": _("{name}: it is no plain file"),
        "torn": _("{name}: it ends in half a line"),
        "ledger": _("{name}: event {seq} is of another ledger"),
        "empty": _("there is no event in it"),
    }[fault.why]
    return told.format(name=printable(fault.name), seq=fault.seq)
