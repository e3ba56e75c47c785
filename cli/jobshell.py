"""What `allocate --short` and `--export` answer to a shell: a list of GPUs, or lines for `eval`.

Where the GPUs lie on another host than this one a notice tells so, beside the data.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from ..ledger.errors import StorageFailed
from ..replay.errors import HasEnded
from .environment import cuda_list, export_lines
from .gang import Gang, environment, gang, ready_for_hostfiles, unequal, write_hostfiles
from .placing import place_text
from .usage import Misused
from .words import _

if TYPE_CHECKING:
    from ..allocation import Allocation
    from ..handle import Ledger
    from .session import Session


def ready(form: str, named: Sequence[int]) -> None:
    """Before anything is granted: whether a form can hold what is asked for.

    `named` counts the GPUs that `--on` names one by one on each server. Raises Misused where
    torchrun's processes would not fit them, StorageFailed where no hostfile can be written.
    """
    if form == "torchrun" and unequal(named):
        raise Misused(
            _("torchrun starts as many processes on each server, and --on names {counts} GPUs")
            .format(counts=_(" and ").join(map(str, named))),
            _("name as many GPUs on each, or use --export=mpi"),
        )  # fmt: skip
    if form == "mpi":
        ready_for_hostfiles()


def tell(session: Session, ledger: Ledger, allocation: Allocation, form: str | None) -> None:
    """Print the CUDA list (`form` is None), or the lines of a form; an empty one is the plain.

    Whoever typed the command elsewhere is told the gang, and has the rest printed there. Raises
    HasEnded for what a key was answered with that runs no more: no script shall use its GPUs.
    """
    shares, state = allocation.servers, ledger.state()
    if state.allocation(allocation.id) is None:
        raise HasEnded(allocation.task, allocation.id)
    told = gang(state, allocation.id, allocation.task, shares, session.host)
    if session.caller is not None:
        session.text(msgspec.json.encode(told).decode())
    else:
        tell_gang(session, told, form)


def tell_gang(session: Session, told: Gang, form: str | None) -> None:
    """The same of a gang that is known; also of one that was granted on another machine."""
    first, *others = told.shares
    if told.here is None or others:
        _elsewhere(session, told, form)
    if form is None:
        session.say(cuda_list(first))
        return
    for setting in export_lines(environment(form or None, told, _folder(session, told, form))):
        for line in setting.split("\n"):  # a shell reads on within quotes
            session.say(line)


def _elsewhere(session: Session, told: Gang, form: str | None) -> None:
    host = session.host or _("a machine without a name")
    places = place_text(told.shares)
    session.notice(_("these are GPUs of {places}; this is {host}").format(places=places, host=host))
    if told.here is None and form in ("torchrun", "slurm") and len(told.shares) > 1:
        session.notice(
            _(
                "{host} is none of these servers, so rank 0 is told; on each of them the same"
                " command with the same --key tells its own rank and GPUs"
            ).format(host=host)
        )


def _folder(session: Session, told: Gang, form: str) -> str:
    """Where the hostfiles were written; nowhere for other forms. What was granted stands."""
    if form != "mpi":
        return ""
    try:
        return write_hostfiles(told)
    except StorageFailed:
        session.notice(
            _("granted @{id} all the same; give back: gpuledger release @{id}").format(
                id=told.allocation
            )
        )
        raise
