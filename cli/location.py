"""Which ledger a command means.

The first of: `--ledger FILE`, `$GPULEDGER`, `ledger = …` in `/etc/gpuledger.toml` (cron
and notebooks read no profile), the machine's own `/var/lib/gpuledger/ledger.db` where it
exists, and the user's state directory of the platform, whether something is there or not.
Each of the first three may be `ssh://[user@]host[:port]/[path]`, a ledger on another machine.

The configuration file counts only where root owns it and nobody else may write it;
otherwise it is passed over with a notice. The machine's ledger counts as existing where
this user may not even look into its folder: he is to be told whom to ask, not to be given
an empty ledger of his own.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import msgspec

from ..ledger.errors import GpuledgerError
from ..replay.errors import BadRequest

if TYPE_CHECKING:
    from .sshurl import Address

VARIABLE = "GPULEDGER"
CONFIGURATION = "etc/gpuledger.toml"
MACHINE = "var/lib/gpuledger/ledger.db"
USER_FILE = "ledger.db"


class NoWorkingDirectory(GpuledgerError):
    """A path counts from the working directory, which is gone."""

    code = "no_working_directory"


class Notice(msgspec.Struct, frozen=True, gc=False):
    """A configuration file that does not count.

    `why` is `owner`, `writable`, `unreadable` or `kind`.
    """

    path: str
    why: str


class Location(msgspec.Struct, frozen=True, gc=False):
    """A ledger's absolute path and how it was found.

    `found_by` is `option`, `environment`, `configuration`, `machine` or `user`.
    `notices` tell what was passed over on the way. Where the ledger is on another machine
    `far` is its address, and `path` the text that named it.
    """

    path: str
    found_by: str
    notices: tuple[Notice, ...] = ()
    far: Address | None = None


class Machine(msgspec.Struct, frozen=True, gc=False):
    """What a search looks at: the root of the file system, its owner's uid, the environment."""

    root: str = "/"
    root_uid: int = 0
    environ: Mapping[str, str] | None = None

    def at(self, path: str) -> str:
        """A path below the root."""
        return os.path.join(self.root, path)


HERE = Machine()


def find(option: str | None = None, machine: Machine = HERE) -> Location:
    """The ledger that a command means. Raises BadRequest, or BadConfiguration."""
    if option is not None:
        return _named(option, "--ledger", "option")
    notices: list[Notice] = []
    found = next(_candidates(machine, notices))
    return msgspec.structs.replace(found, notices=tuple(notices))


def others(location: Location, machine: Machine = HERE) -> tuple[Location, ...]:
    """The other ledgers that exist and that a command without options could mean."""
    from .tomlfile import BadConfiguration

    found: list[Location] = []
    try:
        for other in _candidates(machine, []):
            known = [location.path, *(one.path for one in found)]
            there = other.far is not None or _exists(other.path)
            if there and not any(_same(other.path, path) for path in known):
                found.append(other)
    except (BadRequest, BadConfiguration):
        pass  # What this command does not use may be as wrong as it likes.
    return tuple(found)


def user_path() -> str:
    """The user's own ledger, in the state directory of the platform. Raises BadRequest."""
    if sys.platform == "linux":
        # What platformdirs answers there, without the 16 ms of its import.
        state = os.environ.get("XDG_STATE_HOME", "").strip() or os.path.expanduser("~/.local/state")
        folder = os.path.join(state, "gpuledger")
    else:
        import platformdirs

        folder = platformdirs.user_state_dir("gpuledger", appauthor=False)
    if not os.path.isabs(folder):
        raise BadRequest("--ledger", None, "the path of a file, as there is no home directory")
    return os.path.join(folder, USER_FILE)


def machine_path() -> str:
    """The machine's own ledger, which `init --group` makes."""
    return HERE.at(MACHINE)


def _candidates(machine: Machine, notices: list[Notice]) -> Iterator[Location]:
    """Every ledger that could be meant, in order; the last is always there to be made."""
    environ = os.environ if machine.environ is None else machine.environ
    if environ.get(VARIABLE):
        yield _named(environ[VARIABLE], f"${VARIABLE}", "environment")
    configured = _configured(machine.at(CONFIGURATION), machine.root_uid, notices)
    if configured is not None:
        yield configured
    if os.name == "posix" and _exists(machine.at(MACHINE)):
        yield Location(machine.at(MACHINE), "machine")
    yield Location(user_path(), "user")


def _named(text: str, field: str, found_by: str) -> Location:
    """The ledger that a text names. Raises BadRequest."""
    if text.startswith("ssh://"):
        from .sshurl import parse

        return Location(text, found_by, far=parse(text, field))
    return Location(_path(text, field), found_by)


def _path(text: str, field: str) -> str:
    """An absolute path. Raises BadRequest for what is none."""
    if "://" in text:
        raise BadRequest(field, text, "the path of a file, or ssh://[user@]host[:port]/[path]")
    if not text or "\0" in text:
        raise BadRequest(field, text, "the path of a file")
    return os.path.abspath(os.path.expanduser(text))


def _configured(path: str, root_uid: int, notices: list[Notice]) -> Location | None:
    """The ledger that the configuration file names, where the file counts."""
    try:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            why = _distrusted(status, root_uid)
            content = b"" if why else file.read(1 << 20)
    except FileNotFoundError:
        return None
    except OSError:
        why, content = "unreadable", b""
    if why:
        notices.append(Notice(path, why))
        return None
    from .tomlfile import TomlFile

    toml = TomlFile(content, path)
    toml.only(toml.root, ("ledger",), ())
    ledger = toml.text(toml.root, ("ledger",), most=4_096)
    if ledger is None:
        return None
    try:
        found = _named(ledger, "ledger", "configuration")
    except BadRequest as error:
        toml.fail(("ledger",), error.expected, ledger)
    if found.far is None and not os.path.isabs(ledger):
        toml.fail(("ledger",), "the absolute path of a file", ledger)
    return found


def _distrusted(status: os.stat_result, root_uid: int) -> str | None:
    """Why a file is not root's word, or None. (An ACL's writers show in the group's bits.)"""
    if not stat.S_ISREG(status.st_mode):
        return "kind"
    if status.st_uid != root_uid:
        return "owner"
    return "writable" if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH) else None


def _exists(path: str) -> bool:
    """Whether something is there, or may be there where one may not look."""
    try:
        os.stat(path)
    except PermissionError:
        return True
    except (OSError, ValueError):
        return False
    return True


def _same(one: str, other: str) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:
        return one == other
