"""`gpuledger pool check`: whether a pool file is sound. Needs no ledger."""

from __future__ import annotations

import click

from ...options import completed, define
from ...poolsource import pool_file, shown
from ...poolwords import pool_sum
from ...session import Session
from ...shape_pool import pool_facts
from ...words import _

EXAMPLES = """
gpuledger pool check pool.toml
gpuledger pool template | gpuledger pool check -
"""


@define("check", examples=EXAMPLES, here=True)
@click.argument("file", shell_complete=completed("files"))
def command(session: Session, *, file: str) -> None:
    """Check a pool FILE (- is stdin): its syntax, its keys, its names, its counts."""
    pool = pool_file(file, session.files).pool
    if session.json:
        session.document({"file": shown(file), **pool_facts(pool)})
    else:
        session.say(_("{file} is sound: {sum}").format(file=shown(file), sum=pool_sum(pool)))
