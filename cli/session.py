"""A session: what one command was told about ledger, output and time, and how it answers.

One command has one `now_us` and one zone, whatever it prints. Data goes to stdout, every
notice to stderr.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any

import click

from ..ledger import clock
from ..ledger.errors import GpuledgerError
from ..replay.errors import BadRequest
from .output import NO_ANSWER, Unanswered, json_text
from .printable import printable
from .words import _

if TYPE_CHECKING:
    from datetime import tzinfo

    from ..handle import Ledger
    from ..replay.interval import Window
    from .errand import Caller
    from .location import Location
    from .table import Table

LOCK_TIMEOUT_S = 60.0

_DISTRUST = {
    "owner": _("{path} does not count: root does not own it"),
    "writable": _("{path} does not count: others than root may write it"),
    "unreadable": _("{path} does not count: it cannot be read"),
    "kind": _("{path} does not count: it is no plain file"),
}


class Session:
    """What one command was told. `json` and `csv` choose the output, at most one of them.

    `words` is the command line as it was typed. Where that was on another machine, `caller` is
    what is known of it. `done` says what was done, with the next step, for where the answer to it
    cannot be written.
    """

    def __init__(
        self,
        *,
        ledger: str | None = None,
        lock_timeout_s: float | None = None,
        json: bool = False,
        csv: bool = False,
        words: tuple[str, ...] = (),
        caller: Caller | None = None,
    ) -> None:
        self.option = ledger
        self.lock_timeout_s = LOCK_TIMEOUT_S if lock_timeout_s is None else lock_timeout_s
        self.json = json
        self.csv = csv
        self.words = words
        self.caller = caller
        self.now_us = clock.now_us()
        self.done: str | None = None
        self._ledger: Ledger | None = None
        self._noticed: list[str] = []
        self._told: set[str] = set()

    @cached_property
    def zone(self) -> tzinfo:
        """The zone in which times are printed and read."""
        from .zone import local_zone

        return local_zone()

    @cached_property
    def location(self) -> Location:
        """Which ledger is meant. Raises BadRequest, BadConfiguration, SecondHop."""
        from .location import find

        found = find(self.option if self.caller is None else self.caller.errand.path)
        if self.caller is not None and found.far is not None:
            from .sshfailure import SecondHop

            raise SecondHop(self.caller.errand.place, found.path)
        for notice in found.notices:
            self.notice(_DISTRUST[notice.why].format(path=notice.path))
        return found

    def say_which(self) -> None:
        """Say which ledger is read, where a command without options could mean more than one."""
        from .location import others

        if self.location.found_by == "option" or self.json:
            return
        found = [one.path for one in others(self.location)]
        if found:
            self.notice(
                _("this is {path}; there is also {others}").format(
                    path=self.location.path, others=", ".join(found)
                )
            )

    @cached_property
    def host(self) -> str | None:
        """What the machine calls itself where the command was typed."""
        if self.caller is not None:
            return self.caller.errand.host
        from .actor import host_name

        return host_name()

    def here(self) -> str:
        """The host whose server `--here` means. Raises BadRequest where it has no name."""
        if self.host is None:
            expected = "--on SERVER, as this machine does not tell its name"
            raise BadRequest("--here", None, expected)
        return self.host

    @property
    def files(self) -> Mapping[str, bytes]:
        """Files that were opened where the command was typed, if that was elsewhere."""
        return {} if self.caller is None else self.caller.files

    def ledger(self, *, once: bool = False) -> Ledger:
        """The ledger that is meant, opened; `once` where the command writes a single time."""
        from ..handle import Ledger

        self._ledger = Ledger(
            self.location.path,
            lock_timeout_s=self.lock_timeout_s,
            once=once,
            notices=self._noticed,
        )
        return self._ledger

    def notices(self, ledger: Ledger, window: Window | None = None) -> None:
        """Tell what the ledger noticed on the way, and forget it; what a gap leaves open, too."""
        self._tell_noticed()
        if ledger.uncertain is not None:
            from .gapwords import sentences

            for sentence in sentences(ledger.uncertain, self.zone, window):
                self.notice(sentence)

    def __enter__(self) -> Session:
        """The session itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> None:
        """Tell what is left to tell, of a lagging mirror also where the command failed.

        Raises Unanswered where something was done and the answer cannot be written.
        """
        del kind, trace
        try:
            self._answered(error)
        except Unanswered:
            self._tell_noticed()
            raise
        if error is not None and not isinstance(error, (GpuledgerError, click.exceptions.Exit)):
            return
        if error is not None and self._ledger is not None:
            with suppress(GpuledgerError), self._ledger:
                self._ledger.mind_the_mirrors()
        self._tell_noticed()

    def recorded(self, seq: int) -> None:
        """Remember that an event is recorded, for where the answer cannot be written."""
        told = _("event {seq} is recorded all the same; gpuledger list shows what is held")
        self.done = told.format(seq=seq)

    def _answered(self, error: BaseException | None) -> None:
        """See that the answer to what was done is out."""
        if self.done is None:
            return
        try:
            if error is None:
                sys.stdout.flush()
            elif isinstance(error, OSError) and error.errno in NO_ANSWER:
                raise error
        except BrokenPipeError:
            raise
        except OSError as unwritten:
            raise Unanswered(unwritten, self.done) from unwritten

    def _tell_noticed(self) -> None:
        for sentence in self._noticed:
            if sentence not in self._told:
                self._told.add(sentence)
                self.notice(sentence)
        self._noticed.clear()

    def notice(self, sentence: str) -> None:
        """A sentence for the person, beside the data; what it names cannot act on a terminal."""
        sys.stderr.write(f"gpuledger: {printable(sentence)}\n")

    def say(self, text: str) -> None:
        """A line of data; whatever it names cannot act on a terminal."""
        sys.stdout.write(f"{printable(text)}\n")

    def text(self, text: str) -> None:
        """A text of lines for a program or a file, as it is."""
        sys.stdout.write(f"{text}\n")

    def table(self, table: Table) -> None:
        """The table that is the command's answer: as CSV, in a frame on a terminal, else plain."""
        from .table import csv_text, text_for

        sys.stdout.write(csv_text(table) if self.csv else text_for(table))

    def document(self, document: dict[str, Any]) -> None:
        """The one JSON document that is the command's answer."""
        sys.stdout.write(json_text(document) + "\n")
