"""The commands that have commands below them."""

from __future__ import annotations

from gpuledger.cli.commands.audit import COMMANDS as AUDIT
from gpuledger.cli.commands.keys import COMMANDS as KEYS
from gpuledger.cli.commands.mirror import COMMANDS as MIRROR
from gpuledger.cli.commands.pool import COMMANDS as POOL
from gpuledger.cli.program import COMMANDS

GROUPS = {"audit": AUDIT, "keys": KEYS, "mirror": MIRROR, "pool": POOL}


def every_command() -> set[str]:
    """Each command's name as its schema is called: `status`, `audit-who` …"""
    below = {f"{group}-{name}" for group, names in GROUPS.items() for name in names}
    return {name for name in COMMANDS if name not in GROUPS} | below
