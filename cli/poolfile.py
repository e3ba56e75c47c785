"""The pool file: TOML in, a `Pool` out, or a complaint with file, line and key.

Nothing is guessed: an unknown key, a wrong type or a name that comes twice is an error.
A server that lists cards (`[[server.gpu]]`) lists all of them; its own `gpus` must agree,
while `[defaults] gpus` gives way. `cli/pooltext.py` writes the same format.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from ..replay.errors import BadRequest
from ..replay.facts import AdminGroup, Admins, AdminUser, Card, Pool, Server
from ..replay.request import name as checked_name
from . import poolcaps
from .hostrange import Check, expand
from .poolcaps import ResolveUser
from .tomlfile import BadConfiguration, Table, TomlFile, Where

MOST_SERVERS = 10_000
"""Of like servers; a file may list more."""
MOST_GPUS = 1_024
MOST_CPUS = 1_000_000
MOST_MIB = 1 << 40

TOP = ("defaults", "server", "limits", "project", "user", "admins")
DEFAULTS = ("gpus", "cpus")
SERVER = ("name", "host", "gpus", "cpus", "gpu_model", "gpu_memory_mib", "gpu")
CARD = ("index", "uuid", "model", "memory_mib", "pci")
ADMINS = ("users", "groups")

ResolveGroup = Callable[[str], int | None]
"""A group's name to its gid, None where the machine does not know it."""


class PoolFile(msgspec.Struct, frozen=True, gc=False):
    """What a file says. A table that it leaves out changes nothing when it is applied."""

    pool: Pool
    limits_given: bool = False
    projects_given: bool = False
    members_given: bool = False


class _Defaults(msgspec.Struct, frozen=True, gc=False):
    gpus: int | None = None
    cpus: int | None = None


def read(
    text: str | bytes, *, path: str, resolve_user: ResolveUser, resolve_group: ResolveGroup
) -> Pool:
    """The pool that the text of a pool file means. Raises BadConfiguration."""
    return parse(text, path=path, resolve_user=resolve_user, resolve_group=resolve_group).pool


def parse(
    text: str | bytes, *, path: str, resolve_user: ResolveUser, resolve_group: ResolveGroup
) -> PoolFile:
    """The same, with what the file says and what it leaves out. Raises BadConfiguration."""
    file = TomlFile(text, path)
    file.only(file.root, TOP, ())
    defaults = _defaults(file)
    servers: list[Server] = []
    seen = _Seen(file)
    if not file.root.get("server"):
        file.fail(("server",), "at least one [[server]]")
    for at, table in enumerate(file.tables(file.root["server"], ("server",))):
        made = _servers(file, table, at, defaults)
        seen.check(made, at)
        servers += made
    seen.hosts_are_unlike_names()
    limits, projects = poolcaps.limits(file), poolcaps.projects(file)
    members = poolcaps.members(file, projects, resolve_user)
    admins = _admins(file, resolve_user, resolve_group)
    return PoolFile(
        Pool(tuple(servers), limits, admins, projects, members),
        *(table in file.root for table in ("limits", "project", "user")),
    )


def uniform(servers: int, gpus: int, cpus: int) -> Pool:
    """A pool of like servers named gpu-server-0 and so on. Raises BadRequest."""
    for field, value, most in (
        ("servers", servers, MOST_SERVERS),
        ("GPUs per server", gpus, MOST_GPUS),
        ("CPUs per server", cpus, MOST_CPUS),
    ):
        if isinstance(value, bool) or not 1 <= value <= most:
            raise BadRequest(field, value, f"a whole number from 1 to {most}")
    cards = tuple(Card(index) for index in range(gpus))
    return Pool(tuple(Server(f"gpu-server-{at}", cpus, cards) for at in range(servers)))


class _Seen:
    """Names, hosts and UUIDs met so far: none comes twice in a pool."""

    def __init__(self, file: TomlFile) -> None:
        self.file = file
        self.names: set[str] = set()
        self.hosts: dict[str, tuple[int, str]] = {}
        self.uuids: set[str] = set()

    def check(self, servers: Sequence[Server], at: int) -> None:
        """Fail where a server of table `at` uses something that was used before."""
        for server in servers:
            if server.name in self.names:
                self.file.fail(("server", at, "name"), "each server once", server.name)
            if server.host is not None and server.host in self.hosts:
                self.file.fail(("server", at, "host"), "each host once", server.host)
            self.names.add(server.name)
            if server.host is not None:
                self.hosts[server.host] = (at, server.name)
            for card in server.gpus:
                if card.uuid is not None and card.uuid in self.uuids:
                    self.file.fail(self._uuid_at(at, card.uuid), "each UUID once", card.uuid)
                self.uuids.update([card.uuid] if card.uuid is not None else [])

    def _uuid_at(self, at: int, uuid: str) -> Where:
        """Where table `at` lists the card: in the file's order, which is not the cards'."""
        server = self.file.tables(self.file.root["server"], ("server",))[at]
        cards = self.file.tables(server["gpu"], ("server", at, "gpu"))
        listed = [card.get("uuid") for card in cards]
        return ("server", at, "gpu", listed.index(uuid), "uuid")

    def hosts_are_unlike_names(self) -> None:
        """Fail where a machine that calls itself `host` could also mean another server."""
        for host, (at, name) in self.hosts.items():
            if host != name and host in self.names:
                self.file.fail(("server", at, "host"), "a host that no other server is named", host)


