"""`gpuledger resume`: new work on servers or single GPUs again."""

from __future__ import annotations

import click

from ..moving import moved, named_places, to_tell
from ..options import completed, define
from ..session import Session
from ..words import _

EXAMPLES = """
gpuledger resume gpu-server-2
gpuledger resume gpu-server-2:5 --reason 'card replaced'
"""


@define("resume", examples=EXAMPLES)
@click.argument(
    "servers", nargs=-1, required=True, metavar="SERVER[:GPUS]...",
    shell_complete=completed("servers"),
)  # fmt: skip
@click.option("--reason", metavar="TEXT", help="Why; stays in the record.")
def command(session: Session, *, servers: tuple[str, ...], reason: str | None) -> None:
    """Give out SERVER, or single GPUs of it, again after a drain; for admins."""
    on = named_places(servers)
    with session.ledger(once=True) as ledger:
        recorded = ledger.resume(on, reason)
        nothing = _("nothing of that is drained")
        done = to_tell(session, ledger, recorded, "resumed", nothing=nothing)
        if done:
            session.say(_("resumed {places}").format(places=moved(done)))
