"""Checkpoints, as C2SP's `tlog-checkpoint` lays them down, and proofs as its `tlog-proof` does.

A checkpoint is the text of a signed note: origin, size in decimal, root in base64, a line each,
and extension lines. The origin is `gpuledger/` and the ledger's id.
"""

from __future__ import annotations

import base64
import binascii
import re

import msgspec

from .signed_note import BadNote, Note, line_feeds_alone, parse

ORIGIN = "gpuledger/"
PROOF = "c2sp.org/tlog-proof@v1"
CONSISTENCY = "gpuledger/consistency-proof@v1"

_SIZE = re.compile(r"0|[1-9][0-9]{0,15}")
_TREE = re.compile(re.escape(ORIGIN) + r"([0-9a-f]{32})(?:/(?!1$)([1-9][0-9]{0,15}))?")


class Checkpoint(msgspec.Struct, frozen=True):
    """The size and the root, 32 bytes, of a log's tree, and which log that is."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def text(self) -> str:
        """The text that is signed."""
        lines = (self.origin, str(self.size), _told(self.root), *self.extensions)
        return "".join(f"{line}\n" for line in lines)


class Signed(msgspec.Struct, frozen=True):
    """A checkpoint and the note it stood in."""

    checkpoint: Checkpoint
    note: Note


class Proof(msgspec.Struct, frozen=True):
    """Hashes, for a leaf's index (inclusion) or an older size (consistency), and a checkpoint.

    `signed` is the text of the checkpoint that the proof is for.
    """

    number: int
    path: tuple[bytes, ...]
    signed: str
    consistency: bool = False

    def text(self) -> str:
        """The proof as a file."""
        head = (CONSISTENCY, "from") if self.consistency else (PROOF, "index")
        lines = [head[0], f"{head[1]} {self.number}", *map(_told, self.path), "", self.signed]
        return "\n".join(lines)


def origin_of(ledger: str) -> str:
    """Return the origin of the ledger with that id, 32 hex digits."""
    return ORIGIN + ledger


def tree_of(origin: str) -> tuple[str, int] | None:
    """Return the ledger's id, 32 hex digits, and the seq of the first leaf of the tree that an
    origin names; None for an origin that is none of ours.
    """
    found = _TREE.fullmatch(origin)
    return None if found is None else (found[1], int(found[2] or 1))


def read(text: str) -> Signed:
    """Return the checkpoint in a signed note. Raises BadNote."""
    note = parse(text)
    lines = note.text.removesuffix("\n").split("\n")
    if len(lines) < 3 or not lines[0] or not _SIZE.fullmatch(lines[1]) or "" in lines[3:]:
        raise BadNote("a checkpoint is an origin, a size and a root")
    return Signed(Checkpoint(lines[0], int(lines[1]), _hash(lines[2]), tuple(lines[3:])), note)


def read_proof(text: str) -> Proof:
    """Return the proof in `text`. Raises BadNote."""
    line_feeds_alone(text)
    head, blank, signed = text.partition("\n\n")
    kind, *lines = head.split("\n")
    lines = [line for line in lines if not line.startswith("extra ")]
    word = {PROOF: "index", CONSISTENCY: "from"}.get(kind)
    if not blank or word is None or not lines or not lines[0].startswith(f"{word} "):
        raise BadNote("a proof begins with its kind, a number and hashes")
    number = lines[0].removeprefix(f"{word} ")
    if not _SIZE.fullmatch(number):
        raise BadNote("the proof's number is none")
    return Proof(int(number), tuple(map(_hash, lines[1:])), signed, word == "from")


def _told(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _hash(told: str) -> bytes:
    try:
        raw = base64.b64decode(told, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadNote("a hash in base64 that is none") from error
    if len(raw) != 32:
        raise BadNote("a hash that has not 32 bytes")
    return raw
