"""`gpuledger release`: give back what tasks hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from ...replay.catalogue import AllocationExtended, AllocationGranted
from ...replay.facts import cpus_in, gpus_in, identity
from ...replay.spent import SECOND_US
from ..hostrange import expand
from ..options import completed, define
from ..placing import held_text, place_words
from ..session import Session
from ..shape import held_s, released
from ..timetext import held_text as time_text
from ..words import _

if TYPE_CHECKING:
    from ...allocation import Released
    from ...handle import Ledger
    from ...replay.batch import Recorded

EXAMPLES = """
gpuledger release train
gpuledger release train @4711
gpuledger release --mine
gpuledger release train --if-held                            in a script's clean-up
gpuledger release --for bob --reason 'left the team'         for admins
gpuledger release --server gpu-server-2 --force --reason 'new cards'
"""


@define("release", examples=EXAMPLES)
@click.argument("tasks", nargs=-1, metavar="[TASK...]", shell_complete=completed("tasks"))
@click.option("--mine", is_flag=True, help="All of your own.")
@click.option(
    "--server", "on", multiple=True, metavar="SERVER", help="All on SERVER; may be repeated.",
    shell_complete=completed("servers"),
)  # fmt: skip
@click.option("--for", "user", metavar="USER", help="Those of USER; for admins.")
@click.option("--force", is_flag=True, help="Others' too, with --reason; for admins.")
@click.option("--reason", metavar="TEXT", help="Why; stays in the record.")
@click.option("--if-held", is_flag=True, help="Pass over what is not held.")
@click.option("--key", metavar="KEY", help="Asked again with the same key, the answer is the same.")
def command(
    session: Session,
    *,
    tasks: tuple[str, ...],
    mine: bool,
    on: tuple[str, ...],
    user: str | None,
    force: bool,
    reason: str | None,
    if_held: bool,
    key: str | None,
) -> None:
    """Give back what TASK holds: a task's name, or an allocation's number such as @4711.

    Of several tasks all end or none does, and they end in one event.
    """
    servers = tuple(name for text in on for name in expand(text, field="--server"))
    with session.ledger(once=True) as ledger:
        ended = ledger.release(
            *tasks, mine=mine, servers=servers, user=user, force=force, reason=reason,
            if_held=if_held, key=key,
        )  # fmt: skip
        if ended.grants:
            session.recorded(ended.seq)
        session.notices(ledger)
        if session.json:
            session.document(released(ended))
        else:
            _tell(session, ledger, ended)


def _tell(session: Session, ledger: Ledger, ended: Released) -> None:
    if not ended.grants:
        session.notice(_("nothing of that is held"))
    ends = _ends(ledger, ended)
    for one in ended.grants:
        grant = one.payload
        sentence = _("released @{id} {task}: {held}, held for {time}").format(
            id=one.event.seq,
            task=grant.task,
            held=held_text(grant.servers),
            time=time_text(held_s(one.event.at, ended.end)),
        )
        again = _again(one, ended.end, ends.get(one.event.seq), ledger.actor.identity)
        if again is not None:
            sentence += _("; take it back: {command}").format(command=again)
        session.say(sentence)


def _ends(ledger: Ledger, ended: Released) -> Mapping[int, int | None]:
    """When each lease would have ended, with its extensions; for a retry key as recorded."""
    from ...replay.fold import decode

    if ended.ends:
        return ended.ends
    ends: dict[int, int | None] = {
        one.event.seq: one.event.at + one.payload.lease * SECOND_US
        for one in ended.grants
        if one.payload.lease is not None
    }
    for event in ledger.log.read(min(ends), ended.seq) if ends else ():
        if event.kind == AllocationExtended.KIND:
            told = {one.allocation: one.until for one in decode(event).extensions}
            ends.update({number: told[number] for number in ends.keys() & told.keys()})
    return ends


def _lease(until: int | None, end_us: int) -> list[str]:
    """What was left of a lease, as the option that asks for it, as far as it may be asked for."""
    from ...replay.request import LONGEST_S
    from ..duration import units_text

    left = 0 if until is None else -(-(until - end_us) // SECOND_US)
    return ["--lease", units_text(min(left, LONGEST_S))] if left > 0 else []


def _again(one: Recorded, end: int, until: int | None, actor: str) -> str | None:
    """The command that takes the same GPUs again; None for a past that was imported."""
    from shlex import join

    grant: AllocationGranted = one.payload
    if grant.imported is not None:
        return None
    counts = str(gpus_in(grant.servers)), str(cpus_in(grant.servers))
    words = ["gpuledger", "allocate", grant.task, *counts]
    words += [word for place in place_words(grant.servers) for word in ("--on", place)]
    words += _lease(until, end)
    words += ["--project", grant.project] if grant.project is not None else []
    words += ["--note", grant.note] if grant.note is not None else []
    if identity(grant.user, grant.uid, grant.sid) != actor:
        words += ["--for", grant.user]
    return join(words)
