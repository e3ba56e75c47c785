"""The far end of a hold: `run` on another machine takes GPUs here, and its child is there.

What was granted is given back at once where the answer does not arrive: it is held only when the
other side has said so. Only the host of a tie's processes can see whether they are there, so what
it reports gone is given back here, of the user's own and no one else's.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from ..hangup import HungUp
from ..ledger.errors import GpuledgerError, LedgerMissing
from ..replay.facts import Tie
from .hold import Held, Wish
from .session import LOCK_TIMEOUT_S, Session

if TYPE_CHECKING:
    from .errand import Caller
    from .lifeline import Lifeline

ANSWER_S = 60.0
"""How long the other side may take to say that it has heard of its grant."""

REASON = "its process on {host} is gone"
MOST_HOST = 150
"""Letters of a host's name that stand in a reason."""


class Taking(msgspec.Struct, frozen=True):
    """What `run` takes elsewhere: its wish (without end where it waits `for_ever`), what keeps
    it, and a retry key.
    """

    wish: Wish
    tie: Tie | None
    key: str
    for_ever: bool = False
    lock_timeout_s: float = LOCK_TIMEOUT_S


class Taken(msgspec.Struct, frozen=True):
    """What was taken, `elapsed_s` seconds after the far side had begun."""

    held: Held
    elapsed_s: float


class Ends(msgspec.Struct, frozen=True):
    """Whether an allocation runs, and for how many seconds yet, where it has a lease."""

    runs: bool
    left_s: float | None
    elapsed_s: float


def serve(caller: Caller, lifeline: Lifeline) -> None:
    """Give back what is reported gone, take what is asked for, tell when a hold ends."""
    errand = caller.errand
    session = Session(json="--json" in errand.words, caller=caller)
    if errand.gone:
        with suppress(LedgerMissing):  # The command that follows tells of it, or makes one.
            settle(session, errand.gone)
    if errand.take is not None:
        _take(session, msgspec.convert(errand.take, Taking), lifeline)
    if errand.hold is not None:
        _answer(_ends(session, errand.hold, lifeline))


def settle(session: Session, gone: Sequence[Tie]) -> None:
    """Give back what these processes held for the user. Raises as `Ledger.release`."""
    ties = {seen_from_here(tie) for tie in gone}
    with session.ledger() as ledger:
        owner = ledger.actor.identity
        for piece in ledger.state().allocations():
            if piece.owner == owner and piece.tie in ties:
                reason = REASON.format(host=piece.tie.host[:MOST_HOST])
                ledger.release(f"@{piece.id}", if_held=True, reason=reason)


def _take(session: Session, taking: Taking, lifeline: Lifeline) -> None:
    """Take it, tell it, and give it back where nobody says to have heard."""
    from .ledgerhold import LedgerHold

    wish, tie = taking.wish, taking.tie
    if taking.for_ever:
        wish = msgspec.structs.replace(wish, wait_s=math.inf)
    session.lock_timeout_s = taking.lock_timeout_s
    hold = LedgerHold(session, wish)
    try:
        held = hold.grasp(None) if tie is None else hold.grasp(seen_from_here(tie), taking.key)
        _answer(Taken(held, time.monotonic() - lifeline.began))
        if not lifeline.taken.wait(ANSWER_S):
            raise HungUp
    except GpuledgerError:
        raise
    except BaseException:
        hold.give_back()
        if tie is not None:
            settle(session, [tie])
        raise


def _ends(session: Session, number: int, lifeline: Lifeline) -> Ends:
    with session.ledger() as ledger:
        piece = ledger.state().allocation(number)
    elapsed_s = time.monotonic() - lifeline.began
    if piece is None or piece.until is None:
        return Ends(piece is not None, None, elapsed_s)
    from .ledgerhold import left_s

    return Ends(True, left_s(piece.until), elapsed_s)


def _answer(told: Taken | Ends) -> None:
    sys.stdout.write(msgspec.json.encode(told).decode() + "\n")
    sys.stdout.flush()


def seen_from_here(tie: Tie) -> Tie:
    """The tie as it stands in this machine's ledger.

    Another machine may have this one's name (many are called `localhost`); it is called by its
    boot as well, or its processes would be looked for here.
    """
    from .actor import host_name
    from .process import tie_of

    ours = tie_of()
    if tie.host != host_name() or (ours is not None and ours.boot == tie.boot):
        return tie
    return msgspec.structs.replace(tie, host=f"{tie.host}~{tie.boot[:8]}")
