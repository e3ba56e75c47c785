"""What is said about the ledger itself: where it lies, who holds it, what is broken."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .said import Facts, Said
from .words import _

_ONCE_ONE = ("a file that is no database", "an empty file")
"""What a ledger is taken for once its first page is gone, or all of it."""


_INSTEAD = {
    "neither a ledger nor an export": "name a backup, an export or a mirror's folder",
    "a folder without a mirror": "name a mirror's folder, or the file that is meant",
    "a folder with the mirrors of several ledgers": "name one of the folders in it",
    "a pipe or a device, which cannot be read again and again": (
        "write what it gives to a file first, and name that"
    ),
    "a file that is no mirror's segment": "name a mirror's folder, or one of its segments",
}
"""What is found in place of a mirror or of what a ledger is made of again, and the next step."""


def _missing(facts: Facts) -> Said:
    return Said(
        _("there is no ledger at {path}").format(path=facts.text("path")),
        _(
            "make your own with gpuledger init, or a team's with sudo gpuledger init"
            " --group NAME, or name another with --ledger FILE"
        ),
    )


def _exists(facts: Facts) -> Said:
    path = facts.text("path")
    if facts.raw("what") == "lock":
        return Said(
            _("a lock file lies beside {path} already, without its ledger").format(path=path),
            _("put it aside if its ledger is gone for good, or name another with --ledger FILE"),
        )
    if facts.raw("what") == "new":
        return Said(_("a file lies at {path} already").format(path=path), _("name another"))
    if facts.raw("what") == "neighbour":
        return Said(
            _("{path} is the name of a file that belongs to the one beside it").format(path=path),
            _("name another"),
        )
    if facts.raw("what") == "other":
        return Said(
            _("what lies at {path} is no backup, and nothing else is replaced").format(path=path),
            _("name another"),
        )
    if facts.raw("what") == "file":
        return Said(
            _("a file lies at {path} already").format(path=path),
            _("name another, or replace it with --overwrite"),
        )
    return Said(
        _("a ledger lies at {path} already").format(path=path),
        _("use it as it is (gpuledger pool apply changes its pool), or name another with --ledger"),
    )


def _not_a_ledger(facts: Facts) -> Said:
    path, found = facts.text("path"), facts.text("found")
    step = _("name the file of a ledger with --ledger FILE")
    if found in _INSTEAD:
        return Said(_("{path} is {found}").format(path=path, found=_(found)), _(_INSTEAD[found]))
    if found in _ONCE_ONE:
        step = _(
            "name the file of a ledger with --ledger FILE; if it was one, gpuledger salvage {path}"
            " -o NEW gets back what can be had"
        ).format(path=path)
    return Said(_("{path} is no ledger but {found}").format(path=path, found=_(found)), step)


def _newer(facts: Facts) -> Said:
    return Said(
        _("{path} has format {found}, and this release knows formats up to {known}").format(
            path=facts.text("path"), found=facts.text("found"), known=facts.text("known")
        ),
        _("upgrade gpuledger to the release that made it, or a later one"),
    )


def _unknown_event(facts: Facts) -> Said:
    return Said(
        _("event {seq} is {kind}, version {version}, which this release does not know").format(
            seq=facts.text("seq"), kind=facts.text("kind"), version=facts.text("version")
        ),
        _("upgrade gpuledger to the release that wrote it, or a later one"),
    )


def _network(facts: Facts) -> Said:
    return Said(
        _(
            "{path} lies on {filesystem}, a network filesystem, whose locks cannot be relied on"
        ).format(path=facts.text("path"), filesystem=facts.text("filesystem")),
        _("put the ledger on a local disk of one machine, such as /var/lib/gpuledger"),
    )


def _not_permitted(facts: Facts) -> Said:
    wanted = {
        "read": _("this user may not read {path}"),
        "write": _("this user may not write to {path}"),
        "create": _("this user may not make {path}"),
    }.get(str(facts.raw("wanted")), _("this user may not use {path}"))
    group = facts.raw("group")
    return Said(
        wanted.format(path=facts.text("path")),
        _("ask an admin of this machine to add you to the group {group}").format(
            group=facts.text("group")
        )
        if group
        else _("ask the owner of the file, or name another"),
    )


def _storage(facts: Facts) -> Said:
    if facts.raw("full"):
        return Said(
            _("the disk that holds {path} is full").format(path=facts.text("path")),
            _("make room there and try again"),
        )
    return Said(
        _("{path} cannot be read or written: {why}").format(
            path=facts.text("path"), why=facts.text("why")
        ),
        _("look at the disk and the system's log, then try again"),
    )


def _salvage(facts: Facts) -> str:
    return _(
        "gpuledger audit verify tells more, and gpuledger salvage {path} -o NEW gets back what can"
        " be had, from mirrors and backups too; let nothing else write to it before"
    ).format(path=facts.text("path") or "LEDGER")


def _ledger(facts: Facts) -> str:
    return facts.text("path") or _("the ledger")


def _damaged(facts: Facts) -> Said:
    return Said(
        _("{ledger} is damaged: {why}").format(ledger=_ledger(facts), why=facts.text("why")),
        _salvage(facts),
    )


def _broken(facts: Facts) -> Said:
    return Said(
        _("event {seq} of {ledger} does not hold: {why}").format(
            seq=facts.text("seq"), ledger=_ledger(facts), why=facts.text("why")
        ),
        _salvage(facts),
    )


def _lost(facts: Facts) -> Said:
    first, last = facts.number("first"), facts.number("last")
    if facts.raw("why") == "another event than noted":
        sentence = _("event {last} of {ledger} is another than the one that was written last")
    else:
        sentence = _(
            "{ledger} has lost event {first}, which was written and acknowledged",
            "{ledger} has lost events {first} to {last}, which were written and acknowledged",
            last - first + 1,
        )
    return Said(sentence.format(ledger=_ledger(facts), first=first, last=last), _salvage(facts))


def _nothing(facts: Facts) -> Said:
    return Said(
        _("no event of {ledger} is left").format(ledger=_ledger(facts)),
        _("name its mirrors with --mirror DIR and its backups with --backup FILE"),
    )


def _locked(facts: Facts) -> Said:
    """Who holds the lock, as far as it is known."""
    waited = f"{facts.raw('waited_s') or 0:g}"
    since = facts.raw("since_us")
    parts: list[str] = []
    if facts.raw("user"):
        parts.append(facts.text("user"))
    if facts.raw("pid") is not None:
        parts.append(_("process {pid}").format(pid=facts.text("pid")))
    if facts.raw("host"):
        parts.append(_("on {host}").format(host=facts.text("host")))
    if isinstance(since, int):
        from .timetext import local_text
        from .zone import local_zone

        parts.append(_("since {time}").format(time=local_text(since, local_zone())))
    if parts:
        sentence = _("{path} was held for all of {waited} s by {holder}")
    else:
        sentence = _("{path} was held by others for all of {waited} s")
    return Said(
        sentence.format(path=_ledger(facts), waited=waited, holder=", ".join(parts)),
        _("try again, or wait longer with --lock-timeout SECONDS"),
    )


def _key(facts: Facts) -> Said:
    return Said(
        _("key {key} stands for another request already, event {seq}").format(
            key=facts.quoted("key"), seq=facts.text("seq")
        ),
        _("give each request a key of its own"),
    )


def _moved(facts: Facts) -> Said:
    return Said(
        _("the ledger went on to event {found} while this was decided at {expected}").format(
            found=facts.text("found"), expected=facts.text("expected")
        ),
        _("try again"),
    )


def _no_group(facts: Facts) -> Said:
    return Said(
        _("this machine knows no group {group}").format(group=facts.quoted("group")),
        _("make it first, with groupadd, or name one that exists"),
    )


def _folder(facts: Facts) -> Said:
    return Said(
        _("the folder {path} is in use and not shared with the group {group}").format(
            path=facts.text("path"), group=facts.text("group")
        ),
        _("name a file in a folder of its own with --ledger FILE; init makes the folder"),
    )


def _nowhere(_facts: Facts) -> Said:
    return Said(
        _("the working directory is gone, and a relative path counts from it"),
        _("cd to one that is there"),
    )


BY_CODE: Mapping[str, Callable[[Facts], Said]] = {
    "ledger_missing": _missing,
    "already_there": _exists,
    "not_a_ledger": _not_a_ledger,
    "newer_format": _newer,
    "unknown_event": _unknown_event,
    "network_filesystem": _network,
    "not_permitted": _not_permitted,
    "storage_failed": _storage,
    "damaged": _damaged,
    "broken_chain": _broken,
    "lost_tail": _lost,
    "nothing_left": _nothing,
    "lock_timeout": _locked,
    "key_reused": _key,
    "head_moved": _moved,
    "no_such_group": _no_group,
    "unsuitable_folder": _folder,
    "no_working_directory": _nowhere,
}
