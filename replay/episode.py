"""Episodes: refusals as unmet demand.

An episode is the same user asking for the same, turned down again and again; a grant
of it, or an hour of silence, ends it.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from ..ledger.event import Event
from .catalogue import AllocationGranted, RequestRefused
from .facts import Asked, AskedChange, AskedExtend, AskedRelease, Record
from .fold import decode
from .spent import HOUR_US

SILENCE_US = HOUR_US


class Episode(Record, frozen=True):
    """What a user asked for in vain: the first and last refusal (microseconds UTC), and how often.

    `reason` is the last one; `granted` the allocation that ended it, where one did.
    """

    user: str
    act: str
    asked: Asked | None
    asked_release: AskedRelease | None
    asked_change: AskedChange | None
    reason: str
    first: int
    last: int
    times: int = 1
    granted: int | None = None
    asked_extend: AskedExtend | None = None


Ask = tuple[str, str, object]


def episodes(events: Iterable[Event]) -> list[Episode]:
    """The episodes in these events, by their first refusal."""
    done: list[Episode] = []
    going: dict[Ask, Episode] = {}
    for event in events:
        if event.kind == RequestRefused.KIND:
            _refused(event, decode(event), going, done)
        elif event.kind == AllocationGranted.KIND and going:
            _granted(event, decode(event), going, done)
    return sorted([*done, *going.values()], key=lambda episode: episode.first)


def _refused(
    event: Event, refused: RequestRefused, going: dict[Ask, Episode], done: list[Episode]
) -> None:
    asked = refused.asked, refused.asked_release, refused.asked_change, refused.asked_extend
    ask = (refused.user, refused.act, asked)
    before = going.get(ask)
    times, first = 1, event.at
    if before is not None and event.at - before.last <= SILENCE_US:
        times, first = before.times + 1, before.first
    elif before is not None:
        done.append(before)
    going[ask] = Episode(
        refused.user, refused.act, refused.asked, refused.asked_release, refused.asked_change,
        refused.reason, first, event.at, times, asked_extend=refused.asked_extend,
    )  # fmt: skip


def _granted(
    event: Event, grant: AllocationGranted, going: dict[Ask, Episode], done: list[Episode]
) -> None:
    asked = grant.asked, None, None, None
    episode = going.pop((grant.user, "allocate", asked), None)
    if episode is None:
        return
    quiet = event.at - episode.last > SILENCE_US
    done.append(msgspec.structs.replace(episode, granted=None if quiet else event.seq))
