"""`gpuledger init`: make a ledger with its first pool."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from ..options import completed, define, whole
from ..session import Session
from ..shape_pool import made
from ..usage import Misused, one_of
from ..words import _

if TYPE_CHECKING:
    from ...ledger.event import Event
    from ...replay.catalogue import LedgerCreated
    from ...replay.facts import Pool

EXAMPLES = """
gpuledger init                                            4 servers of 8 GPUs and 64 CPUs
gpuledger init --servers 2 --gpus-per-server 4 --cpus-per-server 32
gpuledger pool template > pool.toml; gpuledger init --pool pool.toml
gpuledger init --from gpu_resource_manager_v01.py         the pool of the script that came before
sudo gpuledger init --group lab --pool pool.toml          the machine's ledger, for a team
gpuledger --ledger past.db init --pool pool.toml --at 2020-03-31T15:00:00Z
"""


@define("init", examples=EXAMPLES)
@click.option("--servers", type=whole("servers"), metavar="N", help="How many servers (4).")
@click.option(
    "--gpus-per-server",
    "gpus",
    type=whole("GPUs per server"),
    metavar="N",
    help="GPUs on each (8).",
)
@click.option(
    "--cpus-per-server", "cpus", type=whole("CPUs per server"), metavar="N",
    help="CPUs on each (64).",
)  # fmt: skip
@click.option(
    "--pool", "file", metavar="FILE", help="A pool file instead; - reads stdin.",
    shell_complete=completed("files"),
)  # fmt: skip
@click.option(
    "--from", "script", metavar="FILE", shell_complete=completed("files"),
    help="The old script or its config.py: its three counts are read, nothing of it is run.",
)  # fmt: skip
@click.option("--at", metavar="TIME", help="The pool as of then, for a past to be imported.")
@click.option(
    "--group", metavar="NAME",
    help="For a group of this machine; as root, where every command finds it by itself.",
)  # fmt: skip
@click.option("--public", is_flag=True, help="Everybody else may read it.")
def command(
    session: Session,
    *,
    servers: int | None,
    gpus: int | None,
    cpus: int | None,
    file: str | None,
    script: str | None,
    at: str | None,
    group: str | None,
    public: bool,
) -> None:
    """Make a ledger with its first pool.

    Whoever makes it is its first admin, unless the pool file names others.
    """
    from ...handle import init
    from ...replay.fold import decode

    pool = _pool(session, servers, gpus, cpus, file=file, script=script)
    path = _path(session, group)
    event = init(path, pool, at=_instant(session, at), group=group, public=public)
    facts: LedgerCreated = decode(event)
    if session.json:
        session.document(made(event.seq, path, facts))
    else:
        _tell(session, path, event, facts, group=group, public=public)


def _pool(
    session: Session,
    servers: int | None,
    gpus: int | None,
    cpus: int | None,
    *,
    file: str | None,
    script: str | None,
) -> Pool:
    counts = (servers, gpus, cpus) != (None, None, None)
    told = {"--pool": file is not None, "--from": script is not None, _("the counts"): counts}
    if sum(told.values()) > 1:
        raise one_of(*(name for name, given in told.items() if given))
    if file is not None:
        from ..poolsource import pool_file

        return pool_file(file, session.files).pool
    if script is not None:
        from ..oldscript import script_pool

        return script_pool(script, session.files)
    from ..poolfile import uniform

    return uniform(
        4 if servers is None else servers,
        8 if gpus is None else gpus,
        64 if cpus is None else cpus,
    )


def _instant(session: Session, at: str | None) -> int | None:
    if at is None:
        return None
    from ..instants import parse_instant

    return parse_instant(at, now_us=session.now_us, zone=session.zone, field="--at")


def _path(session: Session, group: str | None) -> str:
    """Where to make it. What root makes for a group lies where every command finds it."""
    location = session.location
    if group is None or location.found_by != "user":
        return location.path
    if getattr(os, "geteuid", lambda: -1)() != 0:
        raise Misused(
            _("the machine's ledger, for a group, is made by root"),
            _("run it with sudo, or name a file elsewhere with --ledger FILE"),
        )
    from ..location import machine_path

    return machine_path()


def _tell(
    session: Session, path: str, event: Event, facts: LedgerCreated, *, group: str | None,
    public: bool,
) -> None:  # fmt: skip
    from ..poolwords import pool_sum
    from ..timetext import local_text

    pool = facts.pool
    session.say(_("made {path}: {sum}").format(path=path, sum=pool_sum(pool)))
    if facts.clock is not None:
        begins = local_text(event.at, session.zone)
        session.say(_("its record begins at {time}").format(time=begins))
    admins = [user.user for user in pool.admins.users] + [
        _("group {group}").format(group=one.group) for one in pool.admins.groups
    ]
    session.say(_("admins: {admins}").format(admins=", ".join(dict.fromkeys([*admins, "root"]))))
    if group is not None:
        session.say(_("everybody in the group {group} may use it").format(group=group))
    if public:
        session.say(
            _("everybody else may read it; whoever may read it can also hold up those who write")
        )
    named = session.option is not None
    prefix = f"gpuledger --ledger {session.option}" if named else "gpuledger"
    session.say(_("next: {command} allocate TASK GPUS").format(command=prefix))
