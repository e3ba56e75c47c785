"""What backup and restore have in common: whose matter they are, and what they found."""

from __future__ import annotations

import os
from collections.abc import Sequence

from ..replay.errors import BadRequest
from ..replay.problem import Problem
from .poolsource import shown
from .session import Session
from .usage import Misused
from .words import _


def only_there(session: Session, command: str) -> None:
    """Raise Misused where the ledger lies on another machine: files are made where it lies."""
    if session.location.far is not None:
        raise Misused(
            _("{command} makes files beside the ledger, which lies on another machine").format(
                command=command
            ),
            _("run it there"),
        )


def is_there(path: str, field: str, expected: str = "a file or a folder that is there") -> None:
    """Raise BadRequest where nothing lies at the path of what a ledger is to be made of.

    Where one may not look, whoever reads it says so.
    """
    try:
        os.lstat(path)
    except PermissionError:
        pass
    except OSError:
        raise BadRequest(field, shown(path), expected) from None


def tell_problems(session: Session, problems: Sequence[Problem]) -> None:
    """What the verifier found in the new file, and that it was found in the events."""
    if not problems:
        return
    from .sentence_problem import problem_sentence

    for problem in problems:
        session.say(problem_sentence(problem))
    told = _(
        "the file is written, and has {count} problem",
        "the file is written, and has {count} problems",
        len(problems),
    )
    session.say(told.format(count=len(problems)))
