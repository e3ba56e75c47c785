"""The reading half of a ledger handle: history, audit, verification, export.

Nothing here takes the lock or writes. Each report has one `now` and one head.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from gpuledger.ledger.chain import head_of
from gpuledger.ledger.errors import LostTail
from gpuledger.ledger.event import Event, Head
from gpuledger.ledger.format import LOCK_SUFFIX
from gpuledger.ledger.note import read_note
from gpuledger.ledger.row import read_events
from gpuledger.proofs import Proofs
from gpuledger.replay.catalogue import RequestRefused
from gpuledger.replay.errors import BadRequest, NoSuchServer
from gpuledger.replay.facts import Placed
from gpuledger.replay.history import Spell, spells
from gpuledger.replay.holding import Holding
from gpuledger.replay.hole import Finder, holes_of
from gpuledger.replay.interval import Window
from gpuledger.replay.past import Past, load_past, on_server, replayed, say, states_at
from gpuledger.replay.snapshot_store import Misfit
from gpuledger.replay.uncertainty import Uncertainty, uncertainty

if TYPE_CHECKING:
    from gpuledger.replay.allowance import Identify
    from gpuledger.replay.checked_tree import Anchor
    from gpuledger.replay.episode import Episode
    from gpuledger.replay.transition import Transition
    from gpuledger.replay.usage import Usage
    from gpuledger.replay.verification import Verified

Answer = TypeVar("Answer")


class Reports(Proofs):
    """What can be asked of a ledger's past. Windows are half open, microseconds UTC."""

    notices: list[str]
    uncertain: Uncertainty | None = None
    """What the gaps of the log left open in the last answer; None where it has none."""
    _clock: Callable[[], int]

    def history(self, window: Window) -> tuple[list[Spell], Head]:
        """The allocations that share an instant with the window, by id, and the head it was
        read at.
        """

        def ask(past: Past) -> tuple[list[Spell], Head]:
            return spells(past.during(window)), past.state.head

        return self._ask(ask)

    def who(
        self, server: str, gpus: tuple[int, ...] | None = None, window: Window | None = None
    ) -> tuple[list[tuple[int, Holding]], Head]:
        """Who held a server's GPUs: pairs of GPU index and holding, by GPU, then by start.

        All of time where no window is given. Raises NoSuchServer where the pool never had it.
        """
        self._mind_the_note()
        now = self._clock()
        state, holdings = on_server(self.log, server, self.notices, now)
        self.uncertain = uncertainty(state)
        piece = state.server(server)
        if not holdings and piece is None:
            raise NoSuchServer(server, state.pool.servers)
        indices = {gpu for holding in holdings for gpu in holding.gpus}
        indices |= {card.index for card in piece.facts.gpus} if piece is not None else set()
        for gpu in gpus or ():
            if gpu not in indices:
                raise NoSuchServer(server, tuple(map(str, sorted(indices))), gpu)
        pairs = [
            (gpu, holding)
            for holding in holdings
            if window is None or window.meets(holding.start, holding.end)
            for gpu in holding.gpus
            if gpus is None or gpu in gpus
        ]
        return sorted(
            pairs, key=lambda pair: (pair[0], pair[1].start, pair[1].allocation)
        ), state.head

    def held(
        self, places: tuple[Placed, ...], window: Window
    ) -> tuple[list[tuple[int, Holding]], Head]:
        """Who held the GPUs of `places` in a window, in their order, as one report.

        All GPUs of a place that names none. Raises NoSuchServer where the pool never had one.
        """
        if len(places) == 1:
            # One server is a stretch of an index; what it has not now it may have had once.
            with suppress(NoSuchServer):
                return self.who(places[0].server, places[0].gpus, window)

        def ask(past: Past) -> tuple[list[tuple[int, Holding]], Head]:
            offered: dict[str, set[int]] = {}
            for step in past.capacities:
                offered.setdefault(step.server, set()).update(step.gpus)
            wanted = {place.server: _known(place, offered) for place in places}
            order = {place.server: at for at, place in enumerate(places)}
            pairs = [
                (gpu, holding)
                for holding in past.during(window)
                if holding.server in wanted
                for gpu in holding.gpus
                if gpu in wanted[holding.server]
            ]
            pairs.sort(key=lambda one: (order[one[1].server], one[0], one[1].start))
            return pairs, past.state.head

        return self._ask(ask)

    def usage(
        self,
        window: Window,
        by: tuple[str, ...] = ("user",),
        *,
        limits: bool = False,
        identify: Identify | None = None,
    ) -> tuple[Usage, Head]:
        """Sums by user, project, server or task; what is yet to come counts for nothing.

        With `limits` rows of users or of projects tell how much of what is allowed is in use
        now; `identify` finds a user's identity where the ledger does not tell it. Raises
        BadRequest for an unknown dimension.
        """
        from gpuledger.replay import usage

        for name in by:
            if name not in usage.DIMENSIONS:
                raise BadRequest("by", name, "some of " + ", ".join(usage.DIMENSIONS))

        def ask(past: Past) -> tuple[Usage, Head]:
            now = self._now(past.state.head)
            until = max(window.from_us, min(window.to_us, now))
            past_only = Window(window.from_us, until)
            used = usage.usage(past.during(past_only), past.capacities, past_only, by)
            if limits:
                from gpuledger.replay.allowance import beside

                used = beside(past.state, used, now, identify)
            return used, past.state.head

        return self._ask(ask)

    def refusals(self, window: Window) -> tuple[list[Episode], Head]:
        """Unmet demand: the episodes whose last refusal lies in the window or whose first does."""
        from gpuledger.replay.episode import episodes

        self._mind_the_note()
        head = self.log.head()
        events = self._noticed(self._quiet_before(window.from_us, head.seq), head.seq)
        found = episodes(event for event in events if event.at < window.to_us)
        return [one for one in found if one.last >= window.from_us], head

    def diff(self, earlier: int, later: int) -> tuple[Transition, Head]:
        """What changed between two instants (microseconds UTC), the earlier first."""
        from gpuledger.replay.transition import transition

        self._mind_the_note()
        head = self.log.head()
        first, second = states_at(self.log, earlier, later, head.seq, self.notices)
        first.lapse(earlier)
        second.lapse(min(later, self._now(head)))
        self.uncertain = uncertainty(second) if second.seq else None
        return transition(first, second), head

    def verify(
        self, expect: tuple[int, str] | None = None, against: Iterable[Anchor] = ()
    ) -> Verified:
        """Recompute everything; `expect` is a seq and 16 or more hex digits of its hash,
        `against` are checkpoints whose trees the log's must extend.
        """
        from gpuledger.replay.verification import verify
        from gpuledger.second import helped

        self.mind_the_mirrors()
        noted = read_note(self.log.path + LOCK_SUFFIX)
        return verify(self.log, noted, expect, against, helped(self.log))

    def export(self, after: int = 0) -> Iterator[bytes]:
        """The events after a seq, one CloudEvents object a line, without the line's end."""
        from gpuledger.ledger.cloudevent import to_line

        self.mind_the_mirrors()
        name = self.ledger_id()
        return (to_line(event, name) for event in self.log.read(after))

    def _mind_the_note(self) -> None:
        """Say where the log lacks what the lock file remembers: a -wal can lose its tail unseen."""
        wrong = self.log.behind_its_note()
        if isinstance(wrong, LostTail):
            lost = f"what was acknowledged is missing, seq {wrong.first} to {wrong.last}"
            self.notices.append(f"{wrong.why}: {lost}; see gpuledger audit verify")
        elif wrong is not None:
            self.notices.append(f"{wrong.why}; see gpuledger audit verify")
        self.mind_the_mirrors()

    def mind_the_mirrors(self) -> None:
        """Note which mirrors are not as they should be, of those that this user may read."""
        from gpuledger.replay.mirror_rows import mirrors_of
        from gpuledger.replay.mirroring import note

        directories = self.log.reading(mirrors_of)
        if directories:
            from gpuledger.mirrors import standings

            for one in standings(self, directories):
                if one.trouble != "not_permitted":
                    note(self.notices, one)

    def _ask(self, ask: Callable[[Past], Answer]) -> Answer:
        """Ask the stores; where a row of them turns out not to fit, a replay of the log."""
        self._mind_the_note()
        try:
            return ask(self._lapsed(load_past(self.log, self.notices)))
        except Misfit as misfit:
            past = replayed(self.log, self.notices)
            self.notices.append(f"{misfit.why}; replayed {past.state.seq} events")
            return ask(self._lapsed(past))

    def _lapsed(self, past: Past) -> Past:
        """The past with the leases ended that are due, whether that is recorded yet or not."""
        past.fresh += past.state.lapse(self._now(past.state.head))
        self.uncertain = uncertainty(past.state)
        return past

    def _now(self, head: Head) -> int:
        """The clock's time, and never one before the last event: a clock may have been set back."""
        return max(self._clock(), head.at)

    def _quiet_before(self, at: int, head: int) -> int:
        """The seq from which no episode is cut: an hour without a refusal lies before it."""
        from gpuledger.replay.episode import SILENCE_US

        while True:
            first = self._first_seq(at, head)
            earlier = self._first_seq(at - SILENCE_US, head)
            stretch = self.log.read(earlier - 1, first - 1)
            refused = [event.at for event in stretch if event.kind == RequestRefused.KIND]
            if not refused:
                return first
            at = refused[0]

    def _noticed(self, first: int, head: int) -> Iterator[Event]:
        """The events from `first` on; where they do not link, that is said, and reading goes on."""
        before: Event | None = None
        breaks: list[tuple[int, str]] = []
        finder = Finder(holes_of(self.log))
        for event in self.log.read(max(first - 2, 0), head):
            if before is not None and (wrong := finder.wrong(event, head_of(before))):
                breaks.append((event.seq, wrong))
            before = event
            if event.seq >= first:
                yield event
        say(breaks, self.notices)

    def _first_seq(self, at: int, head: int) -> int:
        """The first seq whose event is at or after `at`: times never fall from seq to seq."""
        low, high = 1, head + 1
        while low < high:
            middle = (low + high) // 2
            found = self.log.reading(lambda conn: read_events(conn, middle - 1, head, 1))  # noqa: B023 - runs at once
            if not found or found[0].at >= at:
                high = middle
            else:
                low = found[0].seq + 1
        return low


def _known(place: Placed, offered: dict[str, set[int]]) -> set[int]:
    """The GPUs of a place, by what each server ever offered. Raises NoSuchServer."""
    gpus = offered.get(place.server)
    if gpus is None:
        raise NoSuchServer(place.server, tuple(offered))
    for gpu in place.gpus or ():
        if gpu not in gpus:
            raise NoSuchServer(place.server, tuple(map(str, sorted(gpus))), gpu)
    return gpus if place.gpus is None else set(place.gpus)
