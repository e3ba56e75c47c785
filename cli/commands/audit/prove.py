"""`gpuledger audit prove`: what proves an event, or an older checkpoint, to a stranger."""

from __future__ import annotations

import base64

import click

from ....ledger.checkpoint import Checkpoint, Proof
from ....replay.errors import BadRequest
from ...anchoring import checkpoint_file
from ...keyfile import signed, signing_key
from ...options import define, whole
from ...session import Session
from ...trust import signing_option

EXAMPLES = """
gpuledger audit prove 4711 > 4711.tlog-proof            that event 4711 is in the log
gpuledger audit prove --from monday.checkpoint > since  that the log extends Monday's
"""


@define("prove", examples=EXAMPLES)
@click.argument("seq", required=False, type=whole("SEQ"))
@click.option("--from", "file", metavar="CHECKPOINT", help="Prove that the log extends this one.")
@signing_option
def command(session: Session, *, seq: int | None, file: str | None, key_file: str | None) -> None:
    """Write a proof that anybody checks without the ledger, with a checkpoint of today in it."""
    if (seq is None) == (file is None):
        raise BadRequest("what to prove", None, "either SEQ or --from CHECKPOINT")
    key = signing_key(key_file)
    old = None if file is None else checkpoint_file(file, "--from", session.files).checkpoint
    with session.ledger() as ledger:
        tree = ledger.tree()
        checkpoint = Checkpoint(tree.origin, tree.size, tree.root)
        if old is not None and old.origin != checkpoint.origin:
            raise BadRequest("--from", file, f"a checkpoint of {checkpoint.origin}")
        number = old.size if old is not None else (seq or 0) - tree.first + 1
        path = ledger.proof(tree, number, consistency=old is not None)
        session.notices(ledger)
    text = signed(checkpoint, key)
    proof = Proof(number - (old is None), tuple(path), text, old is not None)
    if session.json:
        told = [base64.b64encode(one).decode() for one in path]
        kind = "inclusion" if old is None else "consistency"
        session.document({"kind": kind, "number": proof.number, "path": told, "checkpoint": text})
    else:
        session.say(proof.text().removesuffix("\n"))
