"""Checkpoints as they are asked for at the command line, the same wherever they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ..replay.checked_tree import Anchor
    from ..replay.problem import Problem
    from .session import Session

Function = Callable[..., None]


def signing_option(function: Function) -> Function:
    """`--key-file`: what to sign with."""
    return click.option("--key-file", metavar="FILE", help="The signing key; else the user's own.")(
        function
    )


def trust_options(function: Function) -> Function:
    """`--signed-by` and `--key-file`: whose signature is believed."""
    for option in (
        click.option(
            "--key-file", metavar="FILE", help="The signing key it was signed with instead."
        ),
        click.option(
            "--signed-by", metavar="KEY", help="Its verifier key, or a file that holds one."
        ),
    ):
        function = option(function)
    return function


def against_options(function: Function) -> Function:
    """`--against`, and whose signature on it is believed."""
    return click.option(
        "--against",
        multiple=True,
        metavar="FILE",
        help="A checkpoint that the log must extend; may be given more than once.",
    )(trust_options(function))


def checkpoints(
    session: Session, against: tuple[str, ...], signed_by: str | None, key_file: str | None
) -> tuple[list[Anchor], list[Problem]]:
    """The checkpoints of `--against` whose signature is good, and a problem for each other.

    Raises BadRequest for a key that no checkpoint goes with.
    """
    if not against:
        _refuse_idle(signed_by, key_file)
        return [], []
    from .anchoring import anchors, checkpoint_file

    told = [checkpoint_file(path, "--against", session.files) for path in against]
    return anchors(told, signed_by, key_file, session.files)


def _refuse_idle(signed_by: str | None, key_file: str | None) -> None:
    """Raise BadRequest where somebody names a key and forgets what it should have signed."""
    for option, told in (("--signed-by", signed_by), ("--key-file", key_file)):
        if told is not None:
            from ..replay.errors import BadRequest

            raise BadRequest(option, told, "the checkpoint that it signed as well: --against FILE")
