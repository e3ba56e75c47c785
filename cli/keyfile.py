"""The key that checkpoints are signed with: one file, its owner's alone, apart from the ledger.

It holds an Ed25519 private key as PEM (PKCS 8), which other programs read as well. The same
key may sign for many ledgers: in a verifier key it goes with the ledger's origin as its name.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

from ..ledger.errors import GpuledgerError, NotPermitted, StorageFailed
from ..ledger.failure import making
from ..ledger.neighbour import refuse_neighbour
from ..ledger.signed_note import Verifier, sign
from ..replay.errors import BadRequest

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from ..ledger.checkpoint import Checkpoint

NAME = "checkpoint-key.pem"


class SigningKey(GpuledgerError):
    """The signing key at `path` cannot be used: `what` is `missing`, `there`, `open` or `none`.

    `there` is for `keys new`, `open` where others may read it, `none` where it is no such key.
    """

    code = "signing_key"

    def __init__(self, path: str, what: str) -> None:
        super().__init__(path=path, what=what)
        self.path = path
        self.what = what


def usual_path() -> str:
    """Where the key lies unless somebody says otherwise: in the user's configuration."""
    import platformdirs

    folder = platformdirs.user_config_dir("gpuledger", appauthor=False)
    return os.path.join(folder, NAME)


def chosen_path(told: str | None) -> str:
    """Where the key lies: as told, else the usual place. Raises BadRequest for an empty name,
    which a script's unset variable gives.
    """
    if told == "":
        raise BadRequest("--key-file", told, "the name of a file")
    return usual_path() if told is None else told


def make(path: str) -> Ed25519PrivateKey:
    """Make a key at `path`, mode 0600. Raises SigningKey where one lies, LedgerExists where the
    name is one of a ledger's files, NotPermitted, StorageFailed.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    path = os.path.abspath(path)
    refuse_neighbour(path)
    key = Ed25519PrivateKey.generate()
    with making(path):
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        _write(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return key


def _write(path: str, raw: bytes) -> None:
    """Write a new file, whole or not at all. Raises SigningKey where one lies, OSError."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise SigningKey(path, "there") from None
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        with suppress(OSError):
            os.unlink(path)
        raise


def load(path: str) -> Ed25519PrivateKey:
    """Return the key at `path`. Raises SigningKey, NotPermitted, StorageFailed."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    mode, raw = _read(path)
    if not stat.S_ISREG(mode):
        raise SigningKey(path, "none")
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise SigningKey(path, "open")
    try:
        key = load_pem_private_key(raw, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SigningKey(path, "none") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise SigningKey(path, "none")
    return key


def _read(path: str) -> tuple[int, bytes]:
    """The mode of what lies at `path`, and its bytes where it is a file: a pipe may never end."""
    try:
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        try:
            mode = os.fstat(fd).st_mode
            return mode, os.read(fd, 1 << 16) if stat.S_ISREG(mode) else b""
        finally:
            os.close(fd)
    except FileNotFoundError:
        raise SigningKey(path, "missing") from None
    except PermissionError as error:
        raise NotPermitted(path, "read") from error
    except OSError as error:
        raise StorageFailed(path, error.strerror or str(error)) from error


def signing_key(path: str | None) -> Ed25519PrivateKey:
    """Return the key at `path`, by default the user's own. Raises SigningKey, BadRequest,
    NotPermitted, StorageFailed.
    """
    return load(chosen_path(path))


def signed(checkpoint: Checkpoint, key: Ed25519PrivateKey) -> str:
    """Return the checkpoint as a note that the key signs in the name of its origin."""
    return sign(checkpoint.text(), verifier_of(key, checkpoint.origin), key)


def verifier_of(key: Ed25519PrivateKey, name: str) -> Verifier:
    """Return the public half, under the name that it signs with."""
    return Verifier(name, key.public_key().public_bytes_raw())
