"""`gpuledger audit checkpoint`: the log's head, signed."""

from __future__ import annotations

import base64

import click

from ....ledger.checkpoint import Checkpoint
from ....ledger.signed_note import sign
from ...keyfile import load, usual_path, verifier_of
from ...options import define
from ...session import Session

EXAMPLES = """
gpuledger audit checkpoint > monday.checkpoint     keep it where nobody can change it
gpuledger audit verify --against monday.checkpoint
"""


@define("checkpoint", examples=EXAMPLES)
@click.option("--key-file", metavar="FILE", help="The signing key; else the user's own.")
def command(session: Session, key_file: str | None) -> None:
    """Print the size and the root of the tree over all events, signed, as C2SP lays it down."""
    key = load(key_file or usual_path())
    with session.ledger() as ledger:
        checkpoint = Checkpoint(*ledger.tree())
        session.notices(ledger)
    verifier = verifier_of(key, checkpoint.origin)
    text = sign(checkpoint.text(), verifier, key)
    if session.json:
        root = base64.b64encode(checkpoint.root).decode()
        told = {"origin": checkpoint.origin, "size": checkpoint.size, "root_hash": root}
        session.document({**told, "verifier": verifier.text(), "checkpoint": text})
    else:
        session.say(text.removesuffix("\n"))
