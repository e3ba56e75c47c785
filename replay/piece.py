"""The pieces that state is made of, and their bytes.

State is a mapping from keys to small frozen records. A piece's framed bytes are
the canonical JSON of `[key, value]`; the state hash is the sum modulo 2**256 of
SHA-256 over each framed piece, read big-endian, so it is kept up to date piece
by piece. Names that people give are values or parts of keys, never object keys.
"""

from __future__ import annotations

from functools import cached_property
from hashlib import sha256

import msgspec

from ..ledger.canonical import encode_record
from .facts import (
    NO_CAP,
    Admins,
    Asked,
    AskedChange,
    AskedExtend,
    AskedRelease,
    Limits,
    Member,
    Placed,
    Project,
    Record,
    Server,
    Share,
    Tie,
)

MODULUS = 1 << 256


class PoolPiece(Record, frozen=True, gc=True, dict=True):
    """The pool's frame: the server names in pool order, limits, admins, the ledger's id.

    `window` is the longest time, in seconds, over which any limit counts GPU-hours; 0 without one.
    """

    ledger: str
    servers: tuple[str, ...]
    limits: Limits
    admins: Admins
    projects: tuple[Project, ...] = ()
    members: tuple[Member, ...] = ()
    window: int = 0

    @cached_property
    def limited(self) -> bool:
        """Whether it limits anything beside the GPUs of one task; kept, since a piece is frozen."""
        caps = (self.limits.task, self.limits.user, self.limits.project)
        return bool(self.members or self.projects) or any(cap != NO_CAP for cap in caps)

    def takes(self, project: str | None) -> bool:
        """Whether one may ask for it: where the pool lists its projects, there are no others."""
        known = [one.name for one in self.projects]
        return project is None or not known or project in known

    def priority(self, project: str | None) -> int:
        """The place of a project's requests in the line: higher is served first."""
        return next((one.priority for one in self.projects if one.name == project), 0)


class ServerPiece(Record, frozen=True):
    """One server: its facts, and who holds what.

    `holders` has for each position of `facts.gpus` the allocation's id, 0 where free;
    `drained` lists GPU indices; `ended` counts the holdings that ended here, so that a
    missing row of the projection is noticed. A removed server that had holdings stays
    with no GPUs and no CPUs. Of the GPUs `doubtful` a gap leaves open who holds them, if
    anybody; `uncertain` is the first lost seq of the gap before which `facts` was told.
    `cpus_free` is less than none where not all can run still that seem to.
    """

    facts: Server
    holders: tuple[int, ...]
    cpus_free: int
    drained: tuple[int, ...] = ()
    ended: int = 0
    doubtful: tuple[int, ...] = ()
    uncertain: int | None = None

    def position(self, gpu: int) -> int:
        """Where GPU `gpu` stands in `facts.gpus`, or -1."""
        cards = self.facts.gpus
        if 0 <= gpu < len(cards) and cards[gpu].index == gpu:
            return gpu
        return next((at for at, card in enumerate(cards) if card.index == gpu), -1)

    def positions(self, gpus: tuple[int, ...]) -> list[int]:
        """The same of each of these GPUs, for all at once."""
        cards, position = self.facts.gpus, self.position
        count = len(cards)
        return [
            gpu if 0 <= gpu < count and cards[gpu].index == gpu else position(gpu) for gpu in gpus
        ]

    def holder(self, gpu: int) -> int:
        """The allocation that holds GPU `gpu`, 0 where it is free."""
        return self.holders[self.position(gpu)]

    def free_gpus(self) -> tuple[int, ...]:
        """The indices of GPUs that are neither held nor drained, ascending."""
        pairs = zip(self.facts.gpus, self.holders, strict=True)
        return tuple(c.index for c, held in pairs if not held and c.index not in self.drained)

    def first_free(self, count: int) -> tuple[int, ...]:
        """The first so many of those."""
        if self.drained:
            return self.free_gpus()[:count]
        found: list[int] = []
        at = -1
        for _ in range(count):
            at = self.holders.index(0, at + 1)
            found.append(self.facts.gpus[at].index)
        return tuple(found)

    def free_count(self) -> int:
        """How many GPUs are neither held nor drained."""
        if self.drained:
            return len(self.free_gpus())
        return self.holders.count(0)


