"""Taking and giving back: one share of one server. Shared by fold and by trials of a decision."""

from __future__ import annotations

from .facts import Placed, Share
from .piece import ServerPiece


class Impossible(Exception):
    """The event cannot have happened; `why` is a key of `fold.VOID`."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def take(server: ServerPiece, share: Share, allocation: int) -> ServerPiece:
    """The server with the share's GPUs and CPUs held by `allocation`. Raises Impossible.

    Where a gap leaves open who holds what, it may take more CPUs than seem to be free.
    """
    holders = list(server.holders)
    for at in server.positions(share.gpus):
        if at < 0:
            raise Impossible("unknown_gpu")
        if holders[at]:
            raise Impossible("gpu_held")
        holders[at] = allocation
    left = server.cpus_free - share.cpus
    known = not server.doubtful and server.uncertain is None
    if share.cpus < 0 or (left < 0 and known):
        raise Impossible("cpus_exceeded")
    return _moved(server, share, holders, left)


def _moved(
    server: ServerPiece, share: Share, holders: list[int], left: int, ended: int = 0
) -> ServerPiece:
    """The server with other holders; of the share's GPUs there is no doubt any more."""
    doubtful = server.doubtful
    if doubtful:
        doubtful = tuple(gpu for gpu in doubtful if gpu not in share.gpus)
    return ServerPiece(
        server.facts, tuple(holders), left, server.drained, server.ended + ended, doubtful,
        server.uncertain,
    )  # fmt: skip


def give_back(server: ServerPiece, share: Share) -> ServerPiece:
    """The server with the share's GPUs and CPUs free again, and one ended holding more."""
    holders = list(server.holders)
    for at in server.positions(share.gpus):
        holders[at] = 0
    left = server.cpus_free + share.cpus
    return _moved(server, share, holders, left, 1)


def clear(places: tuple[Placed, ...]) -> bool:
    """Whether GPUs are named nowhere, or on each server, and then none of these twice."""
    named = [one.gpus for one in places if one.gpus is not None]
    servers = {one.server for one in places}
    ascending = all(gpus and tuple(sorted(set(gpus))) == gpus for gpus in named)
    return not named or (len(named) == len(servers) == len(places) and ascending)
