"""`gpuledger completion`: what a shell needs to complete commands, servers and tasks."""

from __future__ import annotations

import click

from ..options import define
from ..session import Session

EXAMPLES = """
eval "$(gpuledger completion bash)"                                  in ~/.bashrc
eval "$(gpuledger completion zsh)"                                   in ~/.zshrc, after compinit
gpuledger completion fish > ~/.config/fish/completions/gpuledger.fish
"""


@define("completion", examples=EXAMPLES, here=True)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(session: Session, *, shell: str) -> None:
    """Print the lines that make SHELL complete commands, options, servers and tasks."""
    from click.shell_completion import ShellComplete, get_completion_class

    from ..program import COMPLETION, NAME

    found = get_completion_class(shell)
    assert found is not None
    made = found(click.get_current_context().find_root().command, {}, NAME, COMPLETION)
    # The base class' way, since bash's own first runs a bash to see how old it is.
    script = ShellComplete.source(made).strip("\n")
    if session.json:
        session.document({"shell": shell, "script": script})
    else:
        session.text(script)
