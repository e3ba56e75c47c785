"""What every command is made with: the options they share, its examples, and a session.

`@define(...)` turns a function `(session, **arguments) -> None` into a click command. The
shared options may stand before or behind the command's name; what stands behind counts.
"""

from __future__ import annotations

import gc
import re
import sys
from collections.abc import Callable, Mapping
from typing import Any, cast

import click

from ..replay.errors import BadRequest
from .optionalvalue import spelled_out
from .output import SEQUENCES
from .session import Session
from .usage import Misused, one_of
from .words import _

SHARED = ("ledger", "lock_timeout_s", "json", "csv")
"""The options that end in the session."""

OWN, EVERYWHERE = "Options", "Options of every command"

SETTINGS = {"max_content_width": 100}

_NEGATIVE = re.compile("-[0-9.]")
_MARK = "\0"
"""No argument of a process can hold this letter."""

Function = Callable[..., None]


def completed(kind: str) -> Callable[[click.Context, click.Parameter, str], list[Any]]:
    """The completer `kind` of the module `completing`, which is loaded when a shell asks."""

    def offer(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
        from . import completing

        offered: list[Any] = getattr(completing, kind)(ctx, param, incomplete)
        return offered

    return offer


def whole(field: str) -> Callable[[str], int]:
    """The type of a count; `field` names it in the complaint."""

    def read(text: str) -> int:
        digits = text.removeprefix("-")
        if not (digits.isascii() and digits.isdigit() and len(digits) <= 9):
            raise BadRequest(field, text, "a whole number from 1 up")
        return int(text)

    return read


def _seconds(text: str) -> float:
    from .duration import units_s

    told = text.strip().lower()
    found = units_s(told)
    if found is None and re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,6})?", told):
        return float(told)
    if found is None:
        raise BadRequest("--lock-timeout", text, "seconds such as 60, or 2m")
    return float(found)


class Command(click.Command):
    """A command whose help ends with examples, and for which `-1` and `-6h` are values."""

    examples: str = ""

    def make_parser(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's parser, wrapped
        """Click's parser, told that a minus and a digit begin no option."""
        return _Parser(super().make_parser(ctx))

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Click's own, once it is settled which word belongs to an option that may stand alone."""
        return super().parse_args(ctx, spelled_out(self, ctx, args))

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The command's own options, then those that every command has."""
        sections: dict[str, list[tuple[str, str]]] = {OWN: [], EVERYWHERE: []}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx) if isinstance(param, click.Option) else None
            if record is not None:
                sections[EVERYWHERE if param.name in (*SHARED, "help") else OWN].append(record)
        for title, records in sections.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The examples, line by line as they are typed."""
        del ctx
        if self.examples:
            with formatter.section("Examples"):
                for line in self.examples.strip().splitlines():
                    formatter.write(f"{'':>{formatter.current_indent}}{line.strip()}\n")


class _Parser:
    """Click's parser behind a mark on each negative number, so that none is taken for an option."""

    def __init__(self, parser: Any) -> None:  # noqa: ANN401 - its class has no public name
        self._parser = parser

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever else click asks of it
        """All but `parse_args` is click's own."""
        return getattr(self._parser, name)

    def parse_args(self, args: list[str]) -> tuple[Any, Any, Any]:
        """Options, what is left over, and the order, as click's own."""
        marked = [_MARK + arg if _NEGATIVE.match(arg) else arg for arg in args]
        options, rest, order = self._parser.parse_args(args=marked)
        return {name: _unmarked(value) for name, value in options.items()}, _unmarked(rest), order


def _unmarked(value: Any) -> Any:  # noqa: ANN401 - texts, and lists of them
    if isinstance(value, str):
        return value.removeprefix(_MARK)
    return [_unmarked(one) for one in value] if isinstance(value, SEQUENCES) else value


def shared(*, csv: bool = False) -> list[click.Option]:
    """The options that every command has; `csv` for those that print a table."""
    options = [
        click.Option(
            ["--ledger"],
            metavar="FILE",
            help="The ledger, also ssh://HOST/PATH, where it is not the usual one.",
            shell_complete=completed("files"),
        ),
        click.Option(
            ["--lock-timeout", "lock_timeout_s"],
            type=_seconds,
            metavar="SECONDS",
            help="How long to wait for other writers (60 seconds).",
        ),
        click.Option(["--json"], is_flag=True, help="The answer as one JSON document."),
    ]
    if csv:
        options.append(click.Option(["--csv"], is_flag=True, help="The table as CSV."))
    return [*options, _help()]


def _help() -> click.Option:
    """`--help`, made here, since click's own loads translations before anybody asked for help."""

    def show(ctx: click.Context, param: click.Parameter, value: bool) -> None:
        del param
        if value and not ctx.resilient_parsing:
            sys.stdout.write(f"{ctx.get_help()}\n")
            ctx.exit()

    return click.Option(
        ["-h", "--help"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=show,
        help="Show this page.",
    )


def define(
    name: str,
    *,
    examples: str,
    csv: bool = False,
    here: bool = False,
    runs: bool = False,
) -> Callable[[Function], Command]:
    """Make a command of a function `(session, **arguments)`; `examples` end its help.

    Where the ledger lies on another machine the command runs there, unless it is one that
    always runs `here`. One that `runs` another takes that one's options for arguments, with or
    without `--`.
    """

    def make(function: Function) -> Command:
        def run(**given: Any) -> None:  # noqa: ANN401 - whatever the options are
            gc.enable()  # `entry.main` put it off while modules were imported
            session = session_of(given)
            if here and session.caller is not None:
                raise Misused(
                    _("{command} is never run for another machine").format(command=name),
                    _("run it there"),
                )
            if not here and session.location.far is not None:
                from .sending import send

                send(session, given)
            if session.caller is not None and given.get("key", "") is None:
                given["key"] = session.caller.errand.key
            with session:
                function(session, **given)

        params: list[click.Parameter] = list(reversed(getattr(function, "__click_params__", [])))
        made = Command(
            name,
            callback=run,
            params=[*params, *shared(csv=csv)],
            help=function.__doc__,
            add_help_option=False,
            context_settings={**SETTINGS, "allow_interspersed_args": not runs},
        )
        made.examples = examples
        return made

    return make


def session_of(given: dict[str, Any]) -> Session:
    """The session of a command; takes the shared options out of what it was given."""
    told = dict(before_name(click.get_current_context()))
    for option in SHARED:
        value = given.pop(option, None)
        if value is not None and value is not False:
            told[option] = value
    if told.get("json") and told.get("csv"):
        raise one_of("--json", "--csv")
    return Session(**told)


def before_name(ctx: click.Context) -> Mapping[str, Any]:
    """The shared options as they stood before the command's name."""
    return cast("dict[str, Any] | None", ctx.find_object(dict)) or {}
