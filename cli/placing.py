"""Placing: what an allocation holds, in words that the command line reads back.

Servers of which the same GPUs are held are told as one host range:
`gpu-server-[0-1]:0-3 gpu-server-5:7`, each word fit to stand behind `--on`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..replay.facts import Share, cpus_in
from .hostrange import fold, gpu_text
from .printable import printable
from .words import _


def place_words(shares: Iterable[Share]) -> list[str]:
    """One word for each run of servers with the same GPUs."""
    runs: list[tuple[tuple[int, ...], list[str]]] = []
    for share in shares:
        if runs and runs[-1][0] == share.gpus:
            runs[-1][1].append(share.server)
        else:
            runs.append((share.gpus, [share.server]))
    return [f"{names}:{gpu_text(gpus)}" for gpus, run in runs for names, _count in fold(run)]


def place_text(shares: Iterable[Share]) -> str:
    """The words in one text, as tables and sentences show it."""
    return printable(" ".join(place_words(shares)))


def cpu_text(shares: Sequence[Share]) -> str:
    """`16 CPUs`; over several servers how many on each, or in all where they differ."""
    counts = {share.cpus for share in shares}
    cpus = shares[0].cpus if shares else 0  # a forged grant may hold nothing
    if len(shares) == 1:
        return _("{cpus} CPU", "{cpus} CPUs", cpus).format(cpus=cpus)
    if len(counts) == 1:
        return _("{cpus} CPU on each", "{cpus} CPUs on each", cpus).format(cpus=cpus)
    return _("{cpus} CPUs in all").format(cpus=cpus_in(shares))


def held_text(shares: Sequence[Share]) -> str:
    """`gpu-server-2:0-1, 16 CPUs`."""
    return ", ".join(one for one in (place_text(shares), cpu_text(shares)) if one)
