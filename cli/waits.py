"""Leases and waiting as they are asked for at the command line, the same wherever they are."""

from __future__ import annotations

import math
from collections.abc import Callable

import click

from .session import Session
from .usage import one_of
from .words import _


def lease_option(function: Callable[..., None]) -> Callable[..., None]:
    """`--lease`: after which time the allocation ends by itself."""
    return click.option(
        "--lease", metavar="TIME", help="Ends by itself after TIME, such as 8h or 2d12h."
    )(function)


def wait_options(function: Callable[..., None]) -> Callable[..., None]:
    """`--wait` and `--wait-for`: stand in line where there is no room."""
    for option in (
        click.option("--wait-for", metavar="TIME", help="Wait in line, but no longer than TIME."),
        click.option("--wait", is_flag=True, help="Wait in line where there is no room."),
    ):
        function = option(function)
    return function


def lease_s(text: str | None) -> int | None:
    """The seconds of `--lease`. Raises BadRequest."""
    if text is None:
        return None
    from .duration import parse_duration

    return parse_duration(text, field="--lease")


def wait_s(*, wait: bool, wait_for: str | None) -> float:
    """How many seconds to wait in line: 0 for not at all, infinite for as long as it takes."""
    if wait and wait_for is not None:
        raise one_of("--wait", "--wait-for")
    if wait_for is not None:
        from .duration import parse_duration

        return float(parse_duration(wait_for, field="--wait-for"))
    return math.inf if wait else 0.0


def tell_waiting(session: Session, limit_s: float) -> Callable[[int], None]:
    """What is said when a request stands in line."""

    def told(number: int) -> None:
        time = ""
        sentence = _("waiting in line as @{id}; Ctrl-C leaves it, gpuledger queue shows it")
        if math.isfinite(limit_s):
            from .duration import units_text

            time = units_text(int(limit_s))
            sentence = _(
                "waiting in line as @{id} for {time} at most; Ctrl-C leaves it,"
                " gpuledger queue shows it"
            )
        session.notice(sentence.format(id=number, time=time))

    return told
