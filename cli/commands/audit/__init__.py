"""The `audit` commands: who held what and when, how much, and whether the record holds."""

from __future__ import annotations

from ...program import group

COMMANDS = {
    "who": ("who", "Who held a GPU, and when."),
    "usage": ("usage", "GPU-hours by user, project, server or task, beside what there was."),
    "refusals": ("refusals", "What was asked for in vain."),
    "diff": ("diff", "What changed between two instants."),
    "verify": ("verify", "Is the record sound?"),
    "checkpoint": ("checkpoint", "The log's head, signed, to keep elsewhere."),
    "prove": ("prove", "Proves an event, or an older checkpoint, to a stranger."),
    "check": ("check", "Checks a proof without the ledger."),
}
EXAMPLES = """
gpuledger audit who gpu-server-2:0 -S yesterday
gpuledger audit usage --by project --month last-month
gpuledger audit verify --expect 48213:9f3c51e07ab2d846
"""

command = group(
    "audit",
    "gpuledger.cli.commands.audit",
    COMMANDS,
    told="Questions to the record; each answer ends with the head that it was made from.",
    examples=EXAMPLES,
)
