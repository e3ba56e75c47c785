"""Notes of what `run` holds on other machines: who is to be told when its processes are gone.

Before it asks for GPUs, `run` notes in the user's state directory which ledger it asks and which
processes will keep them; it removes the note when they are given back. Where it was killed, or
its host went down, the note is what is left: the next command of this user on this host that
writes to that ledger finds the processes gone and gives back what they held.
"""

from __future__ import annotations

import os
from contextlib import suppress

import msgspec

from ..replay.errors import BadRequest
from ..replay.facts import Tie
from .sshurl import Address

FOLDER = "runs"
MOST_BYTES = 65_536


class RunNote(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The ledger that was asked, and the processes that keep what it gave."""

    address: Address
    tie: Tie


def write(address: Address, tie: Tie) -> str:
    """Note a hold before it is asked for; the note's path. Raises OSError, BadRequest."""
    folder = _folder()
    os.makedirs(folder, mode=0o700, exist_ok=True)
    path = os.path.join(folder, f"{os.getpid()}-{os.urandom(4).hex()}.json")
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(handle, msgspec.json.encode(RunNote(address, tie)))
        os.fsync(handle)
    finally:
        os.close(handle)
    return path


def remove(path: str) -> None:
    """Remove a note: nothing is held by it any more."""
    with suppress(OSError):
        os.unlink(path)


def gone(address: Address) -> dict[str, Tie]:
    """The notes about this ledger whose processes are gone: their paths with their ties."""
    from .process import gone as why_gone

    found: dict[str, Tie] = {}
    for path in _paths():
        note = _read(path)
        if note is not None and note.address == address and why_gone(note.tie) is not None:
            found[path] = note.tie
    return found


def _folder() -> str:
    from .location import user_path

    return os.path.join(os.path.dirname(user_path()), FOLDER)


def _paths() -> list[str]:
    try:
        folder = _folder()
        return sorted(os.path.join(folder, name) for name in os.listdir(folder))
    except (OSError, BadRequest):
        return []


def _read(path: str) -> RunNote | None:
    """A note of this user's; None for whatever else lies there."""
    with suppress(OSError, msgspec.MsgspecError), open(path, "rb") as file:
        if os.fstat(file.fileno()).st_uid == getattr(os, "getuid", int)():
            return msgspec.json.decode(file.read(MOST_BYTES), type=RunNote)
    return None
