"""Where a pool file is read from: a path, or stdin where it is called `-`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..ledger.errors import NotPermitted, StorageFailed
from ..replay.errors import BadRequest
from ..replay.facts import Pool
from .printable import printable

if TYPE_CHECKING:
    from ..replay.state import State
    from .poolfile import PoolFile

MOST_BYTES = 16 << 20
"""A longer file is no pool file."""


def pool_file(path: str, opened: Mapping[str, bytes] | None = None) -> PoolFile:
    """What a pool file says; `opened` are those that were opened on another machine.

    Raises BadConfiguration, BadRequest, NotPermitted.
    """
    from .actor import group_gid, user_identity
    from .poolfile import parse

    text = opened[path] if opened and path in opened else pool_content(path)
    return parse(text, path=shown(path), resolve_user=user_identity, resolve_group=group_gid)


def pool_content(path: str) -> bytes:
    """The bytes of a pool file. Raises BadRequest, NotPermitted, StorageFailed."""
    there = "a file that is there; gpuledger pool template shows one"
    text = content(path, field="FILE", expected=there, most=MOST_BYTES)
    if len(text) > MOST_BYTES:
        raise BadRequest("FILE", path, "a pool file of at most 16 MiB")
    return text


def shown(path: str) -> str:
    """The file as people are told of it."""
    return "stdin" if path == "-" else printable(path)


def whole_pool(file: PoolFile, state: State) -> Pool:
    """The pool that a file means for a ledger: a table that it leaves out stays as it is.

    Raises BadRequest where what it says does not go with what stays.
    """
    from ..replay.pool_request import pool

    said, now = file.pool, state.pool
    return pool(
        Pool(
            said.servers,
            said.limits if file.limits_given else now.limits,
            said.admins,
            said.projects if file.projects_given else now.projects,
            said.members if file.members_given else now.members,
        )
    )


def content(path: str, *, field: str, expected: str, most: int) -> bytes:
    """A file's bytes, `most` of them and one more where it is longer; `-` is stdin.

    Raises NotPermitted, StorageFailed, and BadRequest (`field`, `expected`) where there is
    no such file.
    """
    if path == "-":
        return sys.stdin.buffer.read(most + 1)
    try:
        with open(path, "rb") as file:
            return file.read(most + 1)
    except PermissionError as error:
        raise NotPermitted(path, "read") from error
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError, ValueError) as error:
        raise BadRequest(field, path, expected) from error
    except OSError as error:
        raise StorageFailed(path, error.strerror or str(error)) from error
