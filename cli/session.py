"""A session: what one command was told about ledger, output and time, and how it answers.

One command has one `now_us` and one zone, whatever it prints. Data goes to stdout, every
notice to stderr.
"""

from __future__ import annotations

import sys
from functools import cached_property
from typing import TYPE_CHECKING

from ..ledger import clock

if TYPE_CHECKING:
    from datetime import tzinfo

    from ..handle import Ledger
    from .location import Location

LOCK_TIMEOUT_S = 60.0


class Session:
    """What one command was told. `json` and `csv` choose the output, at most one of them."""

    def __init__(
        self,
        *,
        ledger: str | None = None,
        lock_timeout_s: float | None = None,
        json: bool = False,
        csv: bool = False,
    ) -> None:
        self.option = ledger
        self.lock_timeout_s = LOCK_TIMEOUT_S if lock_timeout_s is None else lock_timeout_s
        self.json = json
        self.csv = csv
        self.now_us = clock.now_us()

    @cached_property
    def zone(self) -> tzinfo:
        """The zone in which times are printed and read."""
        from .zone import local_zone

        return local_zone()

    @cached_property
    def location(self) -> Location:
        """Which ledger is meant. Raises BadRequest, BadConfiguration."""
        from .location import find

        return find(self.option)

    def ledger(self, *, once: bool = False) -> Ledger:
        """The ledger that is meant, opened; `once` where the command writes a single time."""
        from ..handle import Ledger

        return Ledger(self.location.path, lock_timeout_s=self.lock_timeout_s, once=once)

    def notices(self, ledger: Ledger) -> None:
        """Tell what the ledger noticed on the way, and forget it."""
        for sentence in ledger.notices:
            self.notice(sentence)
        ledger.notices.clear()

    def notice(self, sentence: str) -> None:
        """A sentence for the person, beside the data."""
        sys.stderr.write(f"gpuledger: {sentence}\n")

    def say(self, text: str) -> None:
        """A line of data."""
        sys.stdout.write(f"{text}\n")

    def document(self, document: dict[str, object]) -> None:
        """The one JSON document that is the command's answer."""
        import json

        sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=2) + "\n")
