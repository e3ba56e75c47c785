"""The root of a Merkle tree as RFC 6962 defines it, without anything kept or skipped."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256


def plain_root(leaves: Sequence[bytes]) -> bytes:
    """RFC 6962, 2.1, word by word."""
    if len(leaves) == 1:
        return leaves[0]
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    return sha256(b"\1" + plain_root(leaves[:half]) + plain_root(leaves[half:])).digest()
