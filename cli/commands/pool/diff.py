"""`gpuledger pool diff`: what a pool file would change."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ....replay.pool_change import difference
from ...options import completed, define
from ...poolsource import pool_file, shown, whole_pool
from ...poolwords import change_lines, change_of
from ...session import Session
from ...shape_pool import pool_difference
from ...words import _, ids

if TYPE_CHECKING:
    from ....replay.pool_change import InUse

EXAMPLES = """
gpuledger pool diff pool.toml
gpuledger pool diff pool.toml --remove
gpuledger pool diff pool.toml --exit-code > /dev/null || gpuledger pool apply pool.toml
"""


@define("diff", examples=EXAMPLES)
@click.argument("file", shell_complete=completed("files"))
@click.option("--remove", is_flag=True, help="As apply --remove would: servers not in FILE go.")
@click.option("--exit-code", "exits", is_flag=True, help="Exit with 1 where something differs.")
def command(session: Session, *, file: str, remove: bool, exits: bool) -> None:
    """Show what applying a pool FILE (- is stdin) would change, and change nothing.

    What FILE leaves out, [limits], [admins], [[project]] or [[user]], changes nothing either.
    """
    told = pool_file(file, session.files)
    with session.ledger() as ledger:
        state = ledger.state()
        session.notices(ledger)
    found = difference(state, whole_pool(told, state), remove=remove)
    if session.json:
        session.document(pool_difference(state.seq, found, remove=remove))
    else:
        change = change_of(state, found, remove=remove)
        for line in change_lines(change):
            session.say(line)
        for use in found.in_use:
            session.say(in_use_line(use))
        if change.kept:
            session.notice(kept_line(shown(file), change.kept))
        if found.empty(remove=remove):
            session.notice(_("the pool is what {file} says").format(file=shown(file)))
    if exits and not found.empty(remove=remove):
        raise click.exceptions.Exit(1)


def in_use_line(use: InUse) -> str:
    """Which allocations stand in the way of a change."""
    return _(
        "! {server} is in use: {ids} would end, with --force",
        "! {server} is in use: {ids} would end, with --force",
        len(use.allocations),
    ).format(server=use.server, ids=ids(use.allocations))


def kept_line(file: str, kept: tuple[str, ...]) -> str:
    """Which servers a file lacks that stay all the same."""
    from ...hostrange import compress

    return _(
        "{servers} is not in {file} and stays; --remove takes it out",
        "{servers} are not in {file} and stay; --remove takes them out",
        len(kept),
    ).format(servers=compress(kept), file=file)
