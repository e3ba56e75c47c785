"""The `mirror` commands: a second copy of the record that grows with it."""

from __future__ import annotations

from ...program import group

COMMANDS = {
    "add": ("add", "Copy the record into a folder from now on."),
    "remove": ("remove", "Copy it there no longer."),
    "list": ("list", "Where each mirror stands."),
    "check": ("check", "Is a mirror sound? Without the ledger."),
}
EXAMPLES = """
gpuledger mirror add /mnt/second-disk/gpuledger
gpuledger mirror list
gpuledger mirror check /mnt/second-disk/gpuledger
"""

command = group(
    "mirror",
    "gpuledger.cli.commands.mirror",
    COMMANDS,
    told="A second copy of the record as lines of text, on another disk or machine, which grows"
    " with every command that writes.",
    examples=EXAMPLES,
)
