"""Checkpoints and proofs as people hand them over: files, and whose signature is believed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from ..ledger.checkpoint import Signed, read
from ..ledger.signed_note import BadNote, Verifier, parse_verifier
from ..replay.checked_tree import Anchor
from ..replay.errors import BadRequest
from ..replay.problem import Problem
from .keyfile import signing_key, verifier_of
from .poolsource import content, shown

MOST_BYTES = 1 << 20
T = TypeVar("T")


def file_text(path: str, field: str, opened: Mapping[str, bytes] | None = None) -> str:
    """The text of a file (`-` is stdin). Raises BadRequest, NotPermitted, StorageFailed."""
    if opened and path in opened:
        raw = opened[path]
    else:
        raw = content(path, field=field, expected="a file that is there", most=MOST_BYTES)
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise BadRequest(field, shown(path), "a file of text") from error


def understood(text: str, path: str, field: str, reader: Callable[[str], T]) -> T:
    """What `reader` makes of a file's text; raises BadRequest for its BadNote."""
    try:
        return reader(text)
    except BadNote as error:
        raise BadRequest(field, shown(path), f"what it should be: {error}") from error


def checkpoint_file(path: str, field: str, opened: Mapping[str, bytes] | None = None) -> Signed:
    """The checkpoint in a file. Raises BadRequest, NotPermitted, StorageFailed."""
    return understood(file_text(path, field, opened), path, field, read)


def believed(
    signed_by: str | None, key_file: str | None, opened: Mapping[str, bytes] | None = None
) -> Callable[[str], Verifier]:
    """Whose signature counts under an origin: a verifier key, as text or in a file, else one's own
    signing key. Either is read once, since it may be a pipe.

    Raises BadRequest, SigningKey, NotPermitted, StorageFailed.
    """
    field = "--signed-by"
    if signed_by is None:
        key = signing_key(key_file)
        return lambda origin: verifier_of(key, origin)
    if key_file is not None:
        raise BadRequest("--key-file", key_file, "either it or --signed-by")
    text = signed_by if "+" in signed_by else file_text(signed_by, field, opened)
    verifier = understood(text, signed_by, field, parse_verifier)
    return lambda _: verifier


def anchors(
    told: list[Signed],
    signed_by: str | None,
    key_file: str | None,
    opened: Mapping[str, bytes] | None = None,
) -> tuple[list[Anchor], list[Problem]]:
    """The checkpoints whose signature is good, and a problem for each other."""
    whose = believed(signed_by, key_file, opened)
    good, problems = list[Anchor](), list[Problem]()
    for one in told:
        kept = one.checkpoint
        if one.note.signed_by(whose(kept.origin)):
            good.append(Anchor(kept.origin, kept.size, kept.root))
        else:
            problems.append(Problem(None, "signature", f"{kept.origin}, size {kept.size}"))
    return good, problems
