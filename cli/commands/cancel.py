"""`gpuledger cancel`: leave the line."""

from __future__ import annotations

import click

from ..options import completed, define
from ..session import Session
from ..shape_line import cancelled
from ..words import _, ids

EXAMPLES = """
gpuledger cancel train
gpuledger cancel @4711
gpuledger cancel --mine
gpuledger cancel --for bob --reason 'left the team'          for admins
"""


@define("cancel", examples=EXAMPLES)
@click.argument("tasks", nargs=-1, metavar="[TASK...]", shell_complete=completed("waiting"))
@click.option("--mine", is_flag=True, help="All of your own.")
@click.option("--for", "user", metavar="USER", help="Those of USER; for admins.")
@click.option("--force", is_flag=True, help="Others' too, with --reason; for admins.")
@click.option("--reason", metavar="TEXT", help="Why; stays in the record.")
@click.option("--if-waiting", is_flag=True, help="Pass over what does not wait.")
@click.option("--key", metavar="KEY", help="Asked again with the same key, the answer is the same.")
def command(
    session: Session,
    *,
    tasks: tuple[str, ...],
    mine: bool,
    user: str | None,
    force: bool,
    reason: str | None,
    if_waiting: bool,
    key: str | None,
) -> None:
    """Take the request for TASK out of the line: by its name, or its number such as @4711.

    Whoever waits for it is told. Of several all leave or none does, in one event.
    """
    with session.ledger(once=True) as ledger:
        recorded = ledger.cancel(
            *tasks, mine=mine, user=user, force=force, reason=reason, if_waiting=if_waiting,
            key=key,
        )  # fmt: skip
        session.notices(ledger)
        seq = ledger.head().seq if recorded is None else recorded.event.seq
    if recorded is not None:
        session.recorded(seq)
    numbers = () if recorded is None else recorded.payload.requests
    if session.json:
        session.document(cancelled(seq, numbers))
    elif numbers:
        session.say(_("cancelled {ids}", "cancelled {ids}", len(numbers)).format(ids=ids(numbers)))
    else:
        session.notice(_("nothing of that waits"))
