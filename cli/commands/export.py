"""`gpuledger export`: the events, one CloudEvents object a line."""

from __future__ import annotations

import sys

import click

from ...replay.errors import BadRequest
from ..options import define
from ..session import Session

EXAMPLES = """
gpuledger export > events.jsonl
gpuledger export --after 48213 >> events.jsonl     what came since
"""


def _seq(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise BadRequest("--after", text, "the number of an event, 0 for all")
    return int(text)


@define("export", examples=EXAMPLES)
@click.option("--after", type=_seq, default="0", metavar="SEQ",
              help="Only what follows this event.")  # fmt: skip
def command(session: Session, after: int) -> None:
    """Write the events in their order, each with all that it takes to make its row again."""
    out = sys.stdout.buffer
    with session.ledger() as ledger:
        for line in ledger.export(after):
            out.write(line + b"\n")
    out.flush()
