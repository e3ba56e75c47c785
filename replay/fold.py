"""Fold: what one event does to the state. Pure, and total over what it knows.

An event that is physically impossible is *void*, as a whole: kept in the log,
without effect, the same on every machine. The list of reasons is `VOID`; rights,
limits, names and clocks are never among them.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from typing import Any

import msgspec

from ..ledger.errors import BrokenChain, UnknownEvent
from ..ledger.event import Event
from . import catalogue as c
from .evidence import learn
from .facts import identity
from .fold_pool import change_pool, create, mark_drained
from .gap import note_record
from .holding import NOTHING, Effects
from .piece import GAPS, AllocationPiece, MirrorPiece, Piece, RefusalPiece, WaitingPiece
from .spent import SECOND_US
from .taking import Impossible, clear
from .tenure import begin, end

FOLD_VERSION = 4

VOID = {
    "unknown_server": "names a server that the pool does not have",
    "unknown_gpu": "names a GPU that the server does not have",
    "gpu_held": "grants a GPU that is held, or names it twice",
    "cpus_exceeded": "grants more CPUs than are free, or fewer than none",
    "not_running": "ends an allocation that does not run",
    "server_there": "adds what is already there",
    "server_in_use": "removes, shrinks or swaps what is held",
    "asks_nothing": "queues a request for fewer than one GPU, CPU or server",
    "places_unclear": "queues a request that names GPUs on some servers only, or something twice",
    "not_waiting": "cancels a request that does not wait",
    "reset_leaves": "resets, but leaves allocations running",
}

Pieces = MutableMapping[str, Piece]


_DECODERS: dict[tuple[str, int], Callable[[bytes], Any]] = {
    (kind.KIND, version): msgspec.json.Decoder(kind).decode
    for kind in c.KINDS
    for version in range(1, c.version(kind.KIND) + 1)
}


def decode(event: Event) -> Any:  # noqa: ANN401 - the record of its kind
    """The catalogue record in an event.

    Raises UnknownEvent for a kind or version from later, BrokenChain where `data` is no such
    record.
    """
    decoder = _DECODERS.get((event.kind, event.version))
    if decoder is None:
        raise UnknownEvent(event.seq, event.kind, event.version)
    try:
        return decoder(event.data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BrokenChain("", f"{event.kind} cannot be decoded: {error}", event.seq) from error


def fold(pieces: Pieces, event: Event) -> Effects:
    """Apply one event to the pieces; returns its effects. Raises as `decode` does.

    Behind a gap it is first taken as evidence of what was lost there.
    """
    payload = decode(event)
    try:
        if GAPS in pieces:
            return learn(pieces, event, payload, _HANDLERS[type(payload)])
        return _HANDLERS[type(payload)](pieces, event, payload)
    except Impossible as impossible:
        return Effects(void=impossible.why)


def _granted(pieces: Pieces, event: Event, grant: c.AllocationGranted) -> Effects:
    owner = identity(grant.user, grant.uid, grant.sid)
    until = None if grant.lease is None else event.at + grant.lease * SECOND_US
    piece = AllocationPiece(
        event.seq, grant.task, owner, grant.user, event.at, grant.servers,
        grant.project, grant.note, grant.imported, until, grant.tie, grant.request,
    )  # fmt: skip
    return Effects(begin(pieces, piece))


def _extended(pieces: Pieces, _event: Event, extended: c.AllocationExtended) -> Effects:
    fresh: dict[str, Piece] = {}
    for one in extended.extensions:
        key = f"allocation:{one.allocation}"
        piece = pieces.get(key)
        if not isinstance(piece, AllocationPiece) or key in fresh:
            raise Impossible("not_running")
        fresh[key] = msgspec.structs.replace(piece, until=one.until)
    pieces.update(fresh)
    return Effects(tuple(fresh))


def _queued(pieces: Pieces, event: Event, queued: c.RequestQueued) -> Effects:
    asked = queued.asked
    if min(asked.gpus, asked.servers, 1 if asked.cpus is None else asked.cpus) < 1:
        raise Impossible("asks_nothing")
    if not clear(queued.places):
        raise Impossible("places_unclear")
    key = f"waiting:{event.seq}"
    owner = identity(queued.user, queued.uid, queued.sid)
    pieces[key] = WaitingPiece(
        event.seq, event.at, owner, queued.user, queued.asked, queued.project, queued.priority,
        queued.places, queued.until, queued.waiter, queued.port,
    )  # fmt: skip
    return Effects((key,))


def _cancelled(pieces: Pieces, _event: Event, cancelled: c.RequestCancelled) -> Effects:
    keys = dict.fromkeys(f"waiting:{number}" for number in cancelled.requests)
    if len(keys) < len(cancelled.requests) or any(key not in pieces for key in keys):
        raise Impossible("not_waiting")
    for key in keys:
        del pieces[key]
    return Effects(tuple(keys))


def _released(pieces: Pieces, event: Event, release: c.AllocationReleased) -> Effects:
    return _end(pieces, event, release.allocations, (release.cause, release.reason))


def _end(
    pieces: Pieces, event: Event, allocations: tuple[int, ...], why: tuple[str, str | None]
) -> Effects:
    touched, closed = end(pieces, event.at, allocations, why)
    return Effects(tuple(touched), tuple(closed))


def _reset(pieces: Pieces, event: Event, reset: c.LedgerReset) -> Effects:
    running = {piece.id for piece in pieces.values() if isinstance(piece, AllocationPiece)}
    if running - set(reset.ended):
        raise Impossible("reset_leaves")
    return _end(pieces, event, reset.ended, ("reset", reset.reason))


def _changed(pieces: Pieces, event: Event, change: c.PoolChanged) -> Effects:
    trial = dict(pieces)
    touched, closed = end(trial, event.at, change.ended, ("pool", change.reason))
    keys, capacity = change_pool(trial, event.at, change)
    touched = list(dict.fromkeys([*touched, *keys]))
    for key in touched:
        if key in trial:
            pieces[key] = trial[key]
        else:
            pieces.pop(key, None)
    return Effects(tuple(touched), tuple(closed), tuple(capacity))


def _created(pieces: Pieces, event: Event, created: c.LedgerCreated) -> Effects:
    if pieces:
        raise Impossible("server_there")
    keys, capacity = create(pieces, event.at, created)
    return Effects(tuple(keys), (), tuple(capacity))


def _drained(pieces: Pieces, event: Event, drain: c.PoolDrained) -> Effects:
    keys, capacity = mark_drained(pieces, event.at, drain.places, drained=True)
    return Effects(tuple(keys), (), tuple(capacity))


def _resumed(pieces: Pieces, event: Event, resume: c.PoolResumed) -> Effects:
    keys, capacity = mark_drained(pieces, event.at, resume.places, drained=False)
    return Effects(tuple(keys), (), tuple(capacity))


def _refused(pieces: Pieces, event: Event, refused: c.RequestRefused) -> Effects:
    key = "refusal:" + event.actor
    pieces[key] = RefusalPiece(
        event.seq, event.at, refused.act, refused.reason,
        refused.asked, refused.asked_release, refused.asked_change, refused.clock,
        refused.asked_extend,
    )  # fmt: skip
    return Effects((key,))


def _imported(_pieces: Pieces, _event: Event, _record: c.ImportRecorded) -> Effects:
    return NOTHING


def _recorded(pieces: Pieces, event: Event, record: c.GapRecorded) -> Effects:
    return Effects(note_record(pieces, event.seq, record.gaps))


def _mirror_added(pieces: Pieces, event: Event, added: c.MirrorAdded) -> Effects:
    key = "mirror:" + added.directory
    pieces[key] = MirrorPiece(added.directory, event.seq)
    return Effects((key,))


def _mirror_removed(pieces: Pieces, _event: Event, removed: c.MirrorRemoved) -> Effects:
    key = "mirror:" + removed.directory
    pieces.pop(key, None)
    return Effects((key,))


_HANDLERS: dict[type[Any], Callable[[Pieces, Event, Any], Effects]] = {
    c.AllocationGranted: _granted,
    c.AllocationReleased: _released,
    c.LedgerCreated: _created,
    c.LedgerReset: _reset,
    c.PoolChanged: _changed,
    c.PoolDrained: _drained,
    c.PoolResumed: _resumed,
    c.RequestRefused: _refused,
    c.ImportRecorded: _imported,
    c.AllocationExtended: _extended,
    c.RequestQueued: _queued,
    c.RequestCancelled: _cancelled,
    c.GapRecorded: _recorded,
    c.MirrorAdded: _mirror_added,
    c.MirrorRemoved: _mirror_removed,
}
