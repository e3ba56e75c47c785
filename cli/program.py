"""The program: `gpuledger COMMAND` with every command's place and line of help.

A command's module is imported when the command runs, and its line of help stands here, so
that `gpuledger --help` imports none.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

import click

from ..replay.errors import BadRequest
from .options import SETTINGS, Command, shared
from .usage import unknown_command

if TYPE_CHECKING:
    from .errand import Caller

NAME = "gpuledger"
COMPLETION = "_GPULEDGER_COMPLETE"
"""The variable by which a shell asks for completions."""

COMMANDS = {
    "allocate": ("allocate", "Take GPUs and CPUs for a task."),
    "run": ("run", "Run a command with GPUs, and give them back when it ends."),
    "release": ("release", "Give them back."),
    "extend": ("extend", "Let a lease end later."),
    "queue": ("queue", "Who waits in line."),
    "cancel": ("cancel", "Leave the line."),
    "list": ("list", "What runs now, and who holds what."),
    "status": ("status", "What is free on each server, now or at any time."),
    "history": ("history", "Allocations of the past."),
    "audit": ("audit", "Who held what, how much, what was refused; is the record sound?"),
    "init": ("init", "Make a ledger with its pool."),
    "pool": ("pool", "Show, check and change the pool of servers."),
    "drain": ("drain", "No new work on a server or a GPU."),
    "resume": ("resume", "New work there again."),
    "reset": ("reset", "End every allocation."),
    "import": ("importing", "Take over a past that lies in a file."),
    "export": ("export", "The events, one CloudEvents object a line."),
    "backup": ("backup", "A verified copy of the whole record in one file."),
    "restore": ("restore", "Make a ledger again from backups, exports and mirrors."),
    "mirror": ("mirror", "A second copy of the record that grows with it."),
    "salvage": ("salvage", "Get back all that a damaged ledger still holds."),
    "rebuild": ("rebuild", "Make snapshot and projections anew from the log."),
    "keys": ("keys", "The key that checkpoints are signed with."),
    "completion": ("completion", "What a shell needs to complete commands."),
}
"""Each command's module below `cli/commands`, and its line of help."""

SECTIONS = {
    "Every day": (
        "allocate",
        "run",
        "release",
        "extend",
        "queue",
        "cancel",
        "list",
        "status",
    ),
    "The past": ("history", "audit"),
    "The pool": ("init", "pool", "drain", "resume", "reset"),
    "The record": ("import", "export", "backup", "restore", "salvage", "mirror", "rebuild", "keys"),
    "The shell": ("completion",),
}
EXAMPLES = """
gpuledger init --servers 4 --gpus-per-server 8 --cpus-per-server 64
gpuledger allocate train 2 16
gpuledger status
gpuledger release train
"""


class Group(Command, click.Group):
    """A group whose commands are imported when they run; `place` is their package."""

    place = "gpuledger.cli.commands"
    commands_told: Mapping[str, tuple[str, str]] = COMMANDS
    sections: Mapping[str, tuple[str, ...]] = SECTIONS

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command, in the order of the help."""
        del ctx
        return list(self.commands_told)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, imported now."""
        del ctx
        told = self.commands_told.get(cmd_name)
        if told is None:
            return None
        found: click.Command = import_module(f"{self.place}.{told[0]}").command
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the first word names; a misspelt one with what it is like."""
        if args[0] not in self.commands_told and not ctx.resilient_parsing:
            raise unknown_command(ctx, args[0], self.commands_told)
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        """The commands with their lines, none of them imported, and the options."""
        from click.shell_completion import CompletionItem

        told = [
            CompletionItem(name, help=line)
            for name, (_module, line) in self.commands_told.items()
            if name.startswith(incomplete)
        ]
        return [*told, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands by section, each with its line."""
        del ctx
        for title, names in self.sections.items():
            with formatter.section(title):
                formatter.write_dl([(name, self.commands_told[name][1]) for name in names])

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Options, then commands."""
        super().format_options(ctx, formatter)
        self.format_commands(ctx, formatter)


def _remember(**given: Any) -> None:  # noqa: ANN401 - the shared options
    """Keep what stands before the command's name for the command's session."""
    told = cast("dict[str, Any]", click.get_current_context().ensure_object(dict))
    told.update(
        {name: value for name, value in given.items() if value is not None and value is not False}
    )


def group(
    name: str, place: str, commands: dict[str, tuple[str, str]], *, told: str, examples: str
) -> Group:
    """A group of commands inside the package `place`; `told` is its help."""
    made = Group(
        name,
        help=told,
        callback=_remember,
        params=list(shared()),
        add_help_option=False,
        context_settings=SETTINGS,
    )
    made.place = place
    made.commands_told = commands
    made.sections = {"Commands": tuple(commands)}
    made.examples = examples
    return made


def _version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    del param
    if value and not ctx.resilient_parsing:
        from gpuledger import __version__

        sys.stdout.write(f"gpuledger {__version__}\n")
        ctx.exit()


def program() -> Group:
    """The whole command line."""
    made = group(
        "gpuledger",
        Group.place,
        COMMANDS,
        told="Allocates a team's GPUs and keeps the record: the grant is the record.",
        examples=EXAMPLES,
    )
    made.sections = SECTIONS
    made.params.append(
        click.Option(
            ["--version"],
            is_flag=True,
            expose_value=False,
            is_eager=True,
            callback=_version,
            help="Show the version and exit.",
        )
    )
    return made


def run(args: list[str], caller: Caller | None = None) -> None:
    """Run one command, for a `caller` on another machine perhaps; whatever fails is raised."""
    for arg in _own(args):
        if not arg.isprintable() and any("\ud800" <= letter <= "\udfff" for letter in arg):
            raise BadRequest("an argument", arg, "text in UTF-8")
    from .spelling import modern

    whole = program()
    told = {"words": tuple(args), "caller": caller}
    with whole.make_context(NAME, modern(args), obj=told) as ctx:
        whole.invoke(ctx)


def _own(args: list[str]) -> list[str]:
    """The arguments that are this program's: what it is to run may have any."""
    upto = args.index("--") if "run" in args and "--" in args else len(args)
    return args[:upto]


def complete(asked: str) -> int:
    """Answer a shell that completes a command line, as click's scripts for shells ask it."""
    from click.shell_completion import shell_complete

    return shell_complete(program(), {}, NAME, COMPLETION, asked)
