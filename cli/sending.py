"""Sending: a command whose ledger lies on another machine is run there, by the user's ssh.

The words go as they were typed; here they have only been parsed, so that what is no command
fails before anything is connected. Files are opened here, and an act that can carry a retry
key is given one, so that after a lost connection it can be tried again.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, NoReturn

import click
import msgspec

from .courier import Outcome, carry
from .errand import SENT, WORD, Errand
from .sshfailure import ConnectionLost, NotReached, NotThere

if TYPE_CHECKING:
    from .session import Session
    from .sshurl import Address

READS = frozenset(
    "status list queue history export audit:who audit:usage audit:refusals audit:diff audit:verify"
    " pool:show pool:diff".split()
)
"""Commands that change nothing."""


def send(session: Session, given: Mapping[str, object]) -> NoReturn:
    """Run the current command on the ledger's machine and end with its exit code.

    Raises what goes wrong on the way (`sshfailure`), and what files raise that are not there.
    """
    address = session.location.far
    assert address is not None
    name = ":".join(click.get_current_context().command_path.split()[1:])
    if name == "status":
        from .commands.status import say_which

        say_which(session)
    files = _files(name, given)
    if given.get("export") == "mpi":
        from .gang import ready_for_hostfiles

        ready_for_hostfiles()
    key = os.urandom(8).hex() if given.get("key", "") is None else None
    asks = given.get("yes") is False and sys.stdin.isatty()
    errand = errand_for(session, address, session.words, files=files, key=key, asks=asks)
    shell = name == "allocate" and (given.get("short") or given.get("export") is not None)
    outcome = carry(address, errand, files.values(), keep=bool(shell))
    if outcome.interrupted and outcome.broken:
        raise KeyboardInterrupt
    if outcome.broken and given.get("watch"):
        from .watching import FIRST_SCREEN

        sys.stdout.write(FIRST_SCREEN)
    check(outcome, address, again(session.words, key), _act(name, given))
    if shell and not outcome.status:
        _tell_shell(session, outcome.output, given)
    raise click.exceptions.Exit(outcome.status)


def _tell_shell(session: Session, told: bytes, given: Mapping[str, object]) -> None:
    """What a shell is told of a grant is made here, where its hostfiles and its folder are."""
    from .gang import Gang
    from .jobshell import tell_gang

    export = given["export"]
    gang = msgspec.json.decode(told, type=Gang)
    tell_gang(session, gang, export if isinstance(export, str) else None)


def errand_for(
    session: Session,
    address: Address,
    words: tuple[str, ...],
    *,
    files: Mapping[str, bytes] | None = None,
    key: str | None = None,
    asks: bool = False,
) -> Errand:
    """The errand of a command with these words, with all that is known of this place."""
    from gpuledger import __version__

    from .terminalsize import size
    from .zone import zone_text

    out, err = sys.stdout.isatty(), sys.stderr.isatty()
    return Errand(
        __version__,
        words,
        address.place,
        address.path,
        session.host,
        out,
        err,
        asks,
        size() if out or err else None,
        sys.stdout.encoding or "utf-8",
        {name: os.environ[name] for name in SENT if _sound(os.environ.get(name))},
        zone_text(),
        tuple((name, len(content)) for name, content in (files or {}).items()),
        key,
    )


def check(outcome: Outcome, address: Address, command: str, act: str) -> None:
    """Raise what kept an errand from being done; `act` is as in ConnectionLost."""
    if outcome.broken and outcome.began:
        raise ConnectionLost(address.place, command, act)
    if outcome.broken:
        raise NotReached(address.place, command)
    if not outcome.began:
        raise NotThere(address.place, WORD, outcome.status)


def again(words: tuple[str, ...], key: str | None) -> str:
    """The command line that tries an act again, with the retry key that it went with."""
    from shlex import join

    if key is None:
        return join(["gpuledger", *words])
    at = words.index("--") if "--" in words else len(words)
    return join(["gpuledger", *words[:at], "--key", key, *words[at:]])


def _act(name: str, given: Mapping[str, object]) -> str:
    if name in READS:
        return "read"
    return "keyed" if "key" in given else "bare"


def _files(name: str, given: Mapping[str, object]) -> dict[str, bytes]:
    """The files that a command reads, by the names that it knows them by."""
    file, script = given.get("file"), given.get("script")
    if isinstance(script, str):
        from .oldscript import script_content

        return {script: script_content(script)}
    if not isinstance(file, str):
        return {}
    if name == "import":
        from .tracefile import content

        return {file: content(file)}
    from .poolsource import pool_content

    return {file: pool_content(file)}


def _sound(value: str | None) -> bool:
    """Whether a variable is set to a text that can be sent."""
    return value is not None and value.isprintable()
