"""What is said about what a ledger is made of again, and about mirrors."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .printable import printable
from .said import Facts, Said
from .words import _


def _no_history(facts: Facts) -> Said:
    paths = ", ".join(printable(str(path)) for path in facts.items("paths"))
    return Said(
        _("no history begins in {paths}: event 1 is missing").format(paths=paths),
        _("name more sources: a backup, an export, a mirror"),
    )


def _does_not_extend(facts: Facts) -> Said:
    from ..replay.problem import Problem
    from .sentence_problem import problem_sentence

    what, seq = str(facts.raw("problem")), facts.raw("seq")
    problem = Problem(seq if isinstance(seq, int) else None, what, facts.text("detail"))
    if what == "signature":
        return Said(problem_sentence(problem), _("name the key that did it with --signed-by KEY"))
    return Said(
        problem_sentence(problem),
        _("name sources that reach it, or go back behind it with --force --reason TEXT"),
    )


def _other_ledger(facts: Facts) -> Said:
    if facts.raw("place"):
        told = _("{path} is the place of the ledger {found}, and what is made again is {expected}")
        step = _("make a new file with -o NEW, or take that place with --force --reason TEXT")
    else:
        told = _("{path} is of the ledger {found}, and what is made again is {expected}")
        step = _("name copies of one ledger alone")
    sentence = told.format(
        path=facts.text("path"), found=facts.text("found"), expected=facts.text("expected")
    )
    return Said(sentence, step)


def _no_mirror(facts: Facts) -> Said:
    """Why no mirror can be there."""
    told = {
        "gone": _("the folder {directory} is not there"),
        "full": _("the disk that holds {directory} is full"),
        "read_only": _("the disk that holds {directory} can only be read"),
        "not_permitted": _("this user may not write to {directory}"),
        "diverged": _("the mirror in {directory} is not of this ledger: {why}"),
    }.get(str(facts.raw("trouble")), _("{directory} cannot be written: {why}"))
    if facts.raw("trouble") == "diverged":
        step = _("put aside what lies there, or name another folder")
    else:
        step = _("mend that, or name another folder, which must be there")
    return Said(told.format(directory=facts.text("directory"), why=facts.text("why")), step)


BY_CODE: Mapping[str, Callable[[Facts], Said]] = {
    "no_history": _no_history,
    "does_not_extend": _does_not_extend,
    "other_ledger": _other_ledger,
    "mirror_unusable": _no_mirror,
}
