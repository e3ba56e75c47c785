"""A pool in words: its sum, and what changes in it line by line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from ..replay.catalogue import PoolChanged
from ..replay.facts import Admins, Limits, Member, Pool, Project, Record, Server
from ..replay.pool_change import Difference
from ..replay.state import State
from .capwords import limit_changes, member_changes, project_changes
from .hostrange import fold, gpu_text
from .printable import printable
from .words import _, cpu_count, gpu_count


class Change(Record, frozen=True):
    """What a pool file does to a pool, whether it is still to come or done.

    `changed`, `limits` and what follows are pairs of before and after; `kept` are servers that
    the file lacks and that stay.
    """

    added: tuple[Server, ...] = ()
    changed: tuple[tuple[Server, Server], ...] = ()
    removed: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    limits: tuple[Limits, Limits] | None = None
    admins: tuple[Admins, Admins] | None = None
    projects: tuple[tuple[Project, ...], tuple[Project, ...]] | None = None
    members: tuple[tuple[Member, ...], tuple[Member, ...]] | None = None


def pool_sum(pool: Pool) -> str:
    """`4 servers, 32 GPUs, 256 CPUs`."""
    servers = len(pool.servers)
    gpus = sum(len(server.gpus) for server in pool.servers)
    cpus = sum(server.cpus for server in pool.servers)
    return ", ".join(
        (
            _("{count} server", "{count} servers", servers).format(count=servers),
            gpu_count(gpus),
            cpu_count(cpus),
        )
    )


def change_of(state: State, told: Difference | PoolChanged, *, remove: bool = False) -> Change:
    """The change that a difference or an event tells, beside the state that it changes."""
    before = {server.facts.name: server.facts for server in state.servers()}
    removed: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    if isinstance(told, PoolChanged):
        removed = told.removed
    elif remove:
        removed = told.absent
    else:
        kept = told.absent
    return Change(
        told.added,
        tuple((before.get(server.name, server), server) for server in told.changed),
        removed,
        kept,
        None if told.limits is None else (state.pool.limits, told.limits),
        None if told.admins is None else (state.pool.admins, told.admins),
        None if told.projects is None else (state.pool.projects, told.projects),
        None if told.members is None else (state.pool.members, told.members),
    )


def change_lines(change: Change) -> Iterator[str]:
    """One line for each thing that changes: `+` comes, `~` becomes another, `-` goes."""
    yield from (f"+ {line}" for line in _added(change.added))
    yield from _changed(change.changed)
    yield from (f"- {names}" for names, _count in fold(change.removed))
    if change.limits is not None:
        yield from limit_changes(*change.limits)
    if change.projects is not None:
        yield from project_changes(*change.projects)
    if change.members is not None:
        yield from member_changes(*change.members)
    if change.admins is not None:
        before, after = (admin_text(admins) for admins in change.admins)
        yield _("~ admins: {before} -> {after}").format(before=before, after=after)


def admin_text(admins: Admins) -> str:
    """`ada, bob, group lab-admins`."""
    named = [user.user for user in admins.users]
    named += [_("group {group}").format(group=one.group) for one in admins.groups]
    return ", ".join(map(printable, named))


def card_text(server: Server) -> str:
    """`8 GPUs` with what they are, where that is known of them: `8 × H100-SXM5-80GB`."""
    count = len(server.gpus)
    models = {card.model for card in server.gpus}
    model = next(iter(models), None)
    if len(models) == 1 and model is not None:
        return f"{count} × {printable(model)}"
    return gpu_count(count)


def _added(servers: Sequence[Server]) -> Iterator[str]:
    for run in runs(servers, lambda server: (card_text(server), server.cpus)):
        for names, _count in fold([server.name for server in run]):
            yield f"{names}: {card_text(run[0])}, {cpu_count(run[0].cpus)}"


def _changed(changed: Sequence[tuple[Server, Server]]) -> Iterator[str]:
    """Neighbours that change alike share a line."""
    told = {old.name: _differences(old, new) for old, new in changed}
    for run in runs((new for _old, new in changed), lambda server: told[server.name]):
        for names, _count in fold([server.name for server in run]):
            yield f"~ {names}: {told[run[0].name]}"


def runs(servers: Iterable[Server], alike: Callable[[Server], object]) -> Iterator[list[Server]]:
    """Runs of neighbours that are alike."""
    run: list[Server] = []
    for server in servers:
        if run and alike(run[0]) != alike(server):
            yield run
            run = []
        run.append(server)
    if run:
        yield run


def _differences(before: Server, after: Server) -> str:
    """What is another about a server, in words."""
    told: list[str] = []
    if before.cpus != after.cpus:
        told.append(f"{cpu_count(before.cpus)} -> {after.cpus}")
    if before.host != after.host:
        told.append(
            _("host {before} -> {after}").format(
                before=printable(before.host or "-"), after=printable(after.host or "-")
            )
        )
    told += _card_differences(before, after)
    return ", ".join(told)


def _card_differences(before: Server, after: Server) -> list[str]:
    old = {card.index: card for card in before.gpus}
    new = {card.index: card for card in after.gpus}
    come, gone = sorted(new.keys() - old.keys()), sorted(old.keys() - new.keys())
    other = sorted(at for at in old.keys() & new.keys() if old[at] != new[at])
    told: list[str] = []
    for gpus, text in (
        (come, _("GPUs {gpus} come")),
        (gone, _("GPUs {gpus} go")),
        (other, _("other facts about GPUs {gpus}")),
    ):
        if gpus:
            told.append(text.format(gpus=gpu_text(gpus)))
    return told
