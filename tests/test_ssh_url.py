"""`ssh://[user@]host[:port]/[path]`: what is taken, what is refused, and what travels."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gpuledger
from conftest import RunCli
from gpuledger.cli.courier import ssh_words
from gpuledger.cli.errand import Errand, decode, encode, opened
from gpuledger.cli.program import program
from gpuledger.cli.sshfailure import VersionsDiffer
from gpuledger.cli.sshurl import Address, parse
from gpuledger.replay.errors import BadRequest
from gpuledger.replay.facts import Process, Tie

TAKEN = {
    "ssh://far": Address("far"),
    "ssh://far/": Address("far"),
    "ssh://ada@far:2222/srv/ledger.db": Address("far", "ada", 2222, "/srv/ledger.db"),
    "ssh://[::1]:22/l.db": Address("::1", None, 22, "/l.db"),
    "ssh://ada@[fe80::1%eth0]": Address("fe80::1%eth0", "ada"),
    "ssh://ada@lab@far/~/l.db": Address("far", "ada@lab", None, "~/l.db"),
    "ssh://lab\\ada@far_1.lab/a%20b%25": Address("far_1.lab", "lab\\ada", None, "/a b%"),
    "ssh://far/-x": Address("far", None, None, "/-x"),
    "ssh://far/名": Address("far", None, None, "/名"),
}
REFUSED = (
    "ssh://", "ssh:///srv/l.db", "ssh://-oProxyCommand=x/l.db", "ssh://-l@far/x", "ssh://@far/x",
    "ssh://ada:secret@far/x", "ssh://far:/x", "ssh://far:0/x", "ssh://far:65536/x", "ssh://far:x/",
    "ssh://far:22:22/x", "ssh://a b/x", "ssh://far/a b", "ssh://far/a\nb", "ssh://far/a\tb",
    "ssh://far/%00", "ssh://far/%0a", "ssh://far/%", "ssh://far/%f", "ssh://far/%ff",
    "ssh://far/x?y", "ssh://far/x#y", "ssh://$(id)/x", "ssh://`id`@far/x", "ssh://far;id/x",
    "ssh://[::1/x", "ssh://[::g]/x", "ssh://[-::1]/x", "ssh://::1/x", "ssh://far/" + "x" * 5000,
    "ssh://far\u202e/x", "ssh://ada%h@far/x",
)  # fmt: skip


@pytest.mark.parametrize("text", TAKEN)
def test_what_is_taken(text: str) -> None:
    """User, host, port and path are taken apart as people expect of an address."""
    assert parse(text, "--ledger") == TAKEN[text]


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_refused(text: str) -> None:
    """Whatever a shell, ssh or a person could misread is refused, and the option named."""
    with pytest.raises(BadRequest) as caught:
        parse(text, "--ledger")
    assert (caught.value.field, caught.value.value) == ("--ledger", text)


@given(st.text(st.characters(codec="utf-8"), max_size=40).map("ssh://".__add__) | st.from_regex(
    r"\Assh://([^/]{0,9}@)?[^/]{0,12}(:[0-9]{0,5})?(/.{0,20})?\Z"))  # fmt: skip
def test_no_part_becomes_an_option(text: str) -> None:
    """Of any address that is taken no part begins with a dash or holds a space or a control."""
    try:
        address = parse(text, "--ledger")
    except BadRequest:
        return
    *_, dashes, host = ssh_words(address)
    assert (dashes, host) == ("--", address.host)
    for part in (address.host, address.user, address.path):
        assert part is None or (part and part[0] != "-" and part.isprintable())
    assert " " not in f"{address.host}{address.user}"
    assert address.port is None or 1 <= address.port <= 65535
    assert address.path is None or address.path.startswith(("/", "~/"))


@given(st.lists(st.text(st.characters(codec="utf-8"))), st.text())
def test_an_errand_arrives_as_it_was_sent(words: list[str], place: str) -> None:
    """Whatever it holds, it is letters that no shell reads, and comes out the same."""
    tie = Tie("desk", "b" * 36, 4026531836, (Process(1, 2),))
    try:
        errand = Errand("1.2.3", tuple(words), place, files=(("-", 3),), size=(80, 24), gone=(tie,))
        letters = encode(errand)
    except UnicodeEncodeError:
        return
    assert re.fullmatch("[A-Za-z0-9_][A-Za-z0-9_-]*", letters)
    assert decode(opened(letters), "1.2.9") == errand


def test_another_release_is_told() -> None:
    """What differs before the second dot is refused, whatever else the errand holds."""
    for theirs in ("1.3.0", "2.2.3", "1", "x"):
        told = {"version": theirs, "place": "far", "news": [1]}
        with pytest.raises(VersionsDiffer) as caught:
            decode(told, "1.2.3")
        assert caught.value.facts == {"place": "far", "here": theirs, "there": "1.2.3"}


@pytest.mark.parametrize("letters", ["", "x", "eyJ2", "bnVsbA", "W10", "é", "e30=", "e30\n", "{}"])
def test_what_is_no_errand_is_refused(letters: str) -> None:
    """An argument of another kind is told so, and never a traceback."""
    with pytest.raises((BadRequest, VersionsDiffer)):
        decode(opened(letters), "1.2.3")


def test_a_command_line_can_be_too_long(run_cli: RunCli) -> None:
    """What no single argument can hold is refused before anything is connected."""
    done = run_cli("--ledger", "ssh://nowhere.invalid", "release", *(["x" * 60] * 1500))
    assert done.returncode == 2
    assert "at most 100000 bytes through ssh" in done.stderr


def test_every_file_that_is_read_is_sent() -> None:
    """Whichever option or argument names a file, sending knows it by one of its names."""

    def files(command: click.Command) -> Iterator[str]:
        if isinstance(command, click.Group):
            context = click.Context(command)
            for name in command.list_commands(context):
                yield from files(command.get_command(context, name) or click.Command(name))
        for param in command.params:
            if param.name != "ledger" and param.make_metavar(click.Context(command)) == "FILE":
                yield str(param.name)

    # A signing key lies where the ledger does; salvage takes files of this machine alone.
    sent, elsewhere = {"file", "script", "against"}, {"key_file", "backups"}
    assert set(files(program())) == sent | elsewhere


def test_python_opens_files_alone() -> None:
    """`gpuledger.open` takes no address: what runs elsewhere is commands."""
    with pytest.raises(gpuledger.BadRequest):
        gpuledger.open("ssh://far/l.db")


def test_without_ssh_it_is_told(run_cli: RunCli, tmp_path: Path) -> None:
    """Where there is no ssh program the sentence says so, with exit code 78."""
    done = run_cli("--ledger", "ssh://far/l.db", "status", env={"PATH": str(tmp_path)})
    assert (done.returncode, done.stdout) == (78, "")
    assert done.stderr.startswith("gpuledger: ssh cannot be run here: No such file")
