"""The errand: what a command is, where it was typed, and for whom it is done elsewhere.

It travels as one argument of base64url letters, which no shell reads as anything, and holds
the command line word for word. What the far side cannot know of the place where the command
was typed goes along: that machine's name, its terminal, its time zone, which files follow on
stdin and how long each is.
"""

from __future__ import annotations

import binascii
from collections.abc import Mapping
from typing import Any, cast

import msgspec

from ..replay.errors import BadRequest
from ..replay.facts import Tie
from .sshfailure import VersionsDiffer

WORD = "gpuledger-remote"
"""What runs on the ledger's machine, with the errand as its one argument."""

BEGAN = b"\x1egpuledger began\n"
"""The first that it writes to stderr; not shown."""

MOST_LETTERS = 100_000
"""Linux takes 131,072 bytes for one argument; this leaves room for the words around it."""

SENT = (
    "TERM", "COLORTERM", "NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE",
    "LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG",
)  # fmt: skip
"""The variables that a command looks at when it prints; no others are taken over."""


class Errand(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A command to be run on the ledger's machine.

    `words` are its arguments as typed, `path` the ledger's there (None for what that machine's
    own rules say), `place` the machine as its user calls it. `host` is what the machine calls
    itself where the command was typed, `out` and `err` tell whether these are terminals there,
    of `size` columns and lines; where it `asks`, what is typed there follows on stdin. `zone`
    is for `TZ`, `files` are names and lengths in bytes, `key` is a retry key for an act that was
    given none. Processes of `gone` have ended, and what they held of the user's is given back
    first; without words nothing more is done. `take` is a hold that `run` asks for (`farhold`)
    in place of a command, `hold` one of which it asks when it ends.
    """

    version: str
    words: tuple[str, ...]
    place: str
    path: str | None = None
    host: str | None = None
    out: bool = False
    err: bool = False
    asks: bool = False
    size: tuple[int, int] | None = None
    encoding: str = "utf-8"
    environ: dict[str, str] = {}
    zone: str | None = None
    files: tuple[tuple[str, int], ...] = ()
    key: str | None = None
    gone: tuple[Tie, ...] = ()
    take: dict[str, Any] | None = None
    hold: int | None = None


class Caller(msgspec.Struct, frozen=True):
    """For whom a command runs here that was typed elsewhere: the errand and its files."""

    errand: Errand
    files: Mapping[str, bytes] = {}


def encode(errand: Errand) -> str:
    """The errand as letters, digits, `-` and `_`. Raises BadRequest where it is too long."""
    letters = binascii.b2a_base64(msgspec.json.encode(errand), newline=False).decode()
    if len(letters) > MOST_LETTERS:
        raise BadRequest(
            "the command line", len(letters), f"one of at most {MOST_LETTERS} bytes through ssh"
        )
    return letters.rstrip("=").translate(_OUT)


_OUT, _BACK = str.maketrans("+/", "-_"), str.maketrans("-_", "+/")


def opened(letters: str) -> dict[str, Any]:
    """What an argument holds, not looked at yet. Raises BadRequest where it is no errand."""
    padded = letters.translate(_BACK) + "=" * (-len(letters) % 4)
    try:
        told = msgspec.json.decode(binascii.a2b_base64(padded, strict_mode=True))
    except (binascii.Error, ValueError, msgspec.DecodeError):
        told = None
    if not isinstance(told, dict):
        raise _no_errand()
    return cast("dict[str, Any]", told)


def decode(told: Mapping[str, object], version: str) -> Errand:
    """The errand, for a program of that version. Raises VersionsDiffer, BadRequest."""
    theirs = str(told.get("version"))
    if _release(theirs) != _release(version):
        raise VersionsDiffer(str(told.get("place")), theirs, version)
    try:
        return msgspec.convert(told, Errand)
    except msgspec.ValidationError:
        raise _no_errand() from None


def _release(version: str) -> list[str]:
    """What must be the same in both places: 0.2 of 0.2.1."""
    return version.split(".")[:2]


def _no_errand() -> BadRequest:
    return BadRequest(
        "gpuledger-remote's argument", None, "the one that gpuledger sends; people use gpuledger"
    )
