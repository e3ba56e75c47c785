"""Signed notes, as C2SP's `signed-note` lays them down: a text, a blank line, signature lines.

Ed25519 alone. A verifier key is the text `<name>+<hash>+<base64 of 0x01 ‖ public key>`, its hash
the first four bytes of SHA-256(name ‖ 0x0A ‖ 0x01 ‖ public key).
"""

from __future__ import annotations

import base64
import binascii
import re
from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ED25519 = b"\x01"
_MARK = "— "
_SIGNED = 64


class BadNote(ValueError):
    """Not a signed note, or not a verifier key."""


class Verifier(msgspec.Struct, frozen=True):
    """Whose signature is believed: the name and the public key, 32 bytes."""

    name: str
    public: bytes

    @property
    def hash(self) -> bytes:
        """The four bytes that stand for name and key."""
        return sha256(self.name.encode() + b"\n" + ED25519 + self.public).digest()[:4]

    def text(self) -> str:
        """The verifier key as people pass it on."""
        told = base64.b64encode(ED25519 + self.public).decode()
        return f"{self.name}+{self.hash.hex()}+{told}"


class Note(msgspec.Struct, frozen=True):
    """A text, its last newline included, and its signature lines: name, four bytes, signature."""

    text: str
    signatures: tuple[tuple[str, bytes, bytes], ...]

    def signed_by(self, verifier: Verifier) -> bool | None:
        """Whether that key signed it; None where no line claims to be the key's."""
        claimed = [
            signature
            for name, key, signature in self.signatures
            if (name, key) == (verifier.name, verifier.hash)
        ]
        if not claimed:
            return None
        return all(_verified(verifier.public, one, self.text.encode()) for one in claimed)


def parse_verifier(text: str) -> Verifier:
    """Return the verifier key in `text`. Raises BadNote."""
    found = re.fullmatch(r"([^\s+]+)\+([0-9a-f]{8})\+(\S+)", text.strip())
    if found is None:
        raise BadNote("a verifier key is NAME+HASH+KEY")
    raw = _bytes(found[3])
    if len(raw) != 33 or raw[:1] != ED25519:
        raise BadNote("the verifier key is not one for Ed25519")
    verifier = Verifier(found[1], raw[1:])
    if verifier.hash.hex() != found[2]:
        raise BadNote("the verifier key's hash does not fit its name and key")
    return verifier


def parse(text: str) -> Note:
    """Return the note in `text`. Raises BadNote."""
    line_feeds_alone(text)
    body, blank, rest = text.rpartition("\n\n")
    if not blank or not rest.endswith("\n") or _controls(text):
        raise BadNote("a signed note is a text, a blank line and signature lines")
    return Note(body + "\n", tuple(map(_signature, rest.removesuffix("\n").split("\n"))))


def sign(text: str, verifier: Verifier, private: Ed25519PrivateKey) -> str:
    """Return `text`, which ends with a newline, as a note signed under the verifier's name."""
    signature = base64.b64encode(verifier.hash + private.sign(text.encode())).decode()
    return f"{text}\n{_MARK}{verifier.name} {signature}\n"


def line_feeds_alone(text: str) -> None:
    """Raise BadNote where a mail program has made its line ends CR LF: no signature fits those."""
    if "\r" in text:
        raise BadNote("its lines end in line feeds alone (tr -d '\\r' takes carriage returns out)")


def _signature(line: str) -> tuple[str, bytes, bytes]:
    name, space, told = line.removeprefix(_MARK).partition(" ")
    if not line.startswith(_MARK) or not space or not name or "+" in name:
        raise BadNote("a signature line is '— NAME SIGNATURE'")
    raw = _bytes(told)
    if len(raw) < 5:
        raise BadNote("a signature is too short")
    return name, raw[:4], raw[4:]


def _controls(text: str) -> bool:
    return any(ord(one) < 0x20 and one != "\n" for one in text)


def _bytes(told: str) -> bytes:
    try:
        return base64.b64decode(told, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadNote("base64 that is none") from error


def _verified(public: bytes, signature: bytes, text: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    if len(signature) != _SIGNED:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, text)
    except (InvalidSignature, ValueError):
        return False
    return True
