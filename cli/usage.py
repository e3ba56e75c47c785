"""Usage: what is said where the words of a command do not make one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import click

from .printable import printable
from .said import Said
from .words import _, quoted


class Misused(click.UsageError):
    """Words that do not go together: `sentence` says which, `step` what would."""

    def __init__(self, sentence: str, step: str) -> None:
        super().__init__(sentence)
        self.step = step


def one_of(*options: str) -> Misused:
    """The failure of options that exclude each other."""
    *some, last = options
    names = _("{some} and {last}").format(some=", ".join(some), last=last)
    return Misused(_("{options} exclude each other").format(options=names), _("give one of them"))


def unknown_command(ctx: click.Context, word: str, known: Iterable[str]) -> Misused:
    """The failure of a word that is no command."""
    from difflib import get_close_matches

    told = _("see {command} --help").format(command=ctx.command_path)
    whole = " ".join((*ctx.command_path.split()[1:], word))
    sentence = _("there is no command {name}").format(name=quoted(whole))
    return Misused(sentence, _guess(get_close_matches(word, known), told))


def usage_said(error: click.ClickException) -> Said:
    """The sentence for what click found wrong, or a command of ours."""
    if isinstance(error, Misused):
        return Said(error.message, error.step)
    context = getattr(error, "ctx", None)
    told = _("see {command} --help").format(
        command=context.command_path if context else "gpuledger"
    )
    if isinstance(error, click.NoSuchOption):
        sentence = _("there is no option {name}").format(name=printable(error.option_name))
        return Said(sentence, _guess(error.possibilities or (), told))
    if isinstance(error, click.MissingParameter) and error.param is not None:
        name = error.param.human_readable_name
        return Said(_("{name} is missing").format(name=name.removesuffix("...")), told)
    sentence = printable(error.format_message()).strip().rstrip(".")
    return Said(sentence[:1].lower() + sentence[1:], told)


def _guess(possibilities: Sequence[str], told: str) -> str:
    """What was meant, where there is one guess; several are no help."""
    if len(possibilities) != 1:
        return told
    return _("did you mean {name}? {told}").format(name=possibilities[0], told=told)
