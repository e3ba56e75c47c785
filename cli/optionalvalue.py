"""An option that may stand alone or with one of a few words: `--export`, `--export=mpi`.

A word of its own behind the option (`--export mpi`) is its value only where that cannot be
anything else: a command line that made sense with the option alone, such as `allocate --export
mpi 2` for a task of that name, keeps its meaning.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from ..ledger.errors import GpuledgerError
from ..replay.errors import BadRequest

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


class OptionalValue(click.Option):
    """An option whose value is one of `words`, an empty text where it stands alone."""

    def __init__(self, names: Sequence[str], *, words: tuple[str, ...], help: str) -> None:  # noqa: A002 - click's word
        super().__init__(names, type=self._word, metavar="[FORM]", help=help)
        self.words = words

    def _word(self, text: str) -> str:
        if text and text not in self.words:
            *some, last = self.words
            raise BadRequest(self.opts[0], text, f"{', '.join(some)} or {last}, or no value")
        return text

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The words."""
        from click.shell_completion import CompletionItem

        del ctx
        return [CompletionItem(word) for word in self.words if word.startswith(incomplete)]


def spelled_out(command: click.Command, ctx: click.Context, args: list[str]) -> list[str]:
    """The arguments with each such option bound to its value by an equals sign."""
    ours = {
        name: param
        for param in command.params
        if isinstance(param, OptionalValue)
        for name in param.opts
    }
    if not ours.keys() & set(args):
        return args
    alone = list(args)
    followed: list[int] = []
    for at in _options(command, args):
        if args[at] in ours:
            alone[at] = f"{args[at]}="
            if args[at + 1 : at + 2] and args[at + 1] in ours[args[at]].words:
                followed.append(at)
    if not followed or _makes_sense(command, ctx, alone):
        return alone
    for at in reversed(followed):
        alone[at : at + 2] = [alone[at] + args[at + 1]]
    return alone


def _options(command: click.Command, args: Sequence[str]) -> Iterator[int]:
    """Where an option may stand: not behind one that takes a value, not behind `--`."""
    taking = {
        name
        for param in command.params
        if isinstance(param, click.Option)
        and not (param.is_flag or isinstance(param, OptionalValue))
        for name in param.opts
    }
    at = 0
    while at < len(args) and args[at] != "--":
        yield at
        at += 2 if args[at] in taking else 1


def _makes_sense(command: click.Command, ctx: click.Context, args: list[str]) -> bool:
    """Whether every argument is there and of its type, and nothing is left over."""
    try:
        values, left, _order = command.make_parser(ctx).parse_args(args=list(args))
        for param in command.params:
            if not isinstance(param, click.Argument):
                continue
            value: object = values.get(str(param.name))
            if isinstance(value, str):
                param.type_cast_value(ctx, value)
            elif param.required:
                return False
    except (click.UsageError, GpuledgerError):
        return False
    return not left
