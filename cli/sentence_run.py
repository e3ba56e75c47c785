"""What is said about a command that could not be run."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .said import Facts, Said
from .words import _


def _missing(facts: Facts) -> Said:
    command = facts.quoted("command")
    if "/" in facts.text("command"):
        return Said(_("there is no file {command}").format(command=command), _("check its path"))
    return Said(
        _("there is no command {command}").format(command=command),
        _("check its spelling, or give the path of its file"),
    )


def _refused(facts: Facts) -> Said:
    if facts.raw("interpreter"):
        return Said(
            _("{command} cannot be executed: there is no {interpreter} to read it").format(
                command=facts.quoted("command"), interpreter=facts.quoted("interpreter")
            ),
            _("correct its first line, or name the program that reads it in front of it"),
        )
    return Said(
        _("{command} cannot be executed: {reason}").format(
            command=facts.quoted("command"), reason=facts.text("reason")
        ),
        _("make it executable with chmod +x, or name the program that reads it in front of it"),
    )


BY_CODE: Mapping[str, Callable[[Facts], Said]] = {
    "command_missing": _missing,
    "command_refused": _refused,
}
