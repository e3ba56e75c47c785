"""The environment of a job: what `allocate --short` and `--export` give a shell.

The CUDA list names GPUs by index, since old PyTorch counts none when it is given UUIDs, and
`CUDA_DEVICE_ORDER=PCI_BUS_ID` makes CUDA number them as the server does.
"""

from __future__ import annotations

from collections.abc import Sequence
from shlex import quote

from ..replay.facts import Share


def cuda_list(share: Share) -> str:
    """`0,1`, as CUDA_VISIBLE_DEVICES wants it."""
    return ",".join(map(str, share.gpus))


def export_lines(allocation: int, shares: Sequence[Share], here: Share | None) -> list[str]:
    """Lines for `eval`. Of several servers the list is this host's; on another host, empty.

    An empty list hides every GPU: better than the list that an earlier command left there.
    """
    shown = shares[0] if len(shares) == 1 else here
    variables = {
        "GPULEDGER_ALLOCATION": str(allocation),
        "GPULEDGER_SERVER": ",".join(share.server for share in shares),
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        "CUDA_VISIBLE_DEVICES": "" if shown is None else cuda_list(shown),
    }
    return [f"export {name}={quote(value)}" for name, value in variables.items()]
