"""A ledger on another machine: `ssh://[user@]host[:port]/[path]`, taken apart and checked.

Host, user and path become arguments of ssh and of the program there, so none of them begins
with `-` and none holds a space or a control character. The path is absolute, or begins with
`~/` in the home directory there (`ssh://host/~/ledger.db`); without one the machine's own
rules say which ledger is meant. Letters may be written as `%20`.
"""

from __future__ import annotations

import re

import msgspec

from ..replay.errors import BadRequest

SCHEME = "ssh://"
EXPECTED = "ssh://[user@]host[:port]/[path], without spaces, and no part of it beginning with -"
MOST_PORT = 65_535
MOST = 4_096

_HOST = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.-]{0,252}", re.ASCII).fullmatch
_USER = re.compile(r"[^-:/\[\]\"'`$;&<>|(){}%][^:/\[\]\"'`$;&<>|(){}%]{0,63}").fullmatch
_ZONED = re.compile(r"([0-9A-Fa-f:.]{2,45})(%[A-Za-z0-9_.-]{1,32})?", re.ASCII).fullmatch
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})?")


class Address(msgspec.Struct, frozen=True, gc=False):
    """Where a ledger on another machine lies; `user`, `port` and `path` where they were named.

    `path` is absolute or begins with `~/`. An IPv6 address stands without its brackets.
    """

    host: str
    user: str | None = None
    port: int | None = None
    path: str | None = None

    @property
    def place(self) -> str:
        """The machine as people are told of it: `host`, or `ada@host`."""
        return self.host if self.user is None else f"{self.user}@{self.host}"


def parse(text: str, field: str) -> Address:
    """The address that a text means; `field` names it in the complaint. Raises BadRequest."""
    found = _address(text) if len(text) <= MOST and text.isprintable() and " " not in text else None
    if found is None:
        raise BadRequest(field, text, EXPECTED)
    return found


def _address(text: str) -> Address | None:
    where, slash, path = text.removeprefix(SCHEME).partition("/")
    user, at, machine = where.rpartition("@")
    host, port = _machine(machine)
    if host is None or port == 0 or (at and not _USER(user)):
        return None
    told = _path(slash + path)
    return None if told is None else Address(host, user or None, port, told or None)


def _machine(text: str) -> tuple[str | None, int | None]:
    """Host and port; no host where it is none, port 0 where that is none."""
    if text.startswith("["):
        host, closed, rest = text[1:].partition("]")
        good = closed and _six(host) and (not rest or rest.startswith(":"))
        port = rest.removeprefix(":")
    else:
        host, rest, port = text.partition(":")
        good = _HOST(host) is not None
    if not good:
        return None, None
    if not rest:
        return host, None
    numbered = port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= MOST_PORT
    return host, int(port) if numbered else 0


def _six(text: str) -> bool:
    """Whether it is an IPv6 address, with its zone perhaps."""
    found = _ZONED(text)
    if found is None:
        return False
    from ipaddress import AddressValueError, IPv6Address

    try:
        IPv6Address(found[1])
    except AddressValueError:
        return False
    return True


def _path(text: str) -> str | None:
    """The path that is meant, empty where none is named; None where it cannot be one."""
    if "?" in text or "#" in text:
        return None
    raw = text.encode()
    if any(found[1] is None for found in _ESCAPE.finditer(raw)):
        return None
    try:
        path = _ESCAPE.sub(lambda found: bytes.fromhex(found[1].decode()), raw).decode()
    except UnicodeDecodeError:
        return None
    if not path.isprintable():
        return None
    return path.removeprefix("/") if path.startswith("/~/") else path.rstrip("/")
