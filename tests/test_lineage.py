"""One history out of what is left: runs that link, holes between them, branches that lose."""

from __future__ import annotations

from random import Random

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from gpuledger.ledger.chain import head_of, seal
from gpuledger.ledger.event import START, ZERO_HASH, Draft, Event, Head
from gpuledger.ledger.lineage import Hole, Lineage, Mark, attested, lineage


def grown(events: int, after: Head = START, word: str = "a", keys: str = "") -> list[Event]:
    """So many events that follow `after`, a second apart."""
    found: list[Event] = []
    for _ in range(events):
        key = f"{keys}{after.seq}" if keys else None
        draft = Draft((after.seq + 1) * 1_000_000, "told", 1, word, key, b"{}")
        found.append(seal(draft, after))
        after = head_of(found[-1])
    return found


def told(
    *parts: list[Event],
    note: Event | Mark | None = None,
    marks: tuple[Mark, ...] = (),
    own: list[Event] | None = None,
) -> Lineage:
    """The history of these records."""
    records = {event.hash: event for part in parts for event in part}
    if isinstance(note, Event):
        note = mark(note)
    return lineage(records, note, marks, records if own is None else {one.hash for one in own})


def mark(event: Event) -> Mark:
    return Mark(event.seq, event.hash)


def test_all_of_it_is_the_history() -> None:
    """Nothing lost, nothing forked: the events, and where they end."""
    events = grown(9)
    assert told(events, note=events[-1]) == Lineage(tuple(events), (), (), (), mark(events[-1]))


def test_holes_are_told_with_both_sides() -> None:
    """A hole at the start, within, and at the end, each with what is known around it."""
    events = grown(10)
    found = told(events[2:4], events[6:8], note=events[9])
    assert found.holes == (
        Hole(1, 2, ZERO_HASH, events[1].hash, None, events[2].at),
        Hole(5, 6, events[3].hash, events[5].hash, events[3].at, events[6].at),
        Hole(9, 10, events[7].hash, events[9].hash, events[7].at, None),
    )
    assert found.known == tuple(mark(events[at]) for at in (1, 5, 9))
    assert found.end == mark(events[9])


def test_nothing_is_left() -> None:
    """Without a record there is no history; a note alone says what is lost."""
    events = grown(3)
    assert told() == Lineage((), (), (), (), Mark(0, ZERO_HASH))
    assert told(note=events[2]).holes == (Hole(1, 3, ZERO_HASH, events[2].hash, None, None),)


def test_marks_of_lost_events_are_known() -> None:
    """What a mirror's names tell of lost events is known, unless survivors contradict it."""
    events = grown(10)
    wrong = Mark(4, bytes(range(32)))
    found = told(events[:2], events[4:5], marks=(mark(events[2]), wrong, mark(events[7])))
    assert found.known == tuple(mark(events[at]) for at in (2, 3, 7))
    assert found.end == mark(events[7])


def test_the_branch_to_the_note_wins() -> None:
    """Of two branches the one that leads to the noted head is the history, however short."""
    trunk = grown(5)
    short, long = grown(2, head_of(trunk[-1]), "b"), grown(9, head_of(trunk[-1]), "c")
    found = told(trunk, short, long, note=short[-1])
    assert found.events == (*trunk, *short)
    assert found.forked == tuple(long)
    assert found.holes == ()


def test_without_a_note_the_furthest_wins() -> None:
    """Where nothing tells, the branch that goes furthest is the history; a mark tells."""
    trunk = grown(5)
    short, long = grown(2, head_of(trunk[-1]), "b"), grown(9, head_of(trunk[-1]), "c")
    assert told(trunk, short, long).events == (*trunk, *long)
    assert told(trunk, short, long, marks=(mark(short[0]),)).events == (*trunk, *short)


def test_a_branch_that_the_note_denies_is_none() -> None:
    """An event at the noted seq with another hash is of a branch, also where the right is lost."""
    trunk = grown(5)
    right, wrong = grown(3, head_of(trunk[-1]), "b"), grown(3, head_of(trunk[-1]), "c")
    found = told(trunk, right[:1], wrong, note=right[2])
    assert found.events == (*trunk, *right[:1])
    assert [event.seq for event in found.forked] == [6, 7, 8]
    assert [(hole.first, hole.last) for hole in found.holes] == [(7, 8)]


