"""The hold of `run` in a ledger of this machine. The ledger is open only while it is asked."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..ledger import clock
from ..replay.errors import TaskInUse
from ..replay.hosts import on_host
from ..replay.spent import SECOND_US
from .executable import task_name
from .gang import environment, gang, remove_hostfiles, write_hostfiles
from .hold import Granted, Held, Wish
from .placing import held_text, place_text
from .session import Session
from .timetext import local_text
from .waits import tell_waiting
from .words import _

if TYPE_CHECKING:
    from ..allocation import Allocation
    from ..handle import Ledger
    from ..ledger.event import Event
    from ..replay.facts import Tie

TRIES = 5
"""How many names are made for a task before its being in use is a failure."""


class LedgerHold:
    """What `wish` asks for, taken from the ledger that the session means."""

    def __init__(self, session: Session, wish: Wish) -> None:
        self._session = session
        self._wish = wish
        self._id = 0
        self._event: Event | None = None
        self._folder = ""

    def take(self, tie: Tie | None) -> Granted:
        """Take the GPUs. Raises as `Ledger.allocate`, and StorageFailed for hostfiles."""
        held = self.grasp(tie)
        variables, self._folder = outfit(self._session, self._wish.form, held)
        return granted(self._session, held, variables, time.monotonic())

    def grasp(self, tie: Tie | None, key: str | None = None) -> Held:
        """Take the GPUs and tell no more than the ledger knows. Raises as `Ledger.allocate`."""
        host = self._session.host
        with self._session.ledger(once=not self._wish.wait_s) as ledger:
            allocation = self._taken(ledger, tie, key)
            self._id = allocation.id
            self._event = allocation.event
            self._session.notices(ledger)
            state = ledger.state()
        told = gang(state, allocation.id, allocation.task, allocation.servers, host)
        listed = host is not None and on_host(state, host) is not None
        lease = allocation.grant.lease
        if lease is None:
            return Held(told, listed)
        until = allocation.start + lease * SECOND_US
        return Held(told, listed, lease, until, min(left_s(until), lease))

    def ends(self, within_s: float) -> float | None:
        """When the lease ends as things stand now; reading waits for nobody."""
        del within_s
        with self._session.ledger() as ledger:
            piece = ledger.state().allocation(self._id)
        if piece is None:
            return -math.inf
        return None if piece.until is None else time.monotonic() + left_s(piece.until)

    def give_back(self) -> None:
        """Give back what is still held, if anything was."""
        if self._folder:
            remove_hostfiles(self._folder)
        if self._event is not None:
            with self._session.ledger(once=True) as ledger:
                # A ledger that was restored in the meantime may have given the id once more.
                if self._event in ledger.log.read(self._id - 1, self._id):
                    ledger.release(f"@{self._id}", if_held=True)

    def _taken(self, ledger: Ledger, tie: Tie | None, key: str | None) -> Allocation:
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
                    lease=wish.lease, tie=tie, key=key, wait_s=wish.wait_s,
                    told=tell_waiting(self._session, wish.wait_s),
                )  # fmt: skip
            except TaskInUse:
                if wish.task or not left:
                    raise
                ending = f"{os.getpid()}-{os.urandom(3).hex()}"
        raise AssertionError


def outfit(session: Session, form: str | None, held: Held) -> tuple[dict[str, str], str]:
    """What the child is told, and the folder of its hostfiles. Raises StorageFailed.

    On another server of the pool CUDA shows it no GPU: those of the same numbers may be somebody
    else's there.
    """
    told = held.gang
    folder = write_hostfiles(told) if form == "mpi" else ""
    variables = environment(form, told, folder)
    if told.here is None and held.listed:
        session.notice(
            _("these are GPUs of {places}; this is {host}, where CUDA shows none").format(
                places=place_text(told.shares), host=session.host
            )
        )
        variables["CUDA_VISIBLE_DEVICES"] = ""
    return variables, folder


def granted(session: Session, held: Held, variables: Mapping[str, str], told_at: float) -> Granted:
    """The grant for the child; `left_s` counts from `told_at` on the monotonic clock."""
    sentence = _("granted @{id} {task}: {held}").format(
        id=held.gang.allocation, task=held.gang.task, held=held_text(held.gang.shares)
    )
    if held.until is None or held.left_s is None:
        return Granted(variables, sentence)
    when = local_text(held.until, session.zone)
    sentence += _(", until {until}").format(until=when)
    return Granted(variables, sentence, told_at + held.left_s, held.lease_s)


def left_s(until_us: int) -> float:
    """The seconds up to an instant (microseconds UTC)."""
    return (until_us - clock.now_us()) / SECOND_US
