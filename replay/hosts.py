"""Hosts and servers: which server of the pool a machine is."""

from __future__ import annotations

from .piece import ServerPiece
from .state import State


def on_host(state: State, host: str) -> ServerPiece | None:
    """The server that is called like the host, or says that it calls itself so; None if none is.

    Whole names are compared first, in any case, then what stands before the first dot.
    """
    for shorten in (str.lower, _short):
        for server in state.servers():
            if shorten(host) in (shorten(server.facts.name), shorten(server.facts.host or "")):
                return server
    return None


def _short(host: str) -> str:
    return host.lower().partition(".")[0]
