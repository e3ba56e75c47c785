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

from . import exit as exits
from . import runnotes
from .courier import Outcome, Way, carry
from .errand import SENT, WORD, Errand
from .sshfailure import ConnectionLost, NotReached, NotThere

if TYPE_CHECKING:
    from .session import Session
    from .sshurl import Address

READS = frozenset(
    "status list queue history export audit:who audit:usage audit:refusals audit:diff audit:verify"
    " audit:checkpoint audit:prove keys:show pool:show pool:diff".split()
)
"""Commands that change nothing."""

SETTLED = frozenset({exits.OK, exits.USAGE, exits.UNKNOWN_NAME, exits.NOT_NOW, exits.CONFLICT})
"""Exit codes with which a command has looked at the ledger, and so at what was reported gone."""


def send(session: Session, given: Mapping[str, object]) -> NoReturn:
    """Run the current command on the ledger's machine and end with its exit code.

    Raises what goes wrong on the way (`sshfailure`), and what files raise that are not there.
    """
    address = session.location.far
    assert address is not None
    name = ":".join(click.get_current_context().command_path.split()[1:])
    if name == "status":
        session.say_which()
    files = _files(name, given)
    key = os.urandom(8).hex() if given.get("key", "") is None else None
    gone = runnotes.gone(address) if name not in READS else {}
    errand = msgspec.structs.replace(
        errand_for(session, address, session.words, files=files, kept=_for_shell(name, given)),
        key=key,
        gone=tuple(gone.values()),
        asks=given.get("yes") is False and sys.stdin.isatty(),
    )
    outcome = carry(address, errand, files.values(), way=Way(keep=_for_shell(name, given)))
    if outcome.interrupted and outcome.broken:
        raise KeyboardInterrupt
    if outcome.broken and given.get("watch"):
        from .watching import FIRST_SCREEN

        sys.stdout.write(FIRST_SCREEN)
    check(outcome, address, again(session.words, key), _act(name, given))
    if outcome.status in SETTLED:
        for path in gone:
            runnotes.remove(path)
    if _for_shell(name, given):
        _tell_shell(session, outcome, given)
    raise click.exceptions.Exit(outcome.status)


def _for_shell(name: str, given: Mapping[str, object]) -> bool:
    """Whether a grant is told to a shell: made here, where its hostfiles and its folder are."""
    return name == "allocate" and bool(given.get("short") or given.get("export") is not None)


def _tell_shell(session: Session, outcome: Outcome, given: Mapping[str, object]) -> None:
    """What a shell is told of a grant; what the far side said where there is none."""
    from .gang import Gang
    from .jobshell import tell_gang

    if outcome.status:
        sys.stdout.write(outcome.output.decode())
        return
    export = given["export"]
    gang = msgspec.json.decode(outcome.output, type=Gang)
    tell_gang(session, gang, export if isinstance(export, str) else None)


def errand_for(
    session: Session,
    address: Address,
    words: tuple[str, ...],
    *,
    files: Mapping[str, bytes] | None = None,
    kept: bool = False,
) -> Errand:
    """The errand of a command with these words, with all that is known of this place.

    What is `kept` is for this program, not for a terminal.
    """
    from gpuledger import __version__

    from .terminalsize import size
    from .zone import zone_text

    out, err = sys.stdout.isatty() and not kept, sys.stderr.isatty()
    return Errand(
        __version__,
        words,
        address.place,
        address.path,
        session.host,
        out,
        err,
        size=size() if out or err else None,
        encoding="utf-8" if kept else sys.stdout.encoding or "utf-8",
        environ={name: os.environ[name] for name in SENT if _sound(os.environ.get(name))},
        zone=zone_text(),
        files=tuple((name, len(content)) for name, content in (files or {}).items()),
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
    """The files that a command reads, by the names that it knows them by.

    Those that it writes can be written, or StorageFailed is raised before anything is granted.
    """
    if given.get("export") == "mpi":
        from .gang import ready_for_hostfiles

        ready_for_hostfiles()
    if name in ("audit:verify", "audit:prove"):
        return _checkpoints(given)
    file, script = given.get("file"), given.get("script")
    if isinstance(script, str):
        from .oldscript import script_content

        return {script: script_content(script)}
    if not isinstance(file, str):
        return {}
    if name == "import":
        from .tracefile import trace_content

        return {file: trace_content(file)}
    from .poolsource import pool_content

    return {file: pool_content(file)}


def _checkpoints(given: Mapping[str, object]) -> dict[str, bytes]:
    from .anchoring import MOST_BYTES
    from .poolsource import content

    against = given.get("against")
    paths: list[str] = [*against] if isinstance(against, tuple) else []
    file, key = given.get("file"), given.get("signed_by")
    paths += [file] if isinstance(file, str) else []
    paths += [key] if isinstance(key, str) and "+" not in key else []
    return {
        path: content(path, field="FILE", expected="a file that is there", most=MOST_BYTES)
        for path in paths
    }


def _sound(value: str | None) -> bool:
    """Whether a variable is set to a text that can be sent."""
    return value is not None and value.isprintable()
