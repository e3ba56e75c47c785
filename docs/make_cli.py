"""Makes docs/CLI.md of what every command says with --help: `python docs/make_cli.py`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from gpuledger.cli import exit as exits
from gpuledger.cli.program import NAME, program

HERE = Path(__file__).with_name("CLI.md")
WIDTH = 98
"""Places for help on a terminal of 100: two stay free on its right."""
OPENING = """\
# The command line

What `gpuledger COMMAND --help` says, of every command. This file is made by
`docs/make_cli.py`; sessions with all that is printed are in `tests/transcripts`, and
the shape of each JSON document is in [schemas](schemas).
"""


def pages(
    command: click.Command, name: str, above: click.Context | None = None
) -> Iterator[tuple[str, str]]:
    """Each command below this one with its whole name and its page, itself first."""
    context = click.Context(
        command, parent=above, info_name=name, terminal_width=WIDTH, max_content_width=WIDTH
    )
    yield context.command_path, context.get_help()
    if isinstance(command, click.Group):
        for inner in command.list_commands(context):
            found = command.get_command(context, inner)
            assert found is not None
            yield from pages(found, inner, context)


def exit_codes() -> str:
    """The exit codes as a list, from the words of their module."""
    told = " ".join((exits.__doc__ or "").partition("\n\n")[2].split()).rstrip(".")
    lines = "".join(f"- **{code}** {means}\n" for code, _, means in _codes(told))
    return f"## Exit codes\n\n{lines}"


def _codes(told: str) -> Iterator[tuple[str, str, str]]:
    for one in told.split(" · "):
        yield one.partition(" ")


def document() -> str:
    """The whole of docs/CLI.md."""
    parts = [OPENING]
    for name, page in pages(program(), NAME):
        parts.append(f"## {name}\n\n```text\n{page.rstrip()}\n```\n")
    return "\n".join([*parts, exit_codes()])


if __name__ == "__main__":
    HERE.write_text(document(), encoding="utf-8")
