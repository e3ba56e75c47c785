"""`gpuledger run`: run a command with GPUs that are its own until it ends."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import click

from ..environment import FORMS
from ..hostrange import places
from ..options import completed, define, whole
from ..session import Session
from ..usage import one_of
from ..waits import lease_option, lease_s, wait_options, wait_s

if TYPE_CHECKING:
    from ..hold import Hold, Wish

EXAMPLES = """
gpuledger run -g 2 -- python train.py --epochs 90
gpuledger run -g 2 -c 16 --lease 8h --project vision -- python train.py
gpuledger run -g 4 --wait -- ./sweep.sh                     as soon as 4 GPUs are free
gpuledger run --on gpu-server-2:3 --task debug -- bash
gpuledger run -g 16 --servers 2 --export mpi -- mpirun python train.py
"""


@define("run", examples=EXAMPLES, here=True, runs=True)
@click.argument(
    "words", nargs=-1, required=True, metavar="COMMAND...", type=click.UNPROCESSED,
    shell_complete=completed("files"),
)  # fmt: skip
@click.option(
    "-g", "--gpus", type=whole("GPUs"), metavar="N", help="GPUs (1, or as many as --on names)."
)
@click.option(
    "-c", "--cpus", type=whole("CPUs"), metavar="N", help="CPUs (those that go with the GPUs)."
)
@click.option(
    "--on", "on", multiple=True, metavar="SERVER[:GPUS]",
    help="GPUs of that server, not of this machine; may be repeated.",
    shell_complete=completed("servers"),
)  # fmt: skip
@click.option("--here", is_flag=True, help="GPUs of this machine, as without --on and --servers.")
@click.option(
    "--servers",
    type=whole("servers"),
    default="1",
    metavar="N",
    help="GPUs of N servers, an equal part on each; the command runs here.",
)
@click.option("--task", metavar="NAME", help="The task's name (made of the command's).")
@click.option("--project", metavar="NAME", help="The project that it counts for.")
@click.option("--note", metavar="TEXT", help="Up to 200 characters for whoever reads the record.")
@lease_option
@wait_options
@click.option(
    "--export", "form", type=click.Choice(FORMS),
    help="Set also what torchrun, mpirun or Slurm's programs read.",
)  # fmt: skip
def command(
    session: Session,
    *,
    words: tuple[str, ...],
    gpus: int | None,
    cpus: int | None,
    on: tuple[str, ...],
    here: bool,
    servers: int,
    task: str | None,
    project: str | None,
    note: str | None,
    lease: str | None,
    wait: bool,
    wait_for: str | None,
    form: str | None,
) -> None:
    """Run COMMAND with GPUs of its own on this machine, and give them back when it ends.

    It finds them in CUDA_VISIBLE_DEVICES. Signals, the terminal and the exit code are as without
    gpuledger. When both were killed the GPUs are free again; a command that outlives gpuledger
    keeps them.
    """
    from ..hold import Wish
    from ..running import run

    if here and on:
        raise one_of("--here", "--on")
    where = tuple(place for text in on for place in places(text, field="--on"))
    named = [len(place.gpus) for place in where if place.gpus is not None]
    wish = Wish(
        words, sum(named) or servers if gpus is None else gpus, cpus, task, where, on,
        session.here() if here or (not on and servers == 1) else None, servers, project, note,
        lease_s(lease), wait_s(wait=wait, wait_for=wait_for), form,
    )  # fmt: skip
    if form is not None:
        from ..jobshell import ready

        ready(form, named)

    def say(sentence: str) -> None:
        with suppress(OSError):  # Nobody may be left who reads it, and the command goes on.
            session.notice(sentence)

    click.get_current_context().exit(run(_hold(session, wish), words, say))


def _hold(session: Session, wish: Wish) -> Hold:
    """What takes the GPUs, wherever the ledger lies."""
    address = session.location.far
    if address is None:
        from ..ledgerhold import LedgerHold

        return LedgerHold(session, wish)
    from ..sshhold import SshHold

    return SshHold(session, address, wish)
