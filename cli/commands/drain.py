"""`gpuledger drain`: no new work on servers or single GPUs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..moving import moved, named_places, to_tell
from ..options import completed, define
from ..session import Session
from ..words import _, ids

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ...handle import Ledger
    from ...replay.facts import Place

EXAMPLES = """
gpuledger drain gpu-server-2 --reason 'new cards on Tuesday'
gpuledger drain gpu-server-2:5 --reason 'ECC errors'
gpuledger drain gpu-server-[0-3]
"""


@define("drain", examples=EXAMPLES)
@click.argument(
    "servers", nargs=-1, required=True, metavar="SERVER[:GPUS]...",
    shell_complete=completed("servers"),
)  # fmt: skip
@click.option("--reason", metavar="TEXT", help="Why; stays in the record.")
def command(session: Session, *, servers: tuple[str, ...], reason: str | None) -> None:
    """Give out no more of SERVER, or of single GPUs of it; for admins.

    What runs there goes on. gpuledger resume takes it back.
    """
    on = named_places(servers)
    with session.ledger(once=True) as ledger:
        recorded = ledger.drain(on, reason)
        nothing = _("all of that is drained already")
        done = to_tell(session, ledger, recorded, "drained", nothing=nothing)
        if done:
            runs = _runs(ledger, done)
            session.say(_("drained {places}{running}").format(places=moved(done), running=runs))


def _runs(ledger: Ledger, drained: Iterable[Place]) -> str:
    """What still runs on the GPUs that were drained."""
    state = ledger.state()
    servers = [(place, state.server(place.server)) for place in drained]
    held = {
        server.holder(gpu) for place, server in servers if server is not None for gpu in place.gpus
    }
    running = sorted(held - {0})
    if not running:
        return _("; nothing runs there")
    return _("; {ids} goes on there", "; {ids} go on there", len(running)).format(ids=ids(running))
