"""The `pool` commands: show, check and change the pool of servers."""

from __future__ import annotations

from ...program import group

COMMANDS = {
    "show": ("show", "The pool as it stands."),
    "template": ("template", "A pool file to begin with."),
    "check": ("check", "Is a pool file sound?"),
    "diff": ("diff", "What would a pool file change?"),
    "apply": ("apply", "Make the pool what a pool file says."),
}
EXAMPLES = """
gpuledger pool show --toml > pool.toml    the pool as a file that changes nothing
gpuledger pool diff pool.toml             after it was edited
gpuledger pool apply pool.toml
"""

command = group(
    "pool",
    "gpuledger.cli.commands.pool",
    COMMANDS,
    told="Show, check and change the pool of servers. A change is an event like any other.",
    examples=EXAMPLES,
)
