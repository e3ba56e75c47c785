"""`gpuledger pool apply`: make the pool what a pool file says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ....replay.pool_change import difference
from ...options import completed, define
from ...poolsource import pool_file, shown, whole_pool
from ...poolwords import Change, change_lines, change_of
from ...session import Session
from ...shape_pool import pool_change
from ...words import _, ids
from .diff import kept_line

if TYPE_CHECKING:
    from ....replay.batch import Recorded

EXAMPLES = """
gpuledger pool apply pool.toml --reason 'two servers more'
gpuledger pool apply pool.toml --remove
gpuledger pool apply pool.toml --remove --force --reason 'gpu-server-3 burnt'
"""


@define("apply", examples=EXAMPLES)
@click.argument("file", shell_complete=completed("files"))
@click.option("--remove", is_flag=True, help="Servers that are not in FILE go.")
@click.option("--force", is_flag=True, help="Even where that ends what runs there.")
@click.option("--reason", metavar="TEXT", help="Why; needed where others' tasks end.")
def command(session: Session, *, file: str, remove: bool, force: bool, reason: str | None) -> None:
    """Make the pool what a pool FILE (- is stdin) says; for admins.

    It adds and changes, and removes only with --remove. What is in use is left alone, and the
    whole change refused, unless --force ends just those allocations.
    """
    told = pool_file(file, session.files)
    with session.ledger(once=True) as ledger:
        state = ledger.state()
        pool = whole_pool(told, state)
        recorded = ledger.pool_apply(pool, remove=remove, force=force, reason=reason)
        session.notices(ledger)
        seq = recorded.event.seq if recorded is not None else ledger.head().seq
    if session.json:
        session.document(pool_change(seq, recorded.payload if recorded is not None else None))
        return
    kept = change_of(state, difference(state, pool, remove=remove), remove=remove).kept
    if recorded is None:
        session.notice(_("the pool is what {file} says already").format(file=shown(file)))
    else:
        _tell(session, recorded, change_of(state, recorded.payload))
    if kept:
        session.notice(kept_line(shown(file), kept))


def _tell(session: Session, recorded: Recorded, change: Change) -> None:
    for line in change_lines(change):
        session.say(line)
    ended = recorded.payload.ended
    if ended:
        session.say(_("! ended {ids}", "! ended {ids}", len(ended)).format(ids=ids(ended)))
    session.say(_("the pool has changed, event {seq}").format(seq=recorded.event.seq))
