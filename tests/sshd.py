"""A real sshd on this machine's loopback, with a key of its own and two real users behind it.

Whoever runs the tests is the one who types commands: an `ssh` that stands first on the path
knows the machine as `far` and holds a key to both accounts.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from conftest import RunCli
from console import Console
from people import Person, Program, do

TOOLS = ("root", "linux", "useradd", "ssh", "/usr/sbin/sshd", "setsid")

GROUP = f"gps{os.getpid()}"
NAMES = (f"{GROUP}-1", f"{GROUP}-2")
SHARED, DIRECT = "far", "far-direct"
"""The machine's names: by the first, commands share one connection as the docs show it."""

SSHD = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
PidFile none
AuthorizedKeysFile {folder}/keys-%u
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PrintMotd no
MaxStartups 100
LogLevel VERBOSE
SetEnv PATH={folder}/far:/usr/local/bin:/usr/bin:/bin PYTHONPATH={site} LC_ALL=C TZ=Asia/Tokyo
"""
SSH = """\
Host {shared}
ControlMaster auto
ControlPath {folder}/cm-%r
ControlPersist 60
Host *
HostName 127.0.0.1
Port {port}
IdentityFile {folder}/key
IdentitiesOnly yes
UserKnownHostsFile {folder}/known
StrictHostKeyChecking accept-new
LogLevel ERROR
"""


class Sshd:
    """The machine behind the loopback: its users, its files, and how it is reached."""

    def __init__(self, program: Program, folder: Path, people: tuple[Person, Person]) -> None:
        self.program = program
        self.folder = folder
        self.ada, self.bob = people
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def uids(self) -> tuple[int, int]:
        """Whose processes run commands there."""
        return self.ada.uid, self.bob.uid

    @property
    def asked(self) -> list[str]:
        """The words that ssh was started with the last time."""
        return (self.folder / "asked").read_text(encoding="utf-8").splitlines()

    @property
    def environ(self) -> Mapping[str, str]:
        """What whoever types commands needs in the environment."""
        return {"PATH": f"{self.folder}/near:{os.environ['PATH']}"}

    def url(self, person: Person, path: Path | str = "", *, host: str = SHARED) -> str:
        """The ledger's name for commands that run as that person."""
        return f"ssh://{person.name}@{host}{path}"

    def console(self, run: RunCli, person: Person, ledger: Path, *, host: str = SHARED) -> Console:
        """Commands on a ledger of that machine, typed here, that run there as that person."""
        made = Console(run, ledger)
        made.environ = {"GPULEDGER": self.url(person, ledger, host=host), **self.environ}
        return made

    def ledger(self, *options: str) -> Path:
        """A ledger that both users share, made by root."""
        path = Path(tempfile.mkdtemp(dir=self.program.folder)) / "shared" / "ledger.db"
        path.parent.parent.chmod(0o755)
        done = self.program.run(None, "--ledger", path, "init", "--group", GROUP, *options)
        assert done.returncode == 0, done.stderr
        return path

    def wait_for_the_far_side(self, ledger: Path) -> int:
        """Wait until a command that runs there has this ledger's lock file open; its number."""
        wanted = str(ledger) + ".lock"
        while True:
            for process in Path("/proc").iterdir():
                with suppress(OSError):
                    if (
                        process.name.isdigit()
                        and process.stat().st_uid in self.uids
                        and any(str(one.readlink()) == wanted for one in (process / "fd").iterdir())
                    ):
                        return int(process.name)

    def wait_for_the_end_of(self, number: int) -> None:
        """Wait until a process that is not ours has ended."""
        with suppress(ProcessLookupError):
            handle = os.pidfd_open(number)
            select.select([handle], [], [])
            os.close(handle)

    def cut_off(self, person: Person) -> None:
        """Kill what holds that person's connections, as a network that goes away would."""
        pattern = f"sshd: {person.name}@notty"
        for process in Path("/proc").iterdir():
            with suppress(OSError):
                if process.name.isdigit() and (process / "cmdline").read_text().startswith(pattern):
                    os.kill(int(process.name), signal.SIGKILL)

    def allow(self, person: Person, options: str = "") -> None:
        """Let the key in as that person, with these options of authorized_keys."""
        key = (self.folder / "key.pub").read_text(encoding="utf-8")
        keys = self.folder / f"keys-{person.name}"
        keys.write_text(f"{options} {key}".lstrip(), encoding="utf-8")
        keys.chmod(0o644)

    def start(self) -> None:
        """Listen, on the same port as before where there was one."""
        if not self.port:
            with socket.create_server(("127.0.0.1", 0)) as server:
                self.port = server.getsockname()[1]
        config = self.folder / "sshd_config"
        told = {"folder": self.folder, "site": self.program.site, "port": self.port}
        config.write_text(SSHD.format(**told), encoding="utf-8")
        near = self.folder / "config"
        near.write_text(SSH.format(**told, shared=SHARED), encoding="utf-8")
        words = [shutil.which("sshd") or "/usr/sbin/sshd", "-D", "-f", str(config)]
        words += ["-E", str(self.folder / "log")]
        tried = subprocess.run([*words, "-t", "-o", NO_PENALTY], capture_output=True, check=False)
        words += ["-o", NO_PENALTY] if tried.returncode == 0 else []
        self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, cwd="/")
        while True:
            assert self.process.poll() is None, (self.folder / "log").read_text(encoding="utf-8")
            with suppress(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", self.port)).close()
                return

    def stop(self) -> None:
        """Listen no more; connections that stand go on, but for those that are shared."""
        for person in (self.ada, self.bob):
            do(self.folder / "near" / "ssh", "-O", "exit", f"{person.name}@{SHARED}", check=False)
        if self.process is not None:
            self.process.terminate()
            self.process.wait()
            self.process = None


NO_PENALTY = "PerSourcePenalties=no"
"""Newer ones shut out whoever breaks off too often, as these tests do."""


def _script(path: Path, line: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{line}\n", encoding="utf-8")
    path.chmod(0o755)


@contextmanager
def an_sshd(program: Program) -> Iterator[Sshd]:
    """Make the users, their keys and the machine; remove all of it again."""
    import grp
    import pwd

    folder = program.folder / "ssh"
    folder.mkdir()
    folder.chmod(0o755)
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    made: Sshd | None = None
    try:
        do("groupadd", GROUP)
        for name in NAMES:
            home = folder / f"home-{name}"
            home.mkdir()
            do("useradd", "--home-dir", home, "--user-group", "--groups", GROUP, "--password",
                "*", "--shell", "/bin/sh", name)  # fmt: skip
            do("chown", f"{name}:", home)
        gid = grp.getgrnam(GROUP).gr_gid
        found = [pwd.getpwnam(name) for name in NAMES]
        ada, bob = (Person(one.pw_name, one.pw_uid, one.pw_gid, (gid,)) for one in found)
        for key in ("host", "key"):
            do("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key)
        _script(
            folder / "near" / "ssh",
            f'printf "%s\\n" "$@" > {folder}/asked\n'
            f'exec {shutil.which("ssh")} -F {folder}/config "$@"',
        )
        _script(
            folder / "far" / "gpuledger-remote",
            f'exec {program.python} -m gpuledger.cli.remote "$@"',
        )
        made = Sshd(program, folder, (ada, bob))
        for person in (ada, bob):
            made.allow(person)
        made.start()
        yield made
    finally:
        if made is not None:
            made.stop()
        for name in NAMES:
            do("userdel", name, check=False)
        do("groupdel", GROUP, check=False)