def test_a_copys_branch_that_is_denied_is_left_out_whole() -> None:
    """Of a run that ends in what a survivor denies, nothing is taken that only copies have."""
    trunk = grown(10)
    other = grown(2, head_of(trunk[3]), "b")
    found = told(trunk[:4], trunk[6:], other, own=trunk)
    assert found.forked == tuple(other)
    mine = told(trunk[:4], trunk[6:], other)
    assert mine.forked == (other[1],), "the file's own, up to where it is denied"
    apart = told(trunk[:3], trunk[7:], other[:1], own=trunk)
    assert other[0] in apart.events, "nothing contradicts it"


def test_the_files_own_branch_is_taken_before_a_copys() -> None:
    """Where the note leads to neither of two runs, the one in the damaged file is taken."""
    trunk = grown(12)
    stale = grown(5, head_of(trunk[2]), "b")
    found = told(trunk[:3], trunk[5:7], trunk[11:], stale, note=trunk[11], own=trunk)
    assert found.events == (*trunk[:3], *trunk[5:7], *trunk[11:])
    assert found.forked == tuple(stale)


def test_times_do_not_fall_over_a_hole() -> None:
    """A run whose times do not lie between those of its neighbours is of another branch."""
    trunk = grown(10)
    late = msgspec.structs.replace(trunk[4], at=90_000_000)
    late = seal(Draft(late.at, late.kind, 1, "b", None, b"{}"), Head(4, trunk[0].hash, 0))
    found = told(trunk[:3], [late], trunk[6:])
    assert late not in found.events
    assert found.forked == (late,)


def test_a_retry_key_stands_once() -> None:
    """Of two events of one actor under one key, which no log takes, one is left out."""
    first = grown(3, keys="k")
    again = seal(Draft(9_000_000, "told", 1, "a", "k0", b"{}"), Head(5, first[0].hash, 0))
    found = told(first, [again])
    assert len(found.events) == 3
    assert found.forked == (again,)


def test_unfinished_events_need_a_witness() -> None:
    """What was not committed counts where the note reaches it, or a record stands behind it."""
    events = grown(6)
    doubtful = {event.hash: event for event in events[3:5]}
    records = {event.hash: event for event in events[:3]}
    assert attested(records, doubtful, (), 0) == {}
    assert attested(records, doubtful, (), 4).keys() == {events[3].hash}
    assert attested(records, doubtful, (mark(events[4]),), 0) == doubtful
    assert attested({**records, events[5].hash: events[5]}, doubtful, (), 0) == doubtful


@given(st.integers(0, 2**32), st.integers(1, 60), st.integers(0, 3))
def test_whatever_is_lost_of_one_log_the_rest_is_its_history(
    seed: int, count: int, forks: int
) -> None:
    """Of any events of one log, and branches of copies: all survivors, and every hole named."""
    chosen = Random(seed)
    events = grown(count, keys="k" if seed % 2 else "")
    kept = [event for event in events[:-1] if chosen.random() < 0.7] + events[-1:]
    branches: list[list[Event]] = []
    for number in range(forks if count > 1 else 0):
        start = events[chosen.randrange(count - 1)]
        branches.append(grown(chosen.randint(1, 5), head_of(start), f"fork-{number}"))
    found = told(kept, *branches, note=events[-1], own=kept)
    truth = {event.seq: event for event in events}
    assert set(kept) <= set(found.events)
    strangers = [event for event in found.events if truth.get(event.seq) != event]
    assert all(one.seq < count and truth[one.seq] not in kept for one in strangers)
    seqs = {event.seq for event in found.events}
    lost = {seq for hole in found.holes for seq in range(hole.first, hole.last + 1)}
    assert lost == set(range(1, count + 1)) - seqs
    if not strangers:
        assert all(truth[one.seq].hash == one.hash for one in found.known)
        assert all(hole.after == truth[hole.last].hash for hole in found.holes)
        assert set(found.forked) == {one for branch in branches for one in branch}
