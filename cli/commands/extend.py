"""`gpuledger extend`: let leases end later."""

from __future__ import annotations

import click

from ...replay.batch import Recorded
from ...replay.spent import SECOND_US
from ..duration import parse_duration
from ..options import completed, define
from ..session import Session
from ..shape_line import extended
from ..timetext import held_text, local_text
from ..words import _

EXAMPLES = """
gpuledger extend train --by 2h                        two hours more than it had
gpuledger extend train @4711 --by 1d
gpuledger extend train --by 1d --for bob              for admins
gpuledger extend @4711 --by 1d --force --reason 'paper deadline'
"""


@define("extend", examples=EXAMPLES)
@click.argument("tasks", nargs=-1, required=True, metavar="TASK...",
                shell_complete=completed("tasks"))  # fmt: skip
@click.option("--by", required=True, metavar="TIME", help="How much later, such as 2h or 1d12h.")
@click.option("--for", "user", metavar="USER", help="Those of USER; for admins.")
@click.option("--force", is_flag=True, help="Others' too, with --reason; for admins.")
@click.option("--reason", metavar="TEXT", help="Why; stays in the record.")
@click.option("--key", metavar="KEY", help="Asked again with the same key, the answer is the same.")
def command(
    session: Session,
    *,
    tasks: tuple[str, ...],
    by: str,
    user: str | None,
    force: bool,
    reason: str | None,
    key: str | None,
) -> None:
    """Let the lease of TASK end later: a task's name, or an allocation's number such as @4711.

    Of several tasks all are extended or none is, in one event. What passed others in line is not
    extended as long as they would start later for it; --force and --reason do it, for admins.
    """
    more_s = parse_duration(by, field="--by")
    with session.ledger(once=True) as ledger:
        recorded = ledger.extend(
            *tasks, lease=more_s, user=user, force=force, reason=reason, key=key
        )
        session.recorded(recorded.event.seq)
        session.notices(ledger)
        if session.json:
            session.document(extended(recorded))
            return
    _tell(session, recorded)


def _tell(session: Session, recorded: Recorded) -> None:
    for one in recorded.payload.extensions:
        left = held_text((one.until - recorded.event.at) // SECOND_US)
        session.say(
            _("extended @{id}: its lease ends {time}, in {left}").format(
                id=one.allocation, time=local_text(one.until, session.zone), left=left
            )
        )
