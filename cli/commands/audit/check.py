"""`gpuledger audit check`: a proof, checked without the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ....ledger import merkle
from ....ledger.chain import has_own_hash
from ....ledger.checkpoint import Proof, read, read_proof, tree_of
from ....ledger.cloudevent import from_line, to_line
from ....replay.errors import BadRequest
from ...anchoring import anchors, checkpoint_file, file_text, understood
from ...exit import FAILED
from ...options import define
from ...session import Session
from ...trust import trust_options
from ...words import _

if TYPE_CHECKING:
    from ....ledger.checkpoint import Checkpoint
    from ....ledger.event import Event
    from ....replay.checked_tree import Anchor

EXAMPLES = """
gpuledger audit check 4711.tlog-proof monday.checkpoint event.json --signed-by team.vkey
gpuledger audit check since monday.checkpoint friday.checkpoint --signed-by team.vkey
"""


@define("check", examples=EXAMPLES, here=True)
@click.argument("proof")
@click.argument("checkpoint")
@click.argument("other", metavar="EVENT")
@trust_options
def command(
    session: Session,
    *,
    proof: str,
    checkpoint: str,
    other: str,
    signed_by: str | None,
    key_file: str | None,
) -> None:
    """Check that EVENT, a line of gpuledger export, is under CHECKPOINT as PROOF says.

    For a proof made with --from: that the checkpoint EVENT extends CHECKPOINT.
    """
    told = understood(file_text(proof, "PROOF"), proof, "PROOF", read_proof)
    kept = checkpoint_file(checkpoint, "CHECKPOINT")
    newer = checkpoint_file(other, "EVENT") if told.consistency else None
    heads = [kept] if newer is None else [kept, newer]
    good, bad = anchors(heads, signed_by, key_file)
    if bad:
        wrong = _("the checkpoint is not signed by that key")
    elif newer is None:
        wrong = _included(told, _proven(told, proof), good[0], _line(other), other)
    else:
        wrong = _extended(told, _proven(told, proof), good[0], good[1])
    _tell(session, told, wrong)


def _line(path: str) -> bytes:
    return file_text(path, "EVENT").strip().encode()


def _event(line: bytes, path: str) -> Event:
    try:
        return from_line(line)
    except (ValueError, RecursionError, OverflowError) as error:
        raise BadRequest("EVENT", path, "a line of gpuledger export") from error


def _proven(proof: Proof, path: str) -> Checkpoint:
    """The checkpoint that a proof is for."""
    return understood(proof.signed, path, "PROOF", read).checkpoint


def _included(proof: Proof, of: Checkpoint, head: Anchor, line: bytes, path: str) -> str:
    """What is wrong with a proof that an event is in the log; empty where nothing is."""
    event = _event(line, path)
    if not _same(of, head):
        return _("the proof is for another checkpoint")
    tree = tree_of(head.origin)
    if tree is None:
        return _("the checkpoint is of no ledger's tree")
    ledger, first = tree
    if not has_own_hash(event) or proof.number != event.seq - first:
        return _("the event is not the one that the proof is for")
    if not merkle.includes(event.hash, proof.number, head.size, proof.path, head.root):
        return _("the proof does not lead to the checkpoint")
    if to_line(event, ledger) != line:  # told twice, besides, or of another ledger
        return _("the line is not the one that gpuledger export writes of that event")
    return ""


def _extended(proof: Proof, of: Checkpoint, old: Anchor, new: Anchor) -> str:
    """What is wrong with a proof that one checkpoint extends another; empty where nothing is."""
    if old.origin != new.origin:
        return _("the checkpoints are of two ledgers")
    if old.size == new.size and old.root != new.root:
        return _("the two checkpoints tell different pasts: a fork")
    if not _same(of, new) or proof.number != old.size:
        return _("the proof is for other checkpoints")
    if not merkle.extends((old.size, old.root), (new.size, new.root), proof.path):
        return _("the proof does not lead from one checkpoint to the other")
    return ""


def _same(told: Checkpoint, head: Anchor) -> bool:
    return (told.origin, told.size, told.root) == (head.origin, head.size, head.root)


def _tell(session: Session, proof: Proof, wrong: str) -> None:
    if session.json:
        kind = "consistency" if proof.consistency else "inclusion"
        told = {"ok": not wrong, "kind": kind, "number": proof.number, "wrong": wrong or None}
        session.document(told)
    elif wrong:
        session.say(wrong)
    elif proof.consistency:
        sentence = _("proved: the newer checkpoint extends the one of {count} events")
        session.say(sentence.format(count=proof.number))
    else:
        session.say(_("proved: the event is in the log of the checkpoint"))
    if wrong:
        raise click.exceptions.Exit(FAILED)
