"""What is said about a request that is malformed, names what is not there, or is in conflict."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .duration import units_text
from .hostrange import compress, gpu_text
from .printable import printable
from .said import Facts, Said
from .words import _, bare, ids, quoted

MOST_KNOWN = 100
"""A longer list of servers is not told in a sentence."""


def _bad_request(facts: Facts) -> Said:
    field, value = _(facts.text("field")), facts.raw("value")
    expected = _("give {expected}").format(expected=_(facts.text("expected")))
    if value is None or value == ():
        return Said(_("{field} is missing").format(field=field), expected)
    return Said(_("{field} cannot be {value}").format(field=field, value=quoted(value)), expected)


def _bad_configuration(facts: Facts) -> Said:
    """`pool.toml, line 6: …`, by what is wrong there."""
    place = facts.text("path")
    if facts.raw("line") is not None:
        place = _("{path}, line {line}").format(path=place, line=facts.text("line"))
    key, found = facts.text("key"), facts.quoted("found")
    expected = _(facts.text("expected"))
    problem = facts.raw("problem")
    if problem == "syntax":
        sentence, step = _("{place}: this is not {expected}, {found}"), _("mend that line")
    elif problem == "unknown":
        sentence, step = _("{place}: {key} is not known there"), _("use {expected}")
    elif problem == "missing":
        sentence, step = _("{place}: {key} is missing"), _("give {expected}")
    else:
        sentence, step = _("{place}: {key} cannot be {found}"), _("give {expected}")
    if problem == "syntax" and facts.raw("found") is None:
        sentence = _("{place}: this is not {expected}")
    return Said(
        sentence.format(place=place, key=key, found=found, expected=expected),
        step.format(expected=expected),
    )


_NUMBERS = {
    "ended": "{task} does not run any more",
    "never": "{task} is no allocation",
    "lost": "the event {task} is lost, and nobody can tell what it was",
}
"""What is known of a number under which nothing runs."""


def _no_task(facts: Facts) -> Said:
    task, user = str(facts.raw("task")), facts.text("user")
    step = _("gpuledger list shows what runs")
    if servers := [str(one) for one in facts.items("on")]:
        told = _("nothing of that runs on {servers}").format(servers=compress(servers))
        return Said(told, step)
    if task == "any task":
        return Said(_("{user} runs no task").format(user=user), step)
    if facts.raw("waits"):
        leave = _("leave it with gpuledger cancel {task}").format(task=facts.text("task"))
        sentence = _("{task} waits in line and holds nothing")
        return Said(sentence.format(task=facts.text("task")), leave)
    for fact, told in _NUMBERS.items():
        if facts.raw(fact):
            return Said(_(told).format(task=facts.text("task")), step)
    if task.startswith("@"):
        return Said(_("no allocation {task} runs").format(task=facts.text("task")), step)
    return Said(_("no task {task} runs").format(task=facts.quoted("task")), step)


def _no_server(facts: Facts) -> Said:
    server, known = facts.quoted("server"), [str(one) for one in facts.items("known")]
    if facts.raw("gpu") is not None:
        return Said(
            _("{server} has no GPU {gpu}").format(
                server=facts.text("server"), gpu=facts.text("gpu")
            ),
            _("its GPUs are {gpus}").format(gpus=gpu_text(map(int, known))),
        )
    sentence = _("the pool has no server {server}").format(server=server)
    listed = compress(known)
    if facts.raw("here"):
        sentence = _("this machine, {server}, is no server of the pool").format(server=server)
        if listed and len(listed) <= MOST_KNOWN:
            return Said(sentence, _("name one with --on SERVER: {servers}").format(servers=listed))
        return Said(sentence, _("name one with --on SERVER, as gpuledger status lists them"))
    if not listed or len(listed) > MOST_KNOWN:
        return Said(sentence, _("gpuledger status lists the servers"))
    return Said(sentence, _("it has {servers}").format(servers=listed))


def _in_use(facts: Facts) -> Said:
    if facts.raw("waits"):
        return Said(
            _("{user} already waits in line for a task {task}, as {id}").format(
                user=facts.text("user"),
                task=facts.quoted("task"),
                id=ids([facts.raw("allocation")]),
            ),
            _("take another name, or leave the line with gpuledger cancel {task}").format(
                task=facts.text("task")
            ),
        )
    return Said(
        _("{user} already runs a task {task}, as {id}").format(
            user=facts.text("user"),
            task=facts.quoted("task"),
            id=ids([facts.raw("allocation")]),
        ),
        _("take another name, or end it with gpuledger release {task}").format(
            task=facts.text("task")
        ),
    )


def _no_project(facts: Facts) -> Said:
    known = ", ".join(bare(one) for one in facts.items("known"))
    return Said(
        _("the pool has no project {project}").format(project=facts.quoted("project")),
        _("it has {projects}").format(projects=known)
        if len(known) <= MOST_KNOWN
        else _("gpuledger pool show lists its projects"),
    )


def _no_mirror(facts: Facts) -> Said:
    known = [printable(str(one)) for one in facts.items("known")]
    return Said(
        _("the ledger has no mirror in {directory}").format(directory=facts.text("directory")),
        _("it has mirrors in {known}").format(known=", ".join(known))
        if known
        else _("gpuledger mirror add DIR makes one"),
    )


def _no_lease(facts: Facts) -> Said:
    return Said(
        _("{task} ({id}) has no lease that could end later").format(
            task=facts.text("task"), id=ids([facts.raw("allocation")])
        ),
        _("it runs until it is released"),
    )


def _not_waiting(facts: Facts) -> Said:
    step, task = _("gpuledger queue shows who waits"), str(facts.raw("task"))
    if facts.number("request"):
        return Said(
            _("{task} ({id}) waits no longer, somebody took it out of the line").format(
                task=facts.text("task"), id=ids([facts.raw("request")])
            ),
            step,
        )
    if facts.raw("runs"):
        end = _("end it with gpuledger release {task}").format(task=facts.text("task"))
        return Said(_("{task} runs and does not wait").format(task=facts.text("task")), end)
    if task == "any task":
        return Said(_("{user} waits for nothing").format(user=facts.text("user")), step)
    return Said(_("nothing called {task} waits in line").format(task=facts.quoted("task")), step)


def _waited(facts: Facts) -> Said:
    return Said(
        _("{task} was not served within {time}").format(
            task=facts.text("task"), time=units_text(facts.number("waited_s"))
        ),
        _("try again with a longer --wait-for; gpuledger queue shows who waits"),
    )


def _ambiguous(facts: Facts) -> Said:
    numbers, users = facts.items("allocations"), facts.items("users")
    runs = ", ".join(
        f"{ids([number])} ({bare(user)})" for number, user in zip(numbers, users, strict=False)
    )
    return Said(
        _("several users run a task {task}: {runs}").format(task=facts.quoted("task"), runs=runs),
        _("name the one that you mean, such as {id}").format(id=ids(numbers[:1])),
    )


def _server_in_use(facts: Facts) -> Said:
    numbers = facts.items("allocations")
    by_change = {
        "removed": _("{server} cannot be removed while {ids} runs on it",
                     "{server} cannot be removed while {ids} run on it", len(numbers)),
        "shrunk": _("{server} cannot shrink while {ids} holds what would go",
                    "{server} cannot shrink while {ids} hold what would go", len(numbers)),
        "swapped": _("a card of {server} cannot be swapped while {ids} holds it",
                     "cards of {server} cannot be swapped while {ids} hold them", len(numbers)),
    }  # fmt: skip
    sentence = by_change.get(str(facts.raw("change")), _("{server} is in use by {ids}"))
    return Said(
        sentence.format(server=facts.text("server"), ids=ids(numbers)),
        _("drain the server and wait, or end just those with --force --reason TEXT"),
    )


def _not_empty(facts: Facts) -> Said:
    return Said(
        _("a past can be imported only before the first allocation, and event {seq} is one").format(
            seq=facts.text("seq")
        ),
        _("make a ledger for it with gpuledger --ledger FILE init --at TIME --pool FILE"),
    )


def _reason_needed(facts: Facts) -> Said:
    numbers = facts.items("allocations")
    if not numbers:
        return Said(
            _("{act} --force overrides what protects a ledger").format(act=facts.text("act")),
            _("say why with --reason TEXT"),
        )
    return Said(
        _(
            "{act} would end an allocation of somebody else, {ids}",
            "{act} would end {count} allocations of others, {ids}",
            len(numbers),
        ).format(act=facts.text("act"), count=len(numbers), ids=ids(numbers)),
        _("say why with --reason TEXT"),
    )


def _has_ended(facts: Facts) -> Said:
    return Said(
        _("{id} {task}, which that key was answered with, has ended").format(
            id=ids([facts.raw("allocation")]), task=facts.text("task")
        ),
        _("ask with another --key"),
    )


def _signing_key(facts: Facts) -> Said:
    path = facts.text("path")
    told = {
        "missing": (_("there is no signing key {path}"), _("make one with gpuledger keys new")),
        "there": (_("there is a signing key {path} already"), _("move it away, or name another")),
        "open": (_("the signing key {path} is open to others"), _("chmod 600 it, or make another")),
        "none": (_("{path} is no Ed25519 key"), _("name the file that gpuledger keys new made")),
    }
    sentence, step = told.get(str(facts.raw("what")), told["none"])
    return Said(sentence.format(path=path), step)


BY_CODE: Mapping[str, Callable[[Facts], Said]] = {
    "bad_request": _bad_request,
    "bad_configuration": _bad_configuration,
    "signing_key": _signing_key,
    "has_ended": _has_ended,
    "no_such_task": _no_task,
    "no_such_server": _no_server,
    "no_such_project": _no_project,
    "no_such_mirror": _no_mirror,
    "no_lease": _no_lease,
    "not_waiting": _not_waiting,
    "waited_in_vain": _waited,
    "task_in_use": _in_use,
    "ambiguous_task": _ambiguous,
    "server_in_use": _server_in_use,
    "not_empty": _not_empty,
    "reason_needed": _reason_needed,
}
