"""What is said about the way to a ledger on another machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .said import Facts, Said
from .words import _


def _no_ssh(facts: Facts) -> Said:
    return Said(
        _("{program} cannot be run here: {why}").format(
            program=facts.text("program"), why=facts.text("why")
        ),
        _("install an OpenSSH client, or name a ledger of this machine with --ledger FILE"),
    )


def _not_reached(facts: Facts) -> Said:
    return Said(
        _("no connection to {place} came about").format(place=facts.text("place")),
        _("ssh says why; then try again: {command}").format(command=facts.text("command")),
    )


def _lost(facts: Facts) -> Said:
    place, command, act = facts.text("place"), facts.text("command"), facts.raw("act")
    if act == "read":
        sentence = _("the connection to {place} was lost before all of the answer came")
    elif act == "run":
        sentence = _("the connection to {place} was lost")
    else:
        sentence = _("the connection to {place} was lost, and whether it was done is not known")
    if act == "bare":
        step = _("gpuledger status and gpuledger history show it; or try again: {command}")
    elif act == "keyed":
        step = _("try again, which does it once in any case: {command}")
    else:
        step = _("try again: {command}")
    return Said(sentence.format(place=place), step.format(command=command))


def _far_failed(facts: Facts) -> Said:
    place, status = facts.text("place"), facts.text("status")
    return Said(
        _("what was asked of {place} ended there with {status}").format(place=place, status=status),
        _("gpuledger list shows what is held"),
    )


def _not_there(facts: Facts) -> Said:
    place, word = facts.text("place"), facts.text("word")
    return Said(
        _(
            "gpuledger is not installed on {place}, or {word} is not on the PATH of commands"
            " run through ssh there ({status})"
        ).format(place=place, word=word, status=facts.text("status")),
        _("install it there, and link {word} into /usr/local/bin").format(word=word),
    )


def _versions(facts: Facts) -> Said:
    here, there = facts.text("here"), facts.text("there")
    return Said(
        _("gpuledger is {here} here and {there} on {place}").format(
            here=here, there=there, place=facts.text("place")
        ),
        _("install the same release in both places"),
    )


def _second_hop(facts: Facts) -> Said:
    place, ledger = facts.text("place"), facts.text("ledger")
    return Said(
        _("the ledger of {place} lies on another machine, at {ledger}").format(
            place=place, ledger=ledger
        ),
        _("name that one: gpuledger --ledger {ledger}").format(ledger=ledger),
    )


BY_CODE: Mapping[str, Callable[[Facts], Said]] = {
    "no_ssh": _no_ssh,
    "not_reached": _not_reached,
    "connection_lost": _lost,
    "far_failed": _far_failed,
    "not_there": _not_there,
    "versions_differ": _versions,
    "second_hop": _second_hop,
}
