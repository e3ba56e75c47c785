"""The pool file, written: a pool as TOML that reads back as the same pool, and a template."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..replay.facts import Cap, Card, Pool, Server
from .duration import units_text
from .hostrange import MOST_SERVERS, compress, fold

TEMPLATE = """\
# The pool: every server, its GPUs and its CPUs.
#   gpuledger pool check pool.toml    is this file sound?
#   gpuledger pool diff pool.toml     what would change?
#   gpuledger pool apply pool.toml    change it (or: gpuledger init --pool pool.toml)

# What holds for every server that does not say otherwise.
[defaults]
gpus = 8
cpus = 64

# Server names may be host ranges as Slurm writes them; zeros in front are kept.
[[server]]
name = "gpu-server-[0-3]"

# A server that differs, with what is known of its cards.
# [[server]]
# name = "h100-01"
# host = "h100-01.lab.example"    # what the machine calls itself, where that differs
# gpus = 8
# cpus = 192
# gpu_model = "H100-SXM5-80GB"
# gpu_memory_mib = 81559

# Cards one by one, where their UUIDs matter; a list of cards names all of them.
# [[server]]
# name = "a100-01"
# cpus = 128
# [[server.gpu]]
# index = 0
# uuid = "GPU-00000000-0000-0000-0000-000000000000"
# model = "A100-SXM4-40GB"
# memory_mib = 40960
# pci = "00000000:07:00.0"

# What one request may hold at most. Without it, whatever fits.
# [limits]
# gpus_per_task = 8

# What each task, each user and each project may have; every key may stand in each of the three.
# [limits.task]
# lease = "3d"                    # the longest lease
# default_lease = "8h"            # for who asks for none
# [limits.user]
# gpus = 16                       # at once
# cpus = 256
# gpu_hours = 500                 # in so long a time:
# window = "7d"
# [limits.project]
# gpus = 24

# Projects. Where one is listed, there are no others. Higher priorities are served first.
# [[project]]
# name = "vision"
# priority = 10
# gpus = 24                       # instead of what every project may have

# Users with a default project, or with limits instead of those that every user has.
# [[user]]
# name = "root"
# project = "vision"
# gpus = 32

# Who may change the pool, drain, import, reset and act for others. Root always may.
# [admins]
# users = ["root"]
# groups = ["adm"]
"""


def template() -> str:
    """A commented pool file to start from; it is sound as it stands."""
    return TEMPLATE


def write(pool: Pool) -> str:
    """The pool as TOML; reading it gives an equal pool where the admins resolve as before.

    Neighbours that differ in nothing but their number fold into one range.
    """
    blocks = [_server(group) for group in _groups(pool.servers)]
    blocks += _limiting(pool)
    if pool.admins.users or pool.admins.groups:
        users = [user.user for user in pool.admins.users]
        groups = [group.group for group in pool.admins.groups]
        blocks.append(["[admins]", *_list("users", users), *_list("groups", groups)])
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


def _groups(servers: Sequence[Server]) -> Iterator[Sequence[Server]]:
    """Runs of neighbours that one `[[server]]` can tell: alike, and named by one range."""
    start = 0
    while start < len(servers):
        end = start + 1
        while end < len(servers) and _alike(servers[start], servers[end]):
            end += 1
        for _, length in fold([server.name for server in servers[start:end]]):
            for first in range(start, start + length, MOST_SERVERS):
                yield servers[first : min(first + MOST_SERVERS, start + length)]
            start += length


def _alike(one: Server, other: Server) -> bool:
    told = any(card.uuid is not None for card in one.gpus)
    hosts = (one.host is None) == (other.host is None)
    return hosts and not told and (one.cpus, one.gpus) == (other.cpus, other.gpus)


def _server(group: Sequence[Server]) -> list[str]:
    first = group[0]
    lines = ["[[server]]", f"name = {_quoted(compress([server.name for server in group]))}"]
    hosts = [server.host for server in group if server.host is not None]
    if hosts:
        lines.append(f"host = {_quoted(compress(hosts))}")
    lines.append(f"cpus = {first.cpus}")
    return lines + (_plain(first.gpus) or [line for card in first.gpus for line in _card(card)])


def _plain(cards: tuple[Card, ...]) -> list[str]:
    """The cards as a count, where they are numbered from 0 and differ in nothing else."""
    first = cards[0]
    if cards != tuple(Card(at, None, first.model, first.memory_mib) for at in range(len(cards))):
        return []
    return [
        f"gpus = {len(cards)}",
        *([f"gpu_model = {_quoted(first.model)}"] if first.model is not None else []),
        *([f"gpu_memory_mib = {first.memory_mib}"] if first.memory_mib is not None else []),
    ]


def _card(card: Card) -> list[str]:
    lines = ["[[server.gpu]]", f"index = {card.index}"]
    for key, text in (("uuid", card.uuid), ("model", card.model)):
        if text is not None:
            lines.append(f"{key} = {_quoted(text)}")
    if card.memory_mib is not None:
        lines.append(f"memory_mib = {card.memory_mib}")
    if card.pci is not None:
        lines.append(f"pci = {_quoted(card.pci)}")
    return lines


def _limiting(pool: Pool) -> Iterator[list[str]]:
    """The tables of limits, projects and users."""
    limits = pool.limits
    if limits.gpus_per_task is not None:
        yield ["[limits]", f"gpus_per_task = {limits.gpus_per_task}"]
    for scope in ("task", "user", "project"):
        if lines := _cap(getattr(limits, scope)):
            yield [f"[limits.{scope}]", *lines]
    for project in pool.projects:
        priority = [f"priority = {project.priority}"] if project.priority else []
        yield ["[[project]]", f"name = {_quoted(project.name)}", *priority, *_cap(project.cap)]
    for user in pool.members:
        default = [] if user.project is None else [f"project = {_quoted(user.project)}"]
        yield ["[[user]]", f"name = {_quoted(user.user)}", *default, *_cap(user.cap)]


def _cap(cap: Cap) -> list[str]:
    counts = (("gpus", cap.gpus), ("cpus", cap.cpus), ("gpu_hours", cap.gpu_hours))
    spans = (("window", cap.window), ("lease", cap.lease), ("default_lease", cap.default_lease))
    lines = [f"{key} = {count}" for key, count in counts if count is not None]
    return lines + [f'{key} = "{units_text(span)}"' for key, span in spans if span is not None]


def _list(key: str, names: list[str]) -> list[str]:
    return [f"{key} = [{', '.join(map(_quoted, names))}]"] if names else []


def _quoted(text: str) -> str:
    """A TOML basic string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return (
        '"' + "".join(c if c >= " " and c != "\x7f" else f"\\u{ord(c):04x}" for c in escaped) + '"'
    )
