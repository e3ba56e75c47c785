"""Limits: what a task, a user and a project may have at most, and when more could fit. Pure.

A user's or a project's own limits override everybody's, one by one.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Iterable, Iterator

import msgspec

from .facts import NO_CAP, Cap, Record, cpus_in, gpus_in
from .fit import wanted_cpus
from .piece import AllocationPiece
from .request import AllocateRequest
from .spent import HOUR_US, SECOND_US, counted, project_key, since, task_key, user_key
from .state import State
from .tally import NOTHING, Tally

HOUR_S = 3_600


class Wish(Record, frozen=True):
    """What is asked for, as limits see it, by whom; `lease` in seconds."""

    owner: str
    user: str
    project: str | None
    request: AllocateRequest
    lease: int | None

    @property
    def gpus(self) -> int:
        """How many GPUs in all."""
        return self.request.asked.gpus


class Breach(Record, frozen=True):
    """A limit that a request would break.

    `scope` is `task`, `user` or `project`, and `who` its name; `what` is `gpus`, `cpus`,
    `gpu_hours` or `lease`, of which `used` and `asked` together are above `allowed`: counts,
    or seconds (GPU-seconds in the last `window` seconds). `free_at` is when it could fit
    (microseconds UTC), where that is known.
    """

    scope: str
    who: str
    what: str
    allowed: int
    used: int
    asked: int
    window: int | None = None
    free_at: int | None = None

    @property
    def passes(self) -> bool:
        """Whether waiting mends it."""
        return self.what != "lease" and self.asked <= self.allowed


def cap_of_user(state: State, owner: str) -> Cap:
    """What the user with this identity may have at most."""
    pool = state.pool
    own = next((one.cap for one in pool.members if one.id == owner), None) if pool.members else None
    return _merged(own, pool.limits.user)


def cap_of_project(state: State, name: str) -> Cap:
    """What the project of this name may have at most."""
    pool = state.pool
    own = next((one.cap for one in pool.projects if one.name == name), None)
    return _merged(own, pool.limits.project)


def _merged(own: Cap | None, general: Cap) -> Cap:
    if own is None or own == NO_CAP:
        return general
    if general == NO_CAP:
        return own
    names = Cap.__struct_fields__
    firsts = {name: getattr(own, name) for name in names if getattr(own, name) is not None}
    return msgspec.structs.replace(general, **firsts)


class Scope(msgspec.Struct, frozen=True):
    """One scope's limits for one request: whose, the cap, what is held under it, the key of
    what ended, and the allocations themselves, looked up only where they are needed.
    """

    name: str
    who: str
    cap: Cap
    tally: Tally
    spent: str
    running: Callable[[], tuple[AllocationPiece, ...]]


def scopes(state: State, owner: str, user: str, task: str, project: str | None) -> Iterator[Scope]:
    """The scopes in which something is limited: task, user, project."""
    limits = state.pool.limits
    if limits.task != NO_CAP:
        same = _pieces(state, state.named(owner, task))
        held_so = Tally(same) if same else NOTHING
        yield Scope("task", task, limits.task, held_so, task_key(owner, task), lambda: same)
    cap = cap_of_user(state, owner)
    if cap != NO_CAP:
        key, tallies = user_key(owner), state.docket.tallies
        yield Scope(
            "user", user, cap, tallies.of(key), key,
            lambda: _pieces(state, (number for _, number in state.tasks(owner))),
        )  # fmt: skip
    cap = NO_CAP if project is None else cap_of_project(state, project)
    if project is not None and cap != NO_CAP:
        key, tallies, named = project_key(project), state.docket.tallies, state.docket.projects
        yield Scope(
            "project", project, cap, tallies.of(key), key,
            lambda: _pieces(state, (one for one, name in named.items() if name == project)),
        )  # fmt: skip


def _pieces(state: State, ids: Iterable[int]) -> tuple[AllocationPiece, ...]:
    pieces = (state.allocation(number) for number in ids)
    return tuple(piece for piece in pieces if piece is not None)


def given_lease(state: State, owner: str, project: str | None, asked: int | None) -> int | None:
    """The lease that a request gets, in seconds: as asked, else the default, else the longest."""
    if asked is not None or not state.pool.limited:
        return asked
    caps = _caps(state, owner, project)
    default = next((cap.default_lease for cap in caps if cap.default_lease is not None), None)
    most = longest_lease(state, owner, project)
    return min((one for one in (default, most) if one is not None), default=None)


def longest_lease(state: State, owner: str, project: str | None) -> int | None:
    """The longest lease that any scope allows, in seconds."""
    leases = (cap.lease for cap in _caps(state, owner, project))
    return min((lease for lease in leases if lease is not None), default=None)


def _caps(state: State, owner: str, project: str | None) -> tuple[Cap, ...]:
    pool = state.pool
    user = cap_of_user(state, owner)
    if project is None:
        return user, pool.limits.task
    return user, cap_of_project(state, project), pool.limits.task


def breach(state: State, wish: Wish, now_us: int) -> Breach | None:
    """The first limit that the request would break; one that never mends before one that does.

    Of those that never mend and are of one kind, the tightest. `free_at` is for all that mend.
    """
    pool, task = state.pool, wish.request.asked.task
    found: list[Breach] = []
    most = pool.limits.gpus_per_task
    if most is not None and wish.gpus > most:
        found.append(Breach("task", task, "gpus", most, 0, wish.gpus))
    if pool.limited:
        if not pool.takes(wish.project):  # taken away while somebody waits for it
            found.append(Breach("project", wish.project or "", "gpus", 0, 0, wish.gpus))
        for scope in scopes(state, wish.owner, wish.user, task, wish.project):
            found += _breaches(state, scope, wish, now_us)
    first = min(found, key=lambda one: one.passes, default=None)
    if first is None or not first.passes:
        return _tightest(first, found)
    ends = [one.free_at for one in found]
    known = [end for end in ends if end is not None]
    free_at = max(known) if len(known) == len(ends) else None
    return msgspec.structs.replace(first, free_at=free_at)


def _tightest(first: Breach | None, found: list[Breach]) -> Breach | None:
    """Of the breaches like the first, none of which mends, the one that allows least."""
    alike = [one for one in found if first is not None and one.what == first.what]
    never = [one for one in alike if not one.passes]
    return min(never or alike, key=lambda one: one.allowed, default=None)


def _breaches(state: State, scope: Scope, wish: Wish, now_us: int) -> list[Breach]:
    cap, used, found = scope.cap, scope.tally, list[Breach]()
    if cap.gpus is not None and used.gpus + wish.gpus > cap.gpus:
        found.append(_too_many(scope, "gpus", cap.gpus, used.gpus, wish.gpus))
    if cap.cpus is not None:
        cpus = wanted_cpus(state, wish.request)
        if used.cpus + cpus > cap.cpus:
            found.append(_too_many(scope, "cpus", cap.cpus, used.cpus, cpus))
    if cap.lease is not None and wish.lease is not None and wish.lease > cap.lease:
        found.append(Breach(scope.name, scope.who, "lease", cap.lease, 0, wish.lease))
    if cap.gpu_hours is not None:
        found += _hours(state, scope, cap.gpu_hours * HOUR_S, wish, now_us)
    return found


def _too_many(scope: Scope, what: str, allowed: int, used: int, asked: int) -> Breach:
    free_at = _room_at(scope.running(), what, used + asked - allowed)
    return Breach(scope.name, scope.who, what, allowed, used, asked, free_at=free_at)


def held(piece: AllocationPiece, what: str) -> int:
    """How many `gpus` or `cpus` an allocation holds."""
    return cpus_in(piece.servers) if what == "cpus" else gpus_in(piece.servers)


def _room_at(running: tuple[AllocationPiece, ...], what: str, lacking: int) -> int | None:
    """When leases will have ended that hold as many as are lacking; None where none tell."""
    for piece in sorted(running, key=lambda one: one.due or 0):
        if piece.due is None:
            continue
        lacking -= held(piece, what)
        if lacking <= 0:
            return piece.due
    return None


def used_s(state: State, scope: Scope, at_us: int) -> int:
    """GPU-seconds in the window that ends at `at_us`, running leases to their ends.

    Of what may have ended in a gap only the time before that counts.
    """
    first = at_us - counted(scope.cap) * SECOND_US
    spent = since(state.pieces.get(scope.spent), first)
    return (spent + scope.tally.gpu_us(first, at_us, scope.running)) // SECOND_US


def _hours(state: State, scope: Scope, allowed: int, wish: Wish, now_us: int) -> list[Breach]:
    asked, used = wish.gpus * (wish.lease or 0), used_s(state, scope, now_us)
    if used + asked <= allowed and used < allowed:
        return []

    def fits(used: int) -> bool:
        return used + asked <= allowed and used < allowed

    window, free_at = counted(scope.cap), None
    ends = [piece.counted or 0 for piece in scope.running()]
    if asked <= allowed and all(ends):  # without a lease nobody can tell
        last = max([now_us, *ends]) + window * SECOND_US
        hours = range(now_us // HOUR_US + 1, last // HOUR_US + 2)
        at = bisect(hours, False, key=lambda hour: fits(used_s(state, scope, hour * HOUR_US)))
        free_at = hours[at] * HOUR_US if at < len(hours) else None
    return [Breach(scope.name, scope.who, "gpu_hours", allowed, used, asked, window, free_at)]


def breach_of_extension(
    state: State, piece: AllocationPiece, until: int, now_us: int
) -> Breach | None:
    """The limit that a running allocation breaks if its lease ends at `until`; an admin's too."""
    left = -(-(until - now_us) // SECOND_US)
    found: list[Breach] = []
    for scope in scopes(state, piece.owner, piece.user, piece.task, piece.project):
        cap = scope.cap
        if cap.lease is not None and left > cap.lease:
            found.append(Breach(scope.name, scope.who, "lease", cap.lease, 0, left))
        if cap.gpu_hours is not None:
            used = used_s(state, scope, now_us)
            more = held(piece, "gpus") * (until - (piece.until or now_us)) // SECOND_US
            allowed, window = cap.gpu_hours * HOUR_S, counted(cap)
            if used + more > allowed:
                found.append(
                    Breach(scope.name, scope.who, "gpu_hours", allowed, used, more, window)
                )
    return _tightest(found[0] if found else None, found)
