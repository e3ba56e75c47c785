"""What is said where a limit stands in the way: which one, what is used, and when it could fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .duration import units_text
from .said import Facts, Said
from .timetext import local_text
from .words import _, bare, cpu_count, gpu_count

if TYPE_CHECKING:
    from ..replay.limit import Breach


def limit(facts: Facts) -> Said:
    """The sentence for a refusal by a limit; its fact `breach` is a `replay.limit.Breach`."""
    breach: Breach | None = facts.raw("breach")
    if breach is None:
        return Said(
            _("this is above a limit of the pool"), _("gpuledger pool show tells the limits")
        )
    said = SENTENCES.get(breach.what, _at_once)(breach)
    return Said(said.sentence, _longer(facts)) if facts.raw("act") == "extend" else said


def _longer(facts: Facts) -> str:
    """What can be done where an extension is refused, which nobody can wait for."""
    most = facts.number("most")
    if most:
        return _("extend it by at most {most}").format(most=units_text(most))
    return _("it may not end later for now; gpuledger pool show tells the limits")


def _whose(breach: Breach) -> str:
    who = bare(breach.who)
    if breach.scope == "project":
        return _("project {name}").format(name=who)
    return who if breach.scope == "user" else _("a task")


def _count(what: str, count: int) -> str:
    return cpu_count(count) if what == "cpus" else gpu_count(count)


def _at_once(breach: Breach) -> Said:
    if not breach.used:
        sentence = _("{asked} are above the limit of {allowed} for {whose}").format(
            asked=_count(breach.what, breach.asked), allowed=breach.allowed, whose=_whose(breach)
        )
        return Said(sentence, _("ask for at most {allowed}").format(allowed=breach.allowed))
    sentence = _("the limit for {whose} is {allowed} at once: {used} in use, {asked} asked for")
    return Said(
        sentence.format(
            whose=_whose(breach),
            allowed=_count(breach.what, breach.allowed),
            used=breach.used,
            asked=breach.asked,
        ),
        _when(breach),
    )


def _lease(breach: Breach) -> Said:
    most = units_text(breach.allowed)
    sentence = _("a lease of {asked} is above the limit of {most} for {whose}")
    return Said(
        sentence.format(asked=units_text(breach.asked), most=most, whose=_whose(breach)),
        _("ask for at most {most}, and extend it while it runs").format(most=most),
    )


def _hours(breach: Breach) -> Said:
    sentence = _(
        "the limit for {whose} is {allowed} GPU-hours in {window}: {used} are used or promised,"
        " {asked} asked for"
    )
    return Said(
        sentence.format(
            whose=_whose(breach),
            allowed=_hours_text(breach.allowed),
            window=units_text(breach.window or 0),
            used=_hours_text(breach.used),
            asked=_hours_text(breach.asked),
        ),
        _when(breach),
    )


def _hours_text(seconds: int) -> str:
    """Whole hours, or one decimal: `120`, `1.5`."""
    tenths = round(seconds / 360)
    return str(tenths // 10) if tenths % 10 == 0 else f"{tenths // 10}.{tenths % 10}"


def _when(breach: Breach) -> str:
    if not breach.passes:
        return _("ask for less; gpuledger pool show tells the limits")
    if breach.free_at is None:
        return _("release something, or wait for it with --wait")
    from .zone import local_zone

    time = local_text(breach.free_at, local_zone())
    return _("it could fit by {time}; wait for it with --wait").format(time=time)


SENTENCES = {"lease": _lease, "gpu_hours": _hours}