class AllocationPiece(Record, frozen=True):
    """An allocation that runs. `start` in microseconds UTC; `owner` is a stable identity.

    `until` is when its lease ends (microseconds UTC), `tie` the processes that it
    ends with, `request` the one that waited for it. Where it may have ended in a gap,
    `uncertain` is that gap's first lost seq, and `sure` until when it certainly ran.
    """

    id: int
    task: str
    owner: str
    user: str
    start: int
    servers: tuple[Share, ...]
    project: str | None = None
    note: str | None = None
    imported: int | None = None
    until: int | None = None
    tie: Tie | None = None
    request: int | None = None
    uncertain: int | None = None
    sure: int | None = None

    @property
    def due(self) -> int | None:
        """When its lease ends it; None where none does, or a gap may hide that it was extended."""
        return self.until if self.uncertain is None else None

    @property
    def counted(self) -> int | None:
        """Up to when its GPU time counts: its lease's end, or a gap in which it may have ended."""
        return self.until if self.sure is None else self.sure


class WaitingPiece(Record, frozen=True):
    """A request that waits in line since `at` (microseconds UTC); the fields of its event.

    `uncertain` is the first lost seq of a gap in which it may have left the line.
    """

    id: int
    at: int
    owner: str
    user: str
    asked: Asked
    project: str | None = None
    priority: int = 0
    places: tuple[Placed, ...] = ()
    until: int | None = None
    waiter: Tie | None = None
    port: int | None = None
    uncertain: int | None = None


class Loss(Record, frozen=True):
    """The events `first` to `last` are lost; they lay between `at` and `until` (microseconds UTC).

    `told` is what later events say of those lost: the id of an allocation or a request, and
    when it ended (microseconds UTC), 0 while it does not; `ended` what ended there, as they show.
    `recorded` is the seq of the event that names the gap, once it is folded.
    """

    first: int
    last: int
    at: int
    until: int
    told: tuple[tuple[int, int], ...] = ()
    ended: tuple[int, ...] = ()
    recorded: int | None = None


class GapsPiece(Record, frozen=True):
    """The gaps of the log up to the head, in order."""

    losses: tuple[Loss, ...]


class SpentPiece(Record, frozen=True):
    """GPU time of ended allocations: pairs of an hour (whole hours since 1970) and microseconds.

    In order of the hours, as far back as a limit counts; kept only where one counts GPU-hours.
    """

    hours: tuple[tuple[int, int], ...]


class TasksPiece(Record, frozen=True):
    """A user's running tasks: sorted pairs of name and allocation id."""

    tasks: tuple[tuple[str, int], ...]


class RefusalPiece(Record, frozen=True):
    """An actor's last refusal, so that the same one is not recorded twice in a minute."""

    seq: int
    at: int
    act: str
    reason: str
    asked: Asked | None = None
    asked_release: AskedRelease | None = None
    asked_change: AskedChange | None = None
    clock: int | None = None
    asked_extend: AskedExtend | None = None

    @property
    def clock_us(self) -> int:
        """What the clock said at the refusal, which `at` does not where the clock was behind."""
        return self.at if self.clock is None else self.clock


class MirrorPiece(Record, frozen=True):
    """A mirror of the log: the folder, and the event that added it."""

    directory: str
    since: int


Piece = (
    PoolPiece
    | ServerPiece
    | AllocationPiece
    | TasksPiece
    | RefusalPiece
    | WaitingPiece
    | SpentPiece
    | GapsPiece
    | MirrorPiece
)

POOL = "pool"
GAPS = "gaps"
_TYPES: dict[str, type[Piece]] = {
    "pool": PoolPiece,
    "server": ServerPiece,
    "allocation": AllocationPiece,
    "tasks": TasksPiece,
    "refusal": RefusalPiece,
    "waiting": WaitingPiece,
    "spent": SpentPiece,
    "gaps": GapsPiece,
    "mirror": MirrorPiece,
}
_DECODE = {name: msgspec.json.Decoder(kind).decode for name, kind in _TYPES.items()}


def text(piece: Piece) -> bytes:
    """The canonical JSON of a piece's value."""
    return encode_record(piece)


def decode(key: str, value: bytes) -> Piece:
    """The piece that `text` wrote; msgspec.ValidationError or KeyError where it is none."""
    return _DECODE[key.partition(":")[0]](value)


def digest(key: str, value: bytes) -> bytes:
    """SHA-256 over the framed piece: 32 bytes."""
    return sha256(b"[" + encode_record(key) + b"," + value + b"]").digest()


def total(digests: list[bytes]) -> int:
    """The state hash of pieces with these digests, as an integer."""
    return sum(int.from_bytes(one, "big") for one in digests) % MODULUS


def state_hash(pieces: dict[str, Piece]) -> bytes:
    """The state hash of a whole state: 32 bytes, big-endian."""
    return total([digest(key, text(piece)) for key, piece in pieces.items()]).to_bytes(32, "big")
