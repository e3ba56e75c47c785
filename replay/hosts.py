"""Hosts and servers: which server of the pool a machine is, and whether it has what is named."""

from __future__ import annotations

from .errors import NoSuchServer
from .facts import Placed
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


def absent(state: State, on: tuple[Placed, ...]) -> NoSuchServer | None:
    """The failure for the first server or GPU that the pool lacks; None where it has them all."""
    for one in on:
        server = state.server(one.server)
        if server is None:
            return NoSuchServer(one.server, state.pool.servers)
        for gpu in one.gpus or ():
            if server.position(gpu) < 0:
                there = tuple(str(card.index) for card in server.facts.gpus)
                return NoSuchServer(one.server, there, gpu)
    return None


def known(state: State, on: tuple[Placed, ...]) -> None:
    """Raise NoSuchServer where the pool lacks a server or a GPU that is named."""
    missing = absent(state, on)
    if missing is not None:
        raise missing


def _short(host: str) -> str:
    return host.lower().partition(".")[0]
