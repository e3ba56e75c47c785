"""The hold of `run` in a ledger on another machine: the GPUs and the child are here.

The child is ended by what is known here: where the network goes away it keeps its GPUs until its
lease ends, and is ended then. Whatever cannot be given back is in a note (`runnotes`), and is
given back by the next command that writes to that ledger.
"""

from __future__ import annotations

import itertools
import math
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

import click
import msgspec

from ..ledger import clock
from ..ledger.errors import GpuledgerError
from ..replay.errors import BadRequest
from ..replay.spent import SECOND_US
from . import runnotes
from .courier import Outcome, Way, carry
from .executable import subject
from .farhold import Ends, Taken, Taking
from .gang import remove_hostfiles
from .hold import Granted, Held, Wish
from .ledgerhold import granted, outfit
from .printable import printable
from .sending import again, check, errand_for
from .signals import interruptible
from .sshfailure import FarFailed
from .timetext import local_text
from .words import _

if TYPE_CHECKING:
    from ..replay.facts import Tie
    from .session import Session
    from .sshurl import Address

SETTLE_S = 10.0
"""How long to try to give back at once what may have been granted as the connection went."""

TRIES, LONGEST_S = 3, 60.0
"""How often it is tried to give back what has no lease, and the longest pause between two tries."""


class SshHold:
    """What `wish` asks for, taken from the ledger at `address`."""

    def __init__(self, session: Session, address: Address, wish: Wish) -> None:
        self._session = session
        self._address = address
        self._wish = wish
        self._command = again(session.words, None)
        self._tie: Tie | None = None
        self._note: str | None = None
        self._folder = ""
        self._held: Held | None = None
        self._ends: float | None = None

    def take(self, tie: Tie | None) -> Granted:
        """Take the GPUs there. Raises what is on the way (`sshfailure`); the rest is told by the
        far side itself, and click's Exit has its exit code.
        """
        self._tie = tie
        gone = runnotes.gone(self._address)
        self._write_note()
        wish, for_ever = self._wish, self._wish.wait_s == math.inf
        wish = msgspec.structs.replace(
            wish, words=(subject(wish.words),), wait_s=0.0 if for_ever else wish.wait_s
        )
        key = os.urandom(8).hex()
        taking = Taking(wish, tie, key, for_ever, self._session.lock_timeout_s)
        began = time.monotonic()
        words = ("run", "--json") if self._session.json else ("run",)
        way = Way(keep=True, answer=b"taken\n")
        outcome = self._ask(way, words, take=taking, gone=tuple(gone.values()))
        self._look_at(outcome)
        for path in gone:
            runnotes.remove(path)
        taken = msgspec.json.decode(outcome.output, type=Taken)
        self._held = held = taken.held
        variables, self._folder = outfit(self._session, self._wish.form, held)
        given = granted(self._session, held, variables, began + taken.elapsed_s)
        self._ends = given.ends
        return given

    def ends(self, within_s: float) -> float | None:
        """When the lease ends as the ledger there has it. Raises where it does not answer."""
        assert self._held is not None
        began = time.monotonic()
        way = Way(keep=True, quiet=True, timeout_s=within_s)
        outcome = self._ask(way, hold=self._held.gang.allocation)
        check(outcome, self._address, self._command, "run")
        if outcome.status:
            raise FarFailed(self._address.place, outcome.status)
        told = msgspec.json.decode(outcome.output, type=Ends)
        if not told.runs:
            return -math.inf
        self._ends = None if told.left_s is None else began + told.elapsed_s + told.left_s
        return self._ends

    def give_back(self) -> None:
        """Give back what is held, trying again until the lease has ended.

        Raises what is in the way where it may still be held; the note stays then.
        """
        if self._folder:
            remove_hostfiles(self._folder)
        if self._held is None:
            self._settle()
            return
        failure = self._release(Way(keep=True))
        _interruptible()
        try:
            for pause_s in self._pauses() if failure is not None else ():
                time.sleep(pause_s)
                failure = self._release(Way(keep=True, quiet=True, timeout_s=LONGEST_S))
                if failure is None:
                    return
        except (KeyboardInterrupt, SystemExit):
            pass  # Whoever does not want to wait for it leaves it to the note.
        if failure is not None:
            raise failure

    def _release(self, way: Way) -> GpuledgerError | None:
        """Try once to give it back; what was in the way."""
        assert self._held is not None
        outcome = self._ask(way, ("release", f"@{self._held.gang.allocation}", "--if-held"))
        try:
            check(outcome, self._address, self._command, "run")
        except GpuledgerError as error:
            return error
        if outcome.status:
            return FarFailed(self._address.place, outcome.status)
        self._forget()
        return None

    def _pauses(self) -> Iterator[float]:
        """How long to wait before each further try: ever longer, up to the end of the lease."""
        tries = itertools.count() if self._ends is not None else range(TRIES)
        for number in tries:
            left_s = math.inf if self._ends is None else self._ends - time.monotonic()
            if left_s <= 0:
                return
            if not number and self._ends is not None:
                self._say_trying(left_s)
            yield min(2.0**number, LONGEST_S, left_s)

    def _say_trying(self, left_s: float) -> None:
        until = clock.now_us() + int(left_s * SECOND_US)
        with suppress(OSError):
            self._session.notice(
                _(
                    "the GPUs are not given back yet, as {place} does not answer; this is tried"
                    " until the lease ends, at {time}, or Ctrl-C is pressed"
                ).format(place=self._address.place, time=local_text(until, self._session.zone))
            )

    def _settle(self) -> None:
        """Give back what may have been granted as the connection went; else the note does it."""
        if self._note is None or self._tie is None:
            return
        outcome = self._ask(Way(keep=True, quiet=True, timeout_s=SETTLE_S), gone=(self._tie,))
        if outcome.began and not outcome.status:
            self._forget()

    def _look_at(self, outcome: Outcome) -> None:
        """Raise what kept the GPUs from being taken; without a note where nothing can be held."""
        if outcome.interrupted:
            if not outcome.broken:
                self._forget()
            raise KeyboardInterrupt
        check(outcome, self._address, self._command, "run")
        if outcome.status:
            self._forget()
            sys.stdout.write(outcome.output.decode())
            raise click.exceptions.Exit(outcome.status)

    def _ask(
        self,
        way: Way,
        words: tuple[str, ...] = (),
        *,
        gone: tuple[Tie, ...] = (),
        take: Taking | None = None,
        hold: int | None = None,
    ) -> Outcome:
        errand = errand_for(self._session, self._address, words, kept=True)
        more = {"gone": gone, "take": msgspec.to_builtins(take), "hold": hold}
        return carry(self._address, msgspec.structs.replace(errand, **more), way=way)

    def _write_note(self) -> None:
        if self._tie is None:
            return
        try:
            self._note = runnotes.write(self._address, self._tie)
        except (OSError, BadRequest) as error:
            why = getattr(error, "strerror", None) or str(error)
            self._session.notice(
                _(
                    "no note of this run can be kept here ({why}); were it killed, its GPUs would"
                    " be held until the lease ends or somebody releases them"
                ).format(why=printable(why))
            )

    def _forget(self) -> None:
        if self._note is not None:
            runnotes.remove(self._note)
            self._note = None


def _interruptible() -> None:
    """Let Ctrl-C and its like end this process again, where they were passed on to the child."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    interruptible()
