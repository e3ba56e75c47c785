"""The queue as it is shown: each of those who wait, why, and when it may be his turn. Pure."""

from __future__ import annotations

from .facts import Record
from .fit import find_place, momentary_reason, possible
from .hosts import absent
from .limit import breach
from .line import forecast, request_of, serve, wish_of
from .piece import WaitingPiece
from .state import State


class Queued(Record, frozen=True):
    """One who waits, `position` counted from 1.

    `reason` is one of `refusal.REASONS`, `next` for one who can be served now, or `stopped` for one
    whose process is, so that others are served first. `starts` is when it would start at the latest
    if every lease ran to its end (microseconds UTC); None where no lease tells.
    """

    position: int
    piece: WaitingPiece
    reason: str
    starts: int | None


def queue(state: State, now_us: int) -> list[Queued]:
    """Those who wait, the first in line first."""
    line = state.docket.line()
    if not line:
        return []
    served, starts = serve(state, state.docket.awake(), now_us), forecast(state, now_us)
    return [
        Queued(at, one, "next" if one.id in served else _reason(state, one, now_us),
               starts.get(one.id))
        for at, one in enumerate(line, 1)
    ]  # fmt: skip


def hopeless(state: State, piece: WaitingPiece, now_us: int) -> bool:
    """Whether waiting mends nothing any more, since the pool has become another one."""
    if not _could(state, piece):
        return True
    broken = breach(state, wish_of(state, piece), now_us)
    return broken is not None and not broken.passes


def _could(state: State, piece: WaitingPiece) -> bool:
    """Whether the pool has the project, the servers and GPUs that are named, and could do it
    when empty.
    """
    there = state.pool.takes(piece.project) and absent(state, piece.places) is None
    return there and possible(state, request_of(piece))


def _reason(state: State, piece: WaitingPiece, now_us: int) -> str:
    if piece.id in state.docket.asleep:
        return "stopped"
    if not _could(state, piece):
        return "never"
    if breach(state, wish_of(state, piece), now_us) is not None:
        return "limit"
    request = request_of(piece)
    if find_place(state.fleet, request) is not None:
        return "waiting"
    return momentary_reason(state, request)