def _defaults(file: TomlFile) -> _Defaults:
    where: Where = ("defaults",)
    table = file.table(file.root.get("defaults", {}), where)
    file.only(table, DEFAULTS, where)
    return _Defaults(
        file.number(table, (*where, "gpus"), most=MOST_GPUS),
        file.number(table, (*where, "cpus"), most=MOST_CPUS),
    )


def _servers(file: TomlFile, table: Table, at: int, defaults: _Defaults) -> list[Server]:
    """The servers that one `[[server]]` means."""
    where: Where = ("server", at)
    file.only(table, SERVER, where)
    names = _range(file, table, (*where, "name"), checked_name)
    if names is None:
        file.fail((*where, "name"), "a name")
    hosts = _range(file, table, (*where, "host"), _host)
    if hosts is not None and len(hosts) != len(names):
        file.fail((*where, "host"), f"as many hosts as names, {len(names)}", table["host"])
    cpus = file.number(table, (*where, "cpus"), most=MOST_CPUS) or defaults.cpus
    if cpus is None:
        file.fail((*where, "cpus"), "a number of CPUs here or in [defaults]")
    cards = _cards(file, table, where, defaults)
    return [
        Server(name, cpus, cards, hosts[position] if hosts else None)
        for position, name in enumerate(names)
    ]


def _range(file: TomlFile, table: Table, where: Where, check: Check) -> tuple[str, ...] | None:
    text = file.text(table, where, most=1_000_000)
    if text is None:
        return None
    try:
        return expand(text, check=check)
    except BadRequest as error:
        file.fail(where, error.expected, text)


def _host(field: str, value: str) -> str:
    """A machine's name for itself: longer than a server's name, and of DNS' characters."""
    plain = value.replace("-", "").replace(".", "").replace("_", "")
    if not (plain.isascii() and plain.isalnum() and value[0].isalnum() and len(value) <= 253):
        raise BadRequest(field, value, "a host name such as h100-01.lab.example")
    return value


def _cards(file: TomlFile, table: Table, where: Where, defaults: _Defaults) -> tuple[Card, ...]:
    """The cards of a server, in index order."""
    count = file.number(table, (*where, "gpus"), most=MOST_GPUS)
    model = file.text(table, (*where, "gpu_model"), most=100)
    memory = file.number(table, (*where, "gpu_memory_mib"), most=MOST_MIB)
    if "gpu" not in table:
        count = count or defaults.gpus
        if count is None:
            file.fail((*where, "gpus"), "a number of GPUs here or in [defaults]")
        return tuple(Card(index, None, model, memory) for index in range(count))
    listed = file.tables(table["gpu"], (*where, "gpu"))
    if not listed or count not in (None, len(listed)):
        expected = f"{len(listed)}, as many as [[server.gpu]] lists" if listed else "a card"
        file.fail((*where, "gpus"), expected, count)
    cards = [
        _card(file, one, (*where, "gpu", position), Card(0, None, model, memory))
        for position, one in enumerate(listed)
    ]
    for position, card in enumerate(cards):
        before = cards[:position]
        if any(card.index == other.index for other in before):
            file.fail((*where, "gpu", position, "index"), "each index once", card.index)
        if card.uuid is not None and any(card.uuid == other.uuid for other in before):
            file.fail((*where, "gpu", position, "uuid"), "each UUID once", card.uuid)
        if card.pci is not None and any(card.pci == other.pci for other in before):
            file.fail((*where, "gpu", position, "pci"), "each PCI address once", card.pci)
    return tuple(sorted(cards, key=lambda card: card.index))


def _card(file: TomlFile, table: Table, where: Where, usual: Card) -> Card:
    """One `[[server.gpu]]`; model and memory as `usual` where it tells none."""
    file.only(table, CARD, where)
    index = file.number(table, (*where, "index"), least=0, most=9_999)
    if index is None:
        file.fail((*where, "index"), "the card's index, a whole number from 0 to 9999")
    return Card(
        index,
        file.text(table, (*where, "uuid"), most=128),
        file.text(table, (*where, "model"), most=100) or usual.model,
        file.number(table, (*where, "memory_mib"), most=MOST_MIB) or usual.memory_mib,
        file.text(table, (*where, "pci"), most=32),
    )


def _admins(file: TomlFile, resolve_user: ResolveUser, resolve_group: ResolveGroup) -> Admins:
    where: Where = ("admins",)
    table = file.table(file.root.get("admins", {}), where)
    file.only(table, ADMINS, where)
    users: list[AdminUser] = []
    groups: list[AdminGroup] = []
    for user in file.texts(table, (*where, "users"), most=256):
        identity = resolve_user(user)
        if identity is None:
            file.fail((*where, "users"), "users that this machine knows", user)
        users.append(AdminUser(user, identity))
    for group in file.texts(table, (*where, "groups"), most=256):
        gid = resolve_group(group)
        if gid is None:
            file.fail((*where, "groups"), "groups that this machine knows", group)
        groups.append(AdminGroup(group, gid))
    return Admins(tuple(users), tuple(groups))


__all__ = ["BadConfiguration", "PoolFile", "parse", "read", "uniform"]
