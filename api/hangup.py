"""Hanging up: whoever asked is gone, and may come back with the same retry key."""

from __future__ import annotations


class HungUp(KeyboardInterrupt):
    """Nobody is there any more who would hear the answer."""
