"""The file of the signing key: its owner's alone, whole or not there, and nothing but a file."""

from __future__ import annotations

import base64
import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from conftest import RunCli
from gpuledger.cli.anchoring import anchors
from gpuledger.cli.keyfile import SigningKey, load, make, signed, verifier_of
from gpuledger.ledger.checkpoint import Checkpoint, read
from gpuledger.ledger.errors import NotPermitted, StorageFailed
from gpuledger.replay.errors import BadRequest
from small_pools import ledger


def test_a_key_is_its_owners_alone(tmp_path: Path) -> None:
    """Made with mode 0600, never over another; one that others may read is refused."""
    path = tmp_path / "config" / "key.pem"
    key = make(str(path))
    assert path.stat().st_mode & 0o777 == 0o600
    assert load(str(path)).private_bytes_raw() == key.private_bytes_raw()
    for what, harm in (("there", lambda: make(str(path))), ("open", lambda: load(str(path)))):
        path.chmod(0o640 if what == "open" else 0o600)
        with pytest.raises(SigningKey) as caught:
            harm()
        assert caught.value.what == what
    path.chmod(0o600)
    path.write_text("no key")
    with pytest.raises(SigningKey, match="none"):
        load(str(path))


def pem(body: str) -> str:
    """A private key of PKCS 8 around these bytes, given in hex."""
    told = base64.b64encode(bytes.fromhex(body)).decode()
    return f"-----BEGIN PRIVATE KEY-----\n{told}\n-----END PRIVATE KEY-----\n"


UNKNOWN = "300e020100300506032a030404020400"
"""An algorithm that nobody registered: 1.2.3.4."""

ON_SM2 = (
    "3031020100301306072a8648ce3d020106082a811ccf5501822d0417301502010104100102030405060708090a0b0c"
    "0d0e0f10"
)
"""An elliptic curve that the library does not support."""


@pytest.mark.parametrize("body", [UNKNOWN, ON_SM2])
def test_a_key_of_another_kind_is_called_so(tmp_path: Path, body: str, run_cli: RunCli) -> None:
    """Whatever algorithm or curve it is for, which the library may never have heard of."""
    path = tmp_path / "key.pem"
    path.write_text(pem(body))
    path.chmod(0o600)
    done = run_cli("keys", "show", "--key-file", path)
    assert (done.returncode, done.stdout) == (78, "")
    assert "is no Ed25519 key" in done.stderr


@pytest.mark.parametrize("trouble", [errno.ENOSPC, errno.EIO])
def test_a_key_that_cannot_be_written_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: int
) -> None:
    """Where the disk is full, or fails, no file stands in the way of trying again."""
    path = str(tmp_path / "key.pem")
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", raising(OSError(trouble, os.strerror(trouble))))
        with pytest.raises(StorageFailed) as caught:
            make(path)
    assert caught.value.full == (trouble == errno.ENOSPC)
    make(path)


@pytest.mark.parametrize(("ask", "wanted"), [(load, "read"), (make, "create")])
def test_a_key_in_a_place_that_is_not_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ask: Callable[[str], object], wanted: str
) -> None:
    """What the system forbids is told as that, not as a fault of the disk."""
    monkeypatch.setattr(os, "open", raising(PermissionError(errno.EACCES, "Permission denied")))
    with pytest.raises(NotPermitted) as caught:
        ask(str(tmp_path / "key.pem"))
    assert caught.value.wanted == wanted


@pytest.mark.needs("linux")
@pytest.mark.parametrize("kind", ["a pipe", "a folder", "a device"])
def test_what_is_no_file_is_no_key(tmp_path: Path, kind: str) -> None:
    """A pipe that nobody writes to is not waited for; a folder is no fault of the disk."""
    path = Path("/dev/null") if kind == "a device" else tmp_path / "key.pem"
    if kind == "a pipe":
        os.mkfifo(path, 0o600)
    elif kind == "a folder":
        path.mkdir(0o700)
    with pytest.raises(SigningKey, match="none"):
        load(str(path))


def raising(error: Exception) -> Callable[..., NoReturn]:
    """What raises that, whatever it is called with."""

    def fail(*_: object) -> NoReturn:
        raise error

    return fail


@pytest.mark.parametrize("words", ["audit verify", "restore backup.db -o new.db"])
@pytest.mark.parametrize("option", ["--signed-by", "--key-file"])
def test_a_key_goes_with_a_checkpoint(
    ledger_path: Path, run_cli: RunCli, words: str, option: str
) -> None:
    """Who names a key and no checkpoint believes in a comparison that nobody made."""
    ledger(ledger_path).close()
    assert run_cli("--ledger", ledger_path, "backup", "backup.db").returncode == 0
    done = run_cli("--ledger", ledger_path, *words.split(), option, "team.vkey")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert option in done.stderr
    assert "--against FILE" in done.stderr


def test_a_key_is_read_once(tmp_path: Path) -> None:
    """A verifier key from a pipe counts for every checkpoint, not for the first alone."""
    key = make(str(tmp_path / "key"))
    note = read(signed(Checkpoint("team", 1, bytes(32)), key))
    reading, writing = os.pipe()
    os.write(writing, verifier_of(key, "team").text().encode())
    os.close(writing)
    good, problems = anchors([note, note], f"/dev/fd/{reading}", None)
    os.close(reading)
    assert (len(good), problems) == (2, [])


def test_one_key_is_named(tmp_path: Path) -> None:
    """Of two, one would count for nothing."""
    with pytest.raises(BadRequest, match="--key-file"):
        anchors([], str(tmp_path / "team.vkey"), str(tmp_path / "key"))
