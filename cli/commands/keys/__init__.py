"""The `keys` commands: the key that checkpoints are signed with."""

from __future__ import annotations

from ...program import group

COMMANDS = {
    "new": ("new", "Make a signing key."),
    "show": ("show", "The verifier key that others check signatures with."),
}
EXAMPLES = """
gpuledger keys new
gpuledger keys show > team.vkey     to give to whoever audits
"""

command = group(
    "keys",
    "gpuledger.cli.commands.keys",
    COMMANDS,
    told="The key that checkpoints are signed with; it lies apart from the ledger.",
    examples=EXAMPLES,
)
