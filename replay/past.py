"""The past: the state at the head, and every holding that ever ended.

Taken from the stores where they fit, else from a replay of the whole log. Both give the
same answers; a reader writes nothing either way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import takewhile
from typing import TYPE_CHECKING, Protocol, TypeVar

import msgspec

from ..ledger.event import Event
from ..ledger.row import head_in, read_events
from . import hole, projection_store, snapshot_store
from .holding import Capacity, Holding, running
from .interval import Window
from .snapshot_store import Misfit
from .state import State

if TYPE_CHECKING:
    import sqlite3

Found = TypeVar("Found")
TAIL = 4_096
"""A reader folds at most so many events after a snapshot in one read transaction."""


class Readable(hole.Readable, Protocol):
    """What a past is read from: the log, in runs, and read transactions of its file."""

    def reading(self, ask: Callable[[sqlite3.Connection], Found], /) -> Found:
        """Run `ask` in one read transaction."""
        ...


class Past(msgspec.Struct):
    """What was, up to `state.head`. `stored` is the number of holdings that the store vouches
    for.
    """

    log: Readable
    state: State
    stored: int
    fresh: list[Holding]
    capacities: list[Capacity]

    def ended(self, since: int) -> Iterator[Holding]:
        """Holdings that ended after `since` (microseconds UTC), in order of their ends. Raises
        Misfit.
        """
        if self.stored:
            yield from projection_store.since(self.log.reading, since, self.stored)
        yield from (holding for holding in self.fresh if (holding.end or 0) > since)

    def open(self) -> Iterator[Holding]:
        """Holdings that run, by allocation."""
        for piece in self.state.allocations():
            yield from running(piece)

    def during(self, window: Window) -> Iterator[Holding]:
        """Holdings that share an instant with the window. Raises Misfit."""
        for holding in self.ended(window.from_us - 1):
            if window.meets(holding.start, holding.end):
                yield holding
        yield from (holding for holding in self.open() if holding.start < window.to_us)


def _tail(conn: sqlite3.Connection) -> tuple[snapshot_store.Snapshot, list[Event]]:
    snapshot = snapshot_store.load(conn)
    if snapshot is None:
        raise Misfit("there is no snapshot")
    events = read_events(conn, snapshot.header.seq, head_in(conn).seq, TAIL)
    if len(events) == TAIL:
        raise Misfit("the snapshot is too old")
    return snapshot, events


def load_state(log: Readable, notices: list[str]) -> State:
    """The state at the head, from the snapshot or by replay. Raises BrokenChain, UnknownEvent."""
    try:
        snapshot, events = log.reading(_tail)
    except Misfit as misfit:
        return _replayed(log, misfit, notices).state
    return _shown(snapshot.state.over(hole.holes_of(log)), events, notices)


def load_past(log: Readable, notices: list[str]) -> Past:
    """The past up to the head, from the stores or by replay. Raises BrokenChain, UnknownEvent."""

    def ask(
        conn: sqlite3.Connection,
    ) -> tuple[snapshot_store.Snapshot, list[Event], list[Capacity]]:
        snapshot, events = _tail(conn)
        return snapshot, events, projection_store.capacities(conn, snapshot.header.capacity)

    try:
        snapshot, events, capacities = log.reading(ask)
    except Misfit as misfit:
        return _replayed(log, misfit, notices)
    state = snapshot.state.over(hole.holes_of(log))
    past = Past(log, state, snapshot.header.holdings, [], capacities)
    return _follow(past, events, notices)


def _shown(state: State, events: Iterable[Event], notices: list[str]) -> State:
    """The state after these events; where they do not link, that is said and reading goes on."""
    breaks: list[tuple[int, str]] = []
    for event in events:
        state.show(event, breaks)
    say(breaks, notices)
    return state


def _follow(past: Past, events: Iterable[Event], notices: list[str]) -> Past:
    breaks: list[tuple[int, str]] = []
    for event in events:
        effects = past.state.show(event, breaks)
        past.fresh += effects.closed
        past.capacities += effects.capacity
    say(breaks, notices)
    return past


def say(breaks: list[tuple[int, str]], notices: list[str]) -> None:
    """Say where the chain was first found broken, if it was."""
    if breaks:
        seq, what = breaks[0]
        notices.append(f"the chain is broken at seq {seq} ({what}); see gpuledger audit verify")


def _replayed(log: Readable, misfit: Misfit, notices: list[str]) -> Past:
    past = replayed(log, notices)
    if past.state.seq > 1:
        notices.append(f"{misfit.why}; replayed {past.state.seq} events")
    return past


def replayed(log: Readable, notices: list[str]) -> Past:
    """The past by a replay of the whole log, whatever the stores hold."""
    return _follow(Past(log, State(holes=hole.holes_of(log)), 0, [], []), log.read(0), notices)


def on_server(
    log: Readable, server: str, notices: list[str], now_us: int
) -> tuple[State, list[Holding]]:
    """The state, and every holding that a server ever had, in order of their ends, the running
    last. Leases that are due by `now_us` have ended.
    """

    def ask(conn: sqlite3.Connection) -> tuple[State, list[Event], list[Holding]]:
        snapshot, events = _tail(conn)
        piece = snapshot.state.pieces.get("server:" + server)
        count = getattr(piece, "ended", 0)
        return snapshot.state, events, projection_store.on_server(conn, server, count)

    try:
        state, events, holdings = log.reading(ask)
        past = _follow(Past(log, state.over(hole.holes_of(log)), 0, [], []), events, notices)
    except Misfit as misfit:
        past, holdings = _replayed(log, misfit, notices), []
    past.fresh += past.state.lapse(max(now_us, past.state.head.at))
    every = [*holdings, *past.fresh, *past.open()]
    return past.state, [holding for holding in every if holding.server == server]


def state_at(log: Readable, at: int, notices: list[str]) -> State:
    """The state at a past instant: every event with a time up to and at `at` (microseconds UTC)."""
    events = takewhile(lambda event: event.at <= at, log.read(0))
    return _shown(State(holes=hole.holes_of(log)), events, notices)


def states_at(
    log: Readable, earlier: int, later: int, upto: int, notices: list[str]
) -> tuple[State, State]:
    """The states at two past instants (microseconds UTC) by one pass over the log up to a seq."""
    state, first, breaks = State(holes=hole.holes_of(log)), State(), list[tuple[int, str]]()
    passed = False
    for event in log.read(0, upto):
        if not passed and event.at > earlier:
            first, passed = state.copy(), True
        if event.at > later:
            break
        state.show(event, breaks)
    say(breaks, notices)
    return (first if passed else state.copy()), state
