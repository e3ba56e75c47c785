"""Selection: the servers that a command's words name."""

from __future__ import annotations

from collections.abc import Iterable

from ..replay.errors import NoSuchServer
from ..replay.piece import ServerPiece
from ..replay.state import State
from .hostrange import expand


def chosen(state: State, texts: Iterable[str]) -> list[ServerPiece]:
    """The servers that names and ranges mean, in pool order; all where there are none.

    Raises NoSuchServer for one that the pool lacks.
    """
    names = {name for text in texts for name in expand(text)}
    for name in names:
        if state.server(name) is None:
            raise NoSuchServer(name, state.pool.servers)
    return [server for server in state.servers() if not names or server.facts.name in names]
