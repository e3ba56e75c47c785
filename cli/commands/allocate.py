"""`gpuledger allocate`: take GPUs and CPUs for a task."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ...replay.errors import BadRequest
from ...replay.spent import SECOND_US
from ..actor import named
from ..environment import FORMS
from ..hostrange import places
from ..optionalvalue import OptionalValue
from ..options import completed, define, whole
from ..placing import held_text
from ..session import Session
from ..shape import granted
from ..timetext import local_text
from ..usage import Misused, one_of
from ..waits import lease_option, lease_s, tell_waiting, wait_options, wait_s
from ..words import _

if TYPE_CHECKING:
    from ...allocation import Allocation
    from ...replay.actor import Actor
    from ...replay.facts import Placed

EXAMPLES = """
gpuledger allocate train 2 16                     2 GPUs and 16 CPUs, wherever they fit best
gpuledger allocate train 2                        with the CPUs that go with 2 GPUs
gpuledger allocate train 2 16 --on gpu-server-2:0-1
gpuledger allocate sweep 16 128 --servers 2       8 GPUs and 64 CPUs on each of two servers
gpuledger allocate train 2 --lease 8h --wait        8 hours, and in line where there is no room
gpuledger allocate train 2 --here --project vision --note 'rerun with the new data'
env=$(gpuledger allocate train 2 --export) || exit; eval "$env"; python train.py
env=$(gpuledger allocate train 16 --servers 2 --export=torchrun --key run-7) || exit
gpus=$(gpuledger allocate train 2 --short) || exit; CUDA_VISIBLE_DEVICES=$gpus python train.py
"""


@define("allocate", examples=EXAMPLES)
@click.argument("task")
@click.argument("gpus", type=whole("GPUs"))
@click.argument("cpus", type=whole("CPUs"), required=False)
@click.option(
    "--on", "on", multiple=True, metavar="SERVER[:GPUS]", help="Only there; may be repeated.",
    shell_complete=completed("servers"),
)  # fmt: skip
@click.option("--here", is_flag=True, help="On the server that this machine is.")
@click.option(
    "--servers",
    type=whole("servers"),
    default="1",
    metavar="N",
    help="Over N servers, an equal part on each; GPUS and CPUS are totals.",
)
@click.option("--project", metavar="NAME", help="The project that it counts for.")
@click.option("--note", metavar="TEXT", help="Up to 200 characters for whoever reads the record.")
@click.option(
    "--key",
    metavar="KEY",
    help="Asked again with the same key, the same grant is the answer, even if it has ended.",
)
@click.option("--for", "beneficiary", metavar="USER", help="In the name of USER; for admins.")
@lease_option
@wait_options
@click.option("--short", is_flag=True, help="Print the CUDA list alone, such as 0,1.")
@click.option(
    "--export", cls=OptionalValue, words=FORMS,
    help="Print export lines for a shell's eval; with =torchrun, =mpi or =slurm also what those"
    " read.",
)  # fmt: skip
def command(
    session: Session,
    *,
    task: str,
    gpus: int,
    cpus: int | None,
    on: tuple[str, ...],
    here: bool,
    servers: int,
    project: str | None,
    note: str | None,
    key: str | None,
    beneficiary: str | None,
    lease: str | None,
    wait: bool,
    wait_for: str | None,
    short: bool,
    export: str | None,
) -> None:
    """Take GPUS and CPUS for TASK, a name that is free among your running tasks.

    Without CPUS the task gets the server's CPUs per GPU. Without --on it goes to the server
    on which it leaves the fewest GPUs free.
    """
    where = tuple(place for text in on for place in places(text, field="--on"))
    _one_form(session, where, servers, short=short, export=export)
    limit = wait_s(wait=wait, wait_for=wait_for)
    if limit and session.caller is None:
        from ..signals import interruptible

        interruptible()
    with session.ledger(once=not limit) as ledger:
        allocation = ledger.allocate(
            task, gpus, cpus, on=where, on_words=on, here=session.here() if here else None,
            servers=servers, project=project, note=note, key=key,
            beneficiary=None if beneficiary is None else _user(beneficiary),
            lease=lease_s(lease), wait_s=limit, told=tell_waiting(session, limit),
        )  # fmt: skip
        session.done = _held(allocation)
        session.notices(ledger)
        if short or export is not None:
            from ..jobshell import tell

            tell(session, ledger, allocation, export)
        else:
            _tell(session, allocation)
            if key is not None and not allocation.runs:
                sentence = _("@{id} has ended since; for GPUs to use now ask with another --key")
                session.notice(sentence.format(id=allocation.id))


def _one_form(
    session: Session, where: tuple[Placed, ...], servers: int, *, short: bool, export: str | None
) -> None:
    """Refuse two forms of the answer at once, and a form that cannot hold what is asked for."""
    if short + (export is not None) + session.json > 1:
        raise one_of("--short", "--export", "--json")
    exact = [len(place.gpus) for place in where if place.gpus is not None]
    if short and max(servers, len(exact)) > 1:
        raise Misused(
            _("--short prints the CUDA list of one server, and this asks for several"),
            _("use --export or --json instead"),
        )
    if export:
        from ..jobshell import ready

        ready(export, exact)


def _user(user: str) -> Actor:
    found = named(user)
    if found is None:
        raise BadRequest("--for", user, "a user that this machine knows")
    return found


def _held(allocation: Allocation) -> str:
    """What is so whether anybody reads the answer or not, and what gives it back."""
    whose = allocation.grant.asked.beneficiary
    told = _("{task} is held all the same; give back: gpuledger release @{id}{whose}")
    return told.format(
        task=allocation.task, id=allocation.id, whose="" if whose is None else f" --for {whose}"
    )


def _tell(session: Session, allocation: Allocation) -> None:
    grant = allocation.grant
    if session.json:
        session.document(granted(allocation.id, allocation.start, grant))
        return
    whose = grant.asked.beneficiary
    told = _("granted @{id} {task}: {held}{ends}; give back: gpuledger release {task}")
    if whose is not None:
        told = _(
            "granted @{id} {task} for {user}: {held}{ends};"
            " give back: gpuledger release @{id} --for {user}"
        )
    ends = ""
    if grant.lease is not None:
        from ..duration import units_text

        until = local_text(allocation.start + grant.lease * SECOND_US, session.zone)
        left = units_text(grant.lease)
        ends = _(", until {until} ({left})").format(until=until, left=left)
    held = held_text(grant.servers)
    session.say(told.format(id=allocation.id, task=grant.task, held=held, user=whose, ends=ends))
