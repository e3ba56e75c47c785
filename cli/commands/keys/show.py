"""`gpuledger keys show`: the verifier key that goes with the ledger."""

from __future__ import annotations

from ....ledger.checkpoint import origin_of
from ...keyfile import chosen_path, load, verifier_of
from ...options import define
from ...session import Session
from ...trust import signing_option

EXAMPLES = """
gpuledger keys show > team.vkey
gpuledger audit verify --against monday.checkpoint --signed-by team.vkey
"""


@define("show", examples=EXAMPLES)
@signing_option
def command(session: Session, key_file: str | None) -> None:
    """Print the verifier key of the ledger's checkpoints: its origin, a hash, the public key."""
    path = chosen_path(key_file)
    key = load(path)
    with session.ledger() as ledger:
        verifier = verifier_of(key, origin_of(ledger.ledger_id()))
    if session.json:
        session.document({"file": path, "verifier": verifier.text()})
    else:
        session.say(verifier.text())
