"""Who runs this: the kernel's word, never the environment's, and a name where there is none."""

from __future__ import annotations

import builtins
import getpass
import os
import socket

import pytest

from gpuledger.cli import actor, windows
from gpuledger.replay.actor import Actor

NOBODY_UID = 61_234
"""A uid that no machine has a name for."""


def without_posix(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide what only POSIX has, as Windows would."""
    for name in ("getuid", "getgid", "getgroups", "getgrouplist", "uname"):
        monkeypatch.delattr(os, name, raising=False)
    real = builtins.__import__

    def hiding(name: str, *rest: object, **named: object) -> object:
        if name in ("pwd", "grp"):
            raise ImportError(name)
        return real(name, *rest, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", hiding)


def test_the_environment_cannot_name_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """`$USER` and its kin change nothing: the kernel's uid counts."""
    before = actor.current({})
    for name in ("USER", "LOGNAME", "USERNAME", "LNAME"):
        monkeypatch.setenv(name, "somebody-else")
    assert actor.current({}) == before
    assert before.uid == os.getuid()
    assert before.identity == f"uid:{os.getuid()}"
    assert before.host == os.uname().nodename


def test_a_uid_without_a_name_is_shown_as_such() -> None:
    """A user whom the machine has no name for is `uid-61234`, and found again by that word."""
    assert actor.user_name(NOBODY_UID) == f"uid-{NOBODY_UID}"
    assert actor.user_identity(f"uid-{NOBODY_UID}") == f"uid:{NOBODY_UID}"
    assert actor.named(f"uid-{NOBODY_UID}") == Actor(f"uid-{NOBODY_UID}", NOBODY_UID)


@pytest.mark.parametrize(
    "name", ["", "uid-", "uid-x", "uid--1", "uid-99999999999", "uid-٣", "nobody-here", "a\x00b"]
)
def test_a_name_that_the_machine_does_not_know_is_nobody(name: str) -> None:
    """Users and groups that do not exist resolve to nothing, whatever the text."""
    assert actor.user_identity(name) is None
    assert actor.named(name) is None
    assert actor.group_gid(name) is None


def test_names_resolve_to_numbers() -> None:
    """root is uid 0, whatever the environment, and its name means that identity."""
    assert actor.user_identity("root") == "uid:0"
    assert actor.named("root") == Actor("root", 0)
    assert actor.user_name(0) == "root"


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({}, (None, None)),
        ({"SUDO_UID": "0", "SUDO_USER": "x"}, (0, "root")),
        ({"SUDO_UID": "61234", "SUDO_USER": "ada"}, (61234, "ada")),
        ({"SUDO_UID": "61234"}, (61234, "uid-61234")),
        ({"SUDO_UID": "61234", "SUDO_USER": "a\x1b[1m"}, (61234, "uid-61234")),
        ({"SUDO_USER": "ada"}, (None, None)),
        ({"SUDO_UID": "-1"}, (None, None)),
        ({"SUDO_UID": "x"}, (None, None)),
        ({"SUDO_UID": "99999999999"}, (None, None)),
        ({"SUDO_UID": "4294967295"}, (None, None)),
    ],
)
def test_root_records_who_called_sudo(
    environ: dict[str, str],
    told: tuple[int | None, str | None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Through sudo both are recorded; nonsense in the variables is nobody."""
    monkeypatch.setattr(os, "getuid", lambda: 0)
    who = actor.current(environ)
    assert (who.sudo_uid, who.sudo_user) == told


def test_others_cannot_claim_sudo(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user who is not root and sets SUDO_UID himself is recorded as himself alone."""
    monkeypatch.setattr(os, "getuid", lambda: NOBODY_UID)
    who = actor.current({"SUDO_UID": "0", "SUDO_USER": "root"})
    assert who == Actor(f"uid-{NOBODY_UID}", NOBODY_UID, host=os.uname().nodename)


def test_groups_are_looked_up_only_when_asked() -> None:
    """The actor has no groups at first, then those of the process and the machine's list."""
    who = actor.current({})
    assert who.gids == ()
    assert set(os.getgroups()) | {os.getgid()} <= set(actor.with_groups(who).gids)
    assert set(actor.with_groups(Actor("x", NOBODY_UID)).gids) == {*os.getgroups(), os.getgid()}


def test_without_uids_a_sid_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows the identity is the SID of the process, and names resolve to SIDs."""
    without_posix(monkeypatch)
    monkeypatch.setattr(windows, "own_sid", lambda: "S-1-5-21-7")
    monkeypatch.setattr(windows, "own_name", lambda: "ada")
    monkeypatch.setattr(windows, "sid_of", {"ada": "S-1-5-21-7"}.get)
    monkeypatch.setattr(socket, "gethostname", lambda: "WS-1")
    who = actor.current({"SUDO_UID": "0"})
    assert who == Actor("ada", sid="S-1-5-21-7", host="WS-1")
    assert who.identity == "sid:S-1-5-21-7"
    assert actor.user_identity("ada") == "sid:S-1-5-21-7"
    assert actor.user_identity("bob") is None
    assert actor.group_gid("Users") is None
    assert actor.with_groups(who).gids == ()


def test_without_any_of_it_the_name_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where neither uid nor SID can be had, the record says that it is cooperative."""
    without_posix(monkeypatch)
    monkeypatch.setattr(getpass, "getuser", lambda: "ada")
    assert windows.own_sid() is None
    assert windows.own_name() is None
    assert windows.sid_of("ada") is None
    assert actor.current({}).identity == "name:ada"

    def fails() -> str:
        raise OSError

    monkeypatch.setattr(getpass, "getuser", fails)
    assert actor.current({}).identity == "name:unknown"
