"""The hold of `run` in a ledger of this machine. The ledger is open only while it is asked."""

from __future__ import annotations

import math
import os
import time
from typing import TYPE_CHECKING

from ..ledger import clock
from ..replay.errors import TaskInUse
from ..replay.hosts import on_host
from .executable import task_name
from .gang import environment, gang, remove_hostfiles, write_hostfiles
from .hold import Granted, Wish
from .placing import held_text, place_text
from .session import Session
from .timetext import MICROSECONDS, local_text
from .waits import tell_waiting
from .words import _

if TYPE_CHECKING:
    from ..allocation import Allocation
    from ..handle import Ledger
    from ..replay.facts import Tie

TRIES = 5
"""How many names are made for a task before its being in use is a failure."""


class LedgerHold:
    """What `wish` asks for, taken from the ledger that the session means."""

    def __init__(self, session: Session, wish: Wish) -> None:
        self._session = session
        self._wish = wish
        self._id = 0
        self._folder = ""

    def take(self, tie: Tie | None) -> Granted:
        """Take the GPUs. Raises as `Ledger.allocate`, and StorageFailed for hostfiles."""
        with self._session.ledger(once=not self._wish.wait_s) as ledger:
            allocation = self._taken(ledger, tie)
            self._id = allocation.id
            self._session.notices(ledger)
            variables = self._variables(ledger, allocation)
        grant, ends = allocation.grant, None
        sentence = _("granted @{id} {task}: {held}").format(
            id=allocation.id, task=grant.task, held=held_text(allocation.servers)
        )
        if grant.lease is not None:
            until = allocation.start + grant.lease * MICROSECONDS
            ends = min(_on_the_clock(until), time.monotonic() + grant.lease)
            when = local_text(until, self._session.zone)
            sentence += _(", until {until}").format(until=when)
        return Granted(variables, sentence, ends, grant.lease)

    def ends(self, within_s: float) -> float | None:
        """When the lease ends as things stand now; reading waits for nobody."""
        del within_s
        with self._session.ledger() as ledger:
            piece = ledger.state().allocation(self._id)
        if piece is None:
            return -math.inf
        return None if piece.until is None else _on_the_clock(piece.until)

    def give_back(self) -> None:
        """Give back what is still held, if anything was."""
        if self._folder:
            remove_hostfiles(self._folder)
        if self._id:
            with self._session.ledger(once=True) as ledger:
                ledger.release(f"@{self._id}", if_held=True)

    def _taken(self, ledger: Ledger, tie: Tie | None) -> Allocation:
        """The allocation, under a made name that is free where none was given.

        The number of a process is its own on this machine, and may be in use on another.
        """
        wish, ending = self._wish, str(os.getpid())
        for left in reversed(range(TRIES)):
            task = wish.task or task_name(wish.words, ending)
            try:
                return ledger.allocate(
                    task, wish.gpus, wish.cpus, on=wish.on, on_words=wish.on_words,
                    here=wish.here, servers=wish.servers, project=wish.project, note=wish.note,
                    lease=wish.lease, tie=tie, wait_s=wish.wait_s,
                    told=tell_waiting(self._session, wish.wait_s),
                )  # fmt: skip
            except TaskInUse:
                if wish.task or not left:
                    raise
                ending = f"{os.getpid()}-{os.urandom(3).hex()}"
        raise AssertionError

    def _variables(self, ledger: Ledger, allocation: Allocation) -> dict[str, str]:
        """What the child is told. On another server of the pool CUDA shows it no GPU: those of
        the same numbers may be somebody else's there.
        """
        shares, state, host = allocation.servers, ledger.state(), self._session.host
        told = gang(state, allocation.id, allocation.task, shares, host)
        if self._wish.form == "mpi":
            self._folder = write_hostfiles(told)
        variables = environment(self._wish.form, told, self._folder)
        if told.here is None and host and on_host(state, host) is not None:
            self._session.notice(
                _("these are GPUs of {places}; this is {host}, where CUDA shows none").format(
                    places=place_text(shares), host=host
                )
            )
            variables["CUDA_VISIBLE_DEVICES"] = ""
        return variables


def _on_the_clock(until_us: int) -> float:
    """An instant (microseconds UTC) on the monotonic clock."""
    return time.monotonic() + (until_us - clock.now_us()) / MICROSECONDS
