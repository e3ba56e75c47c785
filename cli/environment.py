"""The environment of a job: what `allocate --short` and `--export` give a shell.

The CUDA list names GPUs by index, since old PyTorch counts none when it is given UUIDs, and
`CUDA_DEVICE_ORDER=PCI_BUS_ID` makes CUDA number them as the server does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..replay.facts import Share

FORMS = ("torchrun", "mpi", "slurm")
"""What a gang's environment can be made for, beside the plain one; `gang.py` makes them."""


def cuda_list(share: Share) -> str:
    """`0,1`, as CUDA_VISIBLE_DEVICES wants it."""
    return ",".join(map(str, share.gpus))


def variables(allocation: int, shares: Sequence[Share], here: Share | None) -> dict[str, str]:
    """What a job is told in any case. Of several servers the list is `here`'s; elsewhere empty.

    An empty list hides every GPU: better than the list that an earlier command left there.
    """
    shown = shares[0] if len(shares) == 1 else here
    return {
        "GPULEDGER_ALLOCATION": str(allocation),
        "GPULEDGER_SERVER": ",".join(share.server for share in shares),
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        "CUDA_VISIBLE_DEVICES": "" if shown is None else cuda_list(shown),
    }


def export_lines(told: Mapping[str, str]) -> list[str]:
    """Lines for a shell's `eval`, whatever a value holds."""
    from shlex import quote

    return [f"export {name}={quote(value)}" for name, value in told.items()]
