"""`gpuledger allocate`: take GPUs and CPUs for a task."""

from __future__ import annotations

import click

from ..options import define, whole
from ..session import Session

EXAMPLES = """
gpuledger allocate train 2 16                        2 GPUs and 16 CPUs, wherever they fit best
gpuledger allocate train 2                           with the CPUs that go with 2 GPUs
gpuledger allocate train 2 16 --on gpu-server-2:0-1  just these
"""


@define("allocate", examples=EXAMPLES)
@click.argument("task")
@click.argument("gpus", type=whole("GPUs"))
@click.argument("cpus", type=whole("CPUs"), required=False)
def command(session: Session, task: str, gpus: int, cpus: int | None) -> None:
    """Take GPUS and CPUS for TASK."""
    with session.ledger(once=True) as ledger:
        allocation = ledger.allocate(task, gpus, cpus)
        session.notices(ledger)
    session.say(f"granted @{allocation.id} {allocation.task}")
