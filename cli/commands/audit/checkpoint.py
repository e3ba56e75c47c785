"""`gpuledger audit checkpoint`: the log's head, signed."""

from __future__ import annotations

import base64

from ....ledger.checkpoint import Checkpoint
from ...keyfile import signed, signing_key, verifier_of
from ...options import define
from ...session import Session
from ...trust import signing_option

EXAMPLES = """
gpuledger audit checkpoint > monday.checkpoint     keep it where nobody can change it
gpuledger audit verify --against monday.checkpoint
"""


@define("checkpoint", examples=EXAMPLES)
@signing_option
def command(session: Session, key_file: str | None) -> None:
    """Print the size and the root of the tree over all events, signed, as C2SP lays it down."""
    key = signing_key(key_file)
    with session.ledger() as ledger:
        tree = ledger.tree()
        checkpoint = Checkpoint(tree.origin, tree.size, tree.root)
        session.notices(ledger)
    text = signed(checkpoint, key)
    if session.json:
        root = base64.b64encode(checkpoint.root).decode()
        told = {"origin": checkpoint.origin, "size": checkpoint.size, "root_hash": root}
        session.document(
            {**told, "verifier": verifier_of(key, checkpoint.origin).text(), "checkpoint": text}
        )
    else:
        session.text(text.removesuffix("\n"))
