"""Real users of this machine, made for a test and removed after it, and a program they can run.

Root ignores modes, so what others may do is tried as those others: under their uids, with
their groups and their umask, by an interpreter that everybody can execute.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

GROUP = f"gpl{os.getpid()}"
MEMBERS = tuple(f"{GROUP}-{number}" for number in range(1, 6))
OUTSIDER = f"{GROUP}-x"
NAMELESS = 64_321


class Person(NamedTuple):
    """Somebody with a uid, a group of his own, and further groups."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...] = ()


class Team(NamedTuple):
    """Five members of a group, one more that the machine has no name for, and an outsider."""

    gid: int
    members: tuple[Person, ...]
    nameless: Person
    outsider: Person


TURNS = Path(tempfile.gettempdir()) / "gpuledger-test-users.lock"
"""Whoever makes users at the same time fails: one test after another, whatever process it is in."""


def do(*words: str | Path, check: bool = True) -> None:
    """Run a command that makes or unmakes what a machine has."""
    import fcntl

    with TURNS.open("a") as turns:
        fcntl.flock(turns, fcntl.LOCK_EX)
        subprocess.run(words, check=check, capture_output=True)


@contextmanager
def a_team() -> Iterator[Team]:
    """Make the users and the group; remove them again."""
    import grp
    import pwd

    try:
        do("groupadd", GROUP)
        gid = grp.getgrnam(GROUP).gr_gid
        for name in MEMBERS:
            do("useradd", "--no-create-home", "--user-group", "--groups", GROUP, name)
        do("useradd", "--no-create-home", "--user-group", OUTSIDER)
        people = [pwd.getpwnam(name) for name in (*MEMBERS, OUTSIDER)]
        members = tuple(Person(one.pw_name, one.pw_uid, one.pw_gid, (gid,)) for one in people[:-1])
        outsider = Person(OUTSIDER, people[-1].pw_uid, people[-1].pw_gid)
        yield Team(gid, members, Person(f"uid-{NAMELESS}", NAMELESS, NAMELESS, (gid,)), outsider)
    finally:
        for name in (*MEMBERS, OUTSIDER):
            do("userdel", name, check=False)
        do("groupdel", GROUP, check=False)


def _open_to_all(path: Path) -> bool:
    return all(one.stat().st_mode & 0o001 for one in (path, *path.parents))


def interpreter() -> Path | None:
    """An interpreter of this version that every uid can execute, or None."""
    for candidate in (Path(sys.executable), Path("/usr/bin/python3")):
        if not candidate.exists() or not _open_to_all(candidate.resolve()):
            continue
        said = subprocess.run([candidate, "-V"], capture_output=True, text=True, check=True).stdout
        if said.split()[1].rpartition(".")[0] == f"{sys.version_info[0]}.{sys.version_info[1]}":
            return candidate.resolve()
    return None


class Program(NamedTuple):
    """The program, installed where everybody can read it, and a folder for its ledgers."""

    python: Path
    site: str
    folder: Path

    def run(
        self,
        person: Person | None,
        *args: str | Path,
        umask: int = 0o022,
        through: tuple[str, ...] = (),
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """One whole command as that person, None for root; `through` are words before it (sudo)."""
        setting = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": self.site,
            "PYTHONDONTWRITEBYTECODE": "1",
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            "HOME": "/nonexistent",
            **(env or {}),
        }
        told = [f"{name}={value}" for name, value in setting.items()]
        words = ["env", *told, str(self.python), "-m", "gpuledger", *map(str, args)]
        whose = {} if person is None else _as(person)
        return subprocess.run(
            [*through, *words],
            cwd="/",
            env=setting,
            umask=umask,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=120,
            check=False,
            **whose,  # type: ignore[call-overload]
        )

    def can(self, person: Person, mode: str, path: Path) -> bool:
        """Whether that person can open a file, by trying."""
        tried = subprocess.run(
            [str(self.python), "-c", f"open({str(path)!r}, {mode!r})"],
            cwd="/",
            capture_output=True,
            check=False,
            **_as(person),  # type: ignore[call-overload]
        )
        return tried.returncode == 0


def _as(person: Person) -> dict[str, object]:
    return {"user": person.uid, "group": person.gid, "extra_groups": list(person.groups)}


def _shared_site() -> str | None:
    """Where this interpreter has the program and what it needs, if everybody can read there."""
    import gpuledger

    places = [Path(gpuledger.__file__).parent.parent, Path(sysconfig.get_path("purelib"))]
    return os.pathsep.join(map(str, places)) if all(map(_open_to_all, places)) else None


@contextmanager
def a_program(root: Path, python: Path) -> Iterator[Program]:
    """The program where everybody can read it: as it is installed, or else installed for this."""
    folder = Path(tempfile.mkdtemp(prefix="gpuledger-test-", dir="/var/tmp"))
    folder.chmod(0o755)
    site, source = folder / "site", folder / "source"
    try:
        if (here := _shared_site()) is not None:
            yield Program(python, here, folder)
            return
        shutil.copytree(root, source, ignore=shutil.ignore_patterns("build", ".*", "__pycache__"))
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
             "--constraint", root / "constraints.txt", "--target", site, source],
            check=True, umask=0o022, capture_output=True, timeout=300,
        )  # fmt: skip
        yield Program(python, str(site), folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
