"""Completing: what a shell offers for a server, a task or a file.

A ledger that cannot be read offers nothing: whoever presses the tab key wants no sentence.
"""

from __future__ import annotations

from collections.abc import Iterable

import click
from click.shell_completion import CompletionItem

from ..ledger.errors import GpuledgerError
from ..replay.state import State


def servers(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The names of the pool's servers."""
    del param
    state = _state(ctx)
    return _offered(incomplete, state.pool.servers) if state is not None else []


def tasks(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """One's own running tasks by name, and every allocation by its number after an `@`."""
    del param
    state = _state(ctx)
    if state is None:
        return []
    if incomplete.startswith("@"):
        return _offered(incomplete, (f"@{piece.id}" for piece in state.allocations()))
    from .actor import current

    return _offered(incomplete, (name for name, _id in state.tasks(current().identity)))


def waiting(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """One's own waiting tasks by name, and every request in line by its number after an `@`."""
    del param
    state = _state(ctx)
    if state is None:
        return []
    if incomplete.startswith("@"):
        return _offered(incomplete, (f"@{number}" for number in state.docket.waiting))
    from .actor import current

    owner = current().identity
    line = state.docket.line()
    return _offered(incomplete, (one.asked.task for one in line if one.owner == owner))


def files(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Files, as the shell itself finds them."""
    del ctx, param
    return [CompletionItem(incomplete, type="file")]


def _offered(incomplete: str, names: Iterable[str]) -> list[CompletionItem]:
    """The names that begin so; a shell takes each by its line, so none that breaks one."""
    fitting = (name for name in names if name.startswith(incomplete))
    return [CompletionItem(name) for name in fitting if name.isprintable()]


def _state(ctx: click.Context) -> State | None:
    """The state of the ledger that the words so far mean; None where it cannot be read."""
    from ..handle import Ledger
    from .location import find

    told: str | None = ctx.params.get("ledger") or ctx.find_root().params.get("ledger")
    try:
        found = find(told)
        if found.far is not None:  # Nobody wants a connection for a press of the tab key.
            return None
        with Ledger(found.path) as ledger:
            return ledger.state()
    except (GpuledgerError, OSError):
        return None
