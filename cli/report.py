"""A report: the window that it is about, and the head that it was made from.

Both are printed with every report, so that two people who compare theirs know whether
they speak of the same. The window goes to stderr, where no program trips over it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import tzinfo
from typing import TYPE_CHECKING, TypeVar

import click

from ..replay.errors import BadRequest
from ..replay.spent import SECOND_US
from .timetext import elapsed_text, local_text
from .words import _

if TYPE_CHECKING:
    from ..handle import Ledger
    from ..ledger.event import Head
    from ..replay.interval import Window
    from .session import Session

DIGITS = 16
"""Hex digits of a hash that are printed for people."""

Function = TypeVar("Function", bound=Callable[..., None])


def windowed(function: Function) -> Function:
    """Give a command `-S`, `-E` and `--month`."""
    for option in (
        click.option("--month", metavar="MONTH", help="A local month: 2026-03, last-month."),
        click.option(
            "-E", "--until", "--endtime", "until", metavar="TIME",
            help="The end of the window, itself outside (now).",
        ),
        click.option(
            "-S", "--since", "--starttime", "since", metavar="TIME",
            help="The start of the window (7 days before its end).",
        ),
    ):  # fmt: skip
        function = option(function)
    return function


def now_of(session: Session, ledger: Ledger) -> int:
    """The command's one `now`; behind the last event where this machine's clock is not."""
    return max(session.now_us, ledger.head().at + 1)


def window_of(
    session: Session, now_us: int, since: str | None, until: str | None, month: str | None
) -> Window:
    """The window that was asked for. Raises BadRequest."""
    from .window import parse_window

    return parse_window(since, until, month, now_us=now_us, zone=session.zone)


def tell_window(session: Session, window: Window) -> None:
    """Say on stderr which window is in use; a JSON document holds it itself."""
    if not session.json:
        session.notice(window_text(window, session.zone))


def window_text(window: Window, zone: tzinfo) -> str:
    """`window 2026-03-01T00:00:00+01:00 up to 2026-04-01T00:00:00+02:00 (30-23:00:00)`."""
    if not window.from_us:
        return _("window of all time up to {end}").format(end=local_text(window.to_us, zone))
    return _("window {start} up to {end} ({length})").format(
        start=local_text(window.from_us, zone),
        end=local_text(window.to_us, zone),
        length=elapsed_text((window.to_us - window.from_us) // SECOND_US),
    )


def tell_head(session: Session, head: Head) -> None:
    """End an audit report with its head: below a table, beside a CSV file; JSON holds it itself."""
    if session.csv:
        session.notice(head_text(head.seq, head.hash))
    elif not session.json:
        session.say(head_text(head.seq, head.hash))


def head_text(seq: int, digest: bytes) -> str:
    """`head 48213:9f3c0123456789ab`."""
    return f"head {seq}:{digest.hex()[:DIGITS]}"


def expected_head(text: str | None) -> tuple[int, str] | None:
    """The seq and hex digits of `SEQ:HASH`. Raises BadRequest."""
    if text is None:
        return None
    seq, _colon, digits = text.removeprefix("head ").strip().partition(":")
    numbered = seq.isascii() and seq.isdigit() and len(seq) <= DIGITS and int(seq) > 0
    hexed = DIGITS <= len(digits) <= 64 and set(digits.lower()) <= set("0123456789abcdef")
    if not (numbered and hexed):
        raise BadRequest(
            "--expect", text, "SEQ:HASH with 16 to 64 hex digits, as a report's last line tells it"
        )
    return int(seq), digits.lower()
