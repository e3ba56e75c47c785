"""`gpuledger pool show`: the pool as it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ....replay.pool_change import pool_of
from ...capwords import limit_lines
from ...hostrange import fold, gpu_text
from ...options import define
from ...poolwords import admin_text, card_text, pool_sum, runs
from ...session import Session
from ...shape_pool import pool_facts
from ...table import Column, Table
from ...usage import one_of
from ...words import _

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ....replay.facts import Pool, Server
    from ....replay.state import State

EXAMPLES = """
gpuledger pool show
gpuledger pool show --toml > pool.toml
gpuledger pool show --csv
"""
COLUMNS = (
    Column("server", style="strong", shrink=1),
    Column("GPUs", right=True),
    Column("model", shrink=2, hide_empty=True),
    Column("CPUs", right=True),
    Column("host", style="dim", shrink=3, hide_empty=True, drop=1),
    Column("drained", style="warn", hide_empty=True),
)


@define("show", examples=EXAMPLES, csv=True)
@click.option("--toml", is_flag=True, help="As a pool file that applies to no change.")
def command(session: Session, *, toml: bool) -> None:
    """Show the pool's servers, its limits and its admins; servers that are alike share a row."""
    if toml and (session.json or session.csv):
        raise one_of("--toml", "--json", "--csv")
    with session.ledger() as ledger:
        state = ledger.state()
        session.notices(ledger)
    pool = pool_of(state)
    if toml:
        from ...pooltext import write

        session.text(write(pool).rstrip("\n"))
    elif session.json:
        session.document({"seq": state.seq, **pool_facts(pool)})
    elif session.csv:
        session.table(_csv(pool))
    else:
        _tell(session, state, pool)


def _tell(session: Session, state: State, pool: Pool) -> None:
    session.table(Table(COLUMNS, list(_rows(state, pool))))
    session.say(pool_sum(pool))
    for line in limit_lines(pool):
        session.say(line)
    session.say(_("admins: {admins}").format(admins=admin_text(pool.admins)))


def _rows(state: State, pool: Pool) -> Iterator[tuple[str, ...]]:
    drained = {server.facts.name: server.drained for server in state.servers()}

    def alike(server: Server) -> object:
        return card_text(server), server.cpus, server.host, drained[server.name]

    for run in runs(pool.servers, alike):
        for names, _count in fold([server.name for server in run]):
            first = run[0]
            model = next(iter({card.model for card in first.gpus}), None)
            yield (
                names, str(len(first.gpus)), model or "", str(first.cpus), first.host or "",
                gpu_text(drained[first.name]),
            )  # fmt: skip


def _csv(pool: Pool) -> Table:
    columns = ("server", "host", "cpus", "gpu", "uuid", "model", "memory_mib", "pci")
    rows = [
        (
            server.name, server.host or "", str(server.cpus), str(card.index), card.uuid or "",
            card.model or "", "" if card.memory_mib is None else str(card.memory_mib),
            card.pci or "",
        )
        for server in pool.servers
        for card in server.gpus
    ]  # fmt: skip
    return Table(tuple(map(Column, columns)), rows)
