"""The JSON documents of mirrors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from .shape import Document
from .shape_audit import head

if TYPE_CHECKING:
    from ..ledger.mirror_check import Checked
    from ..ledger.mirrored import Mirrored


def standing(one: Mirrored) -> Document:
    """Where a mirror stands; `state` is `whole`, or what is wrong."""
    return {
        "directory": one.directory,
        "state": one.trouble or "whole",
        "seq": one.seq,
        "sealed": one.sealed,
        "behind": one.behind,
        "why": one.why or None,
    }


def added(seq: int, one: Mirrored) -> Document:
    """`mirror add`: the mirror, once what there was is copied."""
    return {"seq": seq, "changes": {"added": standing(one)}}


def removed(seq: int, directory: str) -> Document:
    """`mirror remove`: the folder that is a mirror no more."""
    return {"seq": seq, "changes": {"removed": directory}}


def listed(seq: int, mirrors: Iterable[Mirrored]) -> Document:
    """`mirror list`: every mirror."""
    return {"seq": seq, "mirrors": [standing(one) for one in mirrors]}


def checked(found: Checked) -> Document:
    """`mirror check`: what the files hold, and what is wrong in them."""
    return {
        "ok": not found.faults,
        "ledger": found.ledger,
        "segments": found.segments,
        "sealed": found.sealed,
        "events": found.events,
        "first": found.first,
        "head": head(found.head),
        "torn_bytes": found.torn,
        "problems": [
            {"segment": one.name, "seq": one.seq, "what": one.why} for one in found.faults
        ],
    }
