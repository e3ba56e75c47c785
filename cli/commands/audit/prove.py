"""`gpuledger audit prove`: what proves an event, or an older checkpoint, to a stranger."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from ....ledger import merkle
from ....ledger.checkpoint import Checkpoint, Proof
from ....replay.errors import BadRequest
from ...anchoring import checkpoint_file
from ...keyfile import signed, signing_key
from ...options import define, whole
from ...session import Session
from ...trust import signing_option

if TYPE_CHECKING:
    from ....proofs import Tree

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
        number = _number(tree, seq or 0) if old is None else _size(checkpoint, old, file)
        path = ledger.proof(tree, number, consistency=old is not None)
        session.notices(ledger)
    if old is not None:
        _see_that_it_extends(checkpoint, old, path, file)
    text = signed(checkpoint, key)
    proof = Proof(number - (old is None), tuple(path), text, old is not None)
    if session.json:
        told = [base64.b64encode(one).decode() for one in path]
        kind = "inclusion" if old is None else "consistency"
        session.document({"kind": kind, "number": proof.number, "path": told, "checkpoint": text})
    else:
        session.text(proof.text().removesuffix("\n"))


def _number(tree: Tree, seq: int) -> int:
    """Which leaf an event is, the first being 1. Raises BadRequest where it is none."""
    number = seq - tree.first + 1
    if not 1 <= number <= tree.size:
        last = tree.first + tree.size - 1
        raise BadRequest("the number of an event", str(seq), f"{tree.first} to {last}")
    return number


def _size(now: Checkpoint, old: Checkpoint, file: str | None) -> int:
    """The older checkpoint's size. Raises BadRequest where it is of another tree, or of more."""
    if old.origin != now.origin:
        raise BadRequest("--from", file, f"a checkpoint of {now.origin}")
    if not 1 <= old.size <= now.size:
        raise BadRequest("--from", file, f"a checkpoint of 1 to {now.size} events")
    return old.size


def _see_that_it_extends(
    now: Checkpoint, old: Checkpoint, path: Sequence[bytes], file: str | None
) -> None:
    """Raise BadRequest where the log is not what the older checkpoint was made from."""
    if not merkle.extends((old.size, old.root), (now.size, now.root), path):
        extended = "a checkpoint that the log extends, as gpuledger audit verify --against tells"
        raise BadRequest("--from", file, extended)
