"""Limits: what is counted for whom, what a refusal tells, and when it says that more could fit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from chosen_times import Clock, as_actor, ledger_from, us
from gpuledger.cli.exit import exit_code
from gpuledger.handle import Ledger
from gpuledger.replay import request as requests
from gpuledger.replay.batch import Recorded
from gpuledger.replay.errors import NoSuchProject, Refused
from gpuledger.replay.facts import Asked, Cap, Limits, Member, Pool, Project
from gpuledger.replay.limit import Breach
from small_pools import ADA, BOB, ROOT, pool

NOON = "2026-03-02T12:00:00"
HOUR_S, DAY_S = 3_600, 86_400


@pytest.fixture
def clock() -> Clock:
    return Clock(NOON)


def limited(path: Path, clock: Clock, **parts: Any) -> Ledger:  # noqa: ANN401 - fields of Pool
    """A ledger of two servers with four GPUs and 32 CPUs each, used by ada."""
    whole = Pool(pool().servers, **parts)
    ledger_from(path, whole, clock).close()
    return as_actor(path, clock, ADA)


def broken(book: Ledger, task: str, gpus: int, cpus: int | None = None, **more: Any) -> Breach:  # noqa: ANN401
    """The limit that an allocate breaks."""
    with pytest.raises(Refused) as caught:
        book.allocate(task, gpus, cpus, **more)
    assert caught.value.reason == "limit"
    breach = caught.value.facts["breach"]
    assert isinstance(breach, Breach)
    assert exit_code(caught.value) == (4 if breach.passes else 2)
    return breach


def test_gpus_at_once_are_counted_for_each_user(ledger_path: Path, clock: Clock) -> None:
    """What a user holds and asks for together counts, whatever others hold."""
    with limited(ledger_path, clock, limits=Limits(user=Cap(gpus=3))) as book:
        book.allocate("a", 2, lease=HOUR_S)
        found = broken(book, "b", 2)
        assert (found.scope, found.who, found.what) == ("user", "ada", "gpus")
        assert (found.allowed, found.used, found.asked) == (3, 2, 2)
        assert found.free_at == us("2026-03-02T13:00:00")
        assert not broken(book, "b", 4).passes
        as_actor(ledger_path, clock, BOB).allocate("b", 3)
        clock.to("2026-03-02T13:00:00")
        book.allocate("b", 2)


def test_cpus_count_as_they_are_given(ledger_path: Path, clock: Clock) -> None:
    """CPUs that go with GPUs without being asked for count as well."""
    with limited(ledger_path, clock, limits=Limits(user=Cap(cpus=20))) as book:
        book.allocate("a", 1, 8)
        found = broken(book, "b", 2)
        assert (found.what, found.used, found.asked) == ("cpus", 8, 16)
        assert found.free_at is None
        book.allocate("b", 2, 12)


def test_a_projects_limit_counts_all_its_users(ledger_path: Path, clock: Clock) -> None:
    """Everybody's allocations for it together; its own limit overrides the one for all projects."""
    projects = (Project("vision", cap=Cap(gpus=5)), Project("nlp"))
    caps = Limits(project=Cap(gpus=3, cpus=60))
    with limited(ledger_path, clock, limits=caps, projects=projects) as book:
        as_actor(ledger_path, clock, BOB).allocate("a", 3, project="vision")
        book.allocate("a", 2, project="vision")
        found = broken(book, "b", 1, project="vision")
        assert (found.scope, found.who, found.allowed, found.used) == ("project", "vision", 5, 5)
        assert broken(book, "b", 4, project="nlp").allowed == 3


def test_a_user_may_have_limits_of_his_own(ledger_path: Path, clock: Clock) -> None:
    """They override everybody's one by one, and his default project is the one that counts."""
    member = Member("ada", "uid:1001", "vision", Cap(gpus=6))
    caps = Limits(user=Cap(gpus=2, lease=HOUR_S))
    projects = (Project("vision"),)
    with limited(ledger_path, clock, limits=caps, members=(member,), projects=projects) as book:
        made = book.allocate("a", 4)
        assert (made.grant.project, made.grant.lease) == ("vision", HOUR_S)
        assert broken(book, "b", 1, lease=DAY_S).what == "lease"
        bob = as_actor(ledger_path, clock, BOB)
        assert bob.allocate("a", 2).grant.project is None
        assert broken(bob, "b", 1).allowed == 2


def test_a_typing_error_is_no_new_project(ledger_path: Path, clock: Clock) -> None:
    """Where the pool lists its projects there are no others, and nothing is recorded."""
    with limited(ledger_path, clock, projects=(Project("vision"),)) as book:
        with pytest.raises(NoSuchProject) as caught:
            book.allocate("a", 1, project="visoin")
        assert caught.value.known == ("vision",)
        assert book.head().seq == 1


def test_one_task_may_be_bounded(ledger_path: Path, clock: Clock) -> None:
    """GPUs, CPUs and lease of one allocation."""
    caps = Limits(4, task=Cap(gpus=3, cpus=24, lease=DAY_S))
    with limited(ledger_path, clock, limits=caps) as book:
        for gpus, cpus, lease, what in (
            (4, 8, None, "gpus"),
            (2, 25, None, "cpus"),
            (2, 8, DAY_S + 1, "lease"),
        ):
            found = broken(book, "a", gpus, cpus, lease=lease)
            assert (found.scope, found.what, found.passes) == ("task", what, False)
        assert book.allocate("a", 3).grant.lease == DAY_S


def test_gpu_hours_in_a_window(ledger_path: Path, clock: Clock) -> None:
    """What was used, what leases still promise, and what is asked for; told when it could fit."""
    caps = Limits(user=Cap(gpu_hours=10, window=DAY_S))
    with limited(ledger_path, clock, limits=caps) as book:
        book.allocate("a", 2, lease=2 * HOUR_S)
        clock.to("2026-03-02T13:00:00")
        found = broken(book, "b", 4, lease=2 * HOUR_S)
        assert (found.used, found.asked, found.allowed) == (4 * HOUR_S, 8 * HOUR_S, 10 * HOUR_S)
        assert (found.window, found.free_at) == (DAY_S, us("2026-03-03T13:00:00"))
        book.release("a")
        book.allocate("b", 4, lease=2 * HOUR_S)
        assert broken(book, "c", 1, lease=HOUR_S).used == 10 * HOUR_S
        clock.to("2026-03-03T16:00:00")
        book.allocate("c", 4, lease=2 * HOUR_S)


def test_it_could_fit_where_no_limit_is_in_the_way_any_more(
    ledger_path: Path, clock: Clock
) -> None:
    """Of several limits the last that passes counts, and none where one of them nobody knows."""
    caps = Limits(user=Cap(gpus=10, gpu_hours=100, window=2 * DAY_S))
    whole = Pool(pool(4).servers, caps)
    ledger_from(ledger_path, whole, clock).close()
    with as_actor(ledger_path, clock, ADA) as book:
        book.allocate("b", 4, lease=20 * HOUR_S)
        book.allocate("a", 6, lease=3 * HOUR_S, servers=2)
        found = broken(book, "c", 1, 1, lease=20 * HOUR_S)
        assert (found.what, found.free_at) == ("gpus", us("2026-03-04T14:00:00"))
        clock.to("2026-03-04T14:00:00")
        book.allocate("c", 1, 1, lease=20 * HOUR_S)
        book.allocate("d", 9, 9, servers=3)
        assert broken(book, "e", 1, 1, lease=DAY_S).free_at is None


def test_the_tightest_limit_is_told(ledger_path: Path, clock: Clock) -> None:
    """Where task, user and project each are bounded, what is told may really be asked for."""
    caps = Limits(4, Cap(lease=2 * DAY_S), Cap(gpus=3, lease=DAY_S), Cap(gpus=2, lease=DAY_S // 2))
    with limited(ledger_path, clock, limits=caps) as book:
        found = broken(book, "a", 1, lease=3 * DAY_S, project="vision")
        assert (found.scope, found.allowed) == ("project", DAY_S // 2)
        found = broken(book, "a", 6, project="vision", servers=2)
        assert (found.scope, found.allowed) == ("project", 2)
        assert broken(book, "a", 4, 4).allowed == 3


def test_what_is_used_up_lets_nothing_more_begin(ledger_path: Path, clock: Clock) -> None:
    """Without leases nothing is promised: when the hours are gone the next allocate is refused."""
    caps = Limits(project=Cap(gpu_hours=4, window=DAY_S))
    with limited(ledger_path, clock, limits=caps) as book:
        book.allocate("a", 2, project="vision")
        clock.to("2026-03-02T13:30:00")
        book.allocate("b", 1, project="vision")
        clock.to("2026-03-02T15:00:00")
        found = broken(book, "c", 1, project="vision")
        assert (found.who, found.free_at) == ("vision", None)
        book.allocate("c", 1)


def test_an_extension_meets_the_limits_too(ledger_path: Path, clock: Clock) -> None:
    """At most the longest lease is left after it, and its GPU-hours count as if asked for anew."""
    caps = Limits(task=Cap(lease=4 * HOUR_S), user=Cap(gpu_hours=12))
    with limited(ledger_path, clock, limits=caps) as book:
        book.allocate("a", 2, lease=3 * HOUR_S)
        with pytest.raises(Refused) as caught:
            book.extend("a", lease=2 * HOUR_S)
        assert caught.value.facts["breach"].what == "lease"
        clock.to("2026-03-02T13:00:00")
        book.extend("a", lease=2 * HOUR_S)
        clock.to("2026-03-02T16:30:00")
        with pytest.raises(Refused) as caught:
            book.extend("a", lease=2 * HOUR_S)
        assert caught.value.facts["breach"].what == "gpu_hours"


def test_a_tasks_own_hours_are_counted_in_each_extension(ledger_path: Path, clock: Clock) -> None:
    """What a task uses and has been promised counts, so that many short extensions are as one."""
    with limited(ledger_path, clock, limits=Limits(task=Cap(gpu_hours=4))) as book:
        book.allocate("a", 2, lease=HOUR_S)
        book.extend("a", lease=HOUR_S)
        with pytest.raises(Refused) as caught:
            book.extend("a", lease=1)
        breach = caught.value.facts["breach"]
        assert (breach.scope, breach.used, breach.asked) == ("task", 4 * HOUR_S, 2)


@pytest.mark.parametrize("scope", ["user", "project"])
def test_extensions_in_one_act_are_counted_together(
    ledger_path: Path, clock: Clock, scope: str
) -> None:
    """Two tasks that fit one by one, and not both, are not extended together."""
    caps = Limits(**{scope: Cap(gpu_hours=5)})
    with limited(ledger_path, clock, limits=caps) as book:
        for task in ("a", "b"):
            book.allocate(task, 2, lease=HOUR_S, project="vision")
        with pytest.raises(Refused) as caught:
            book.extend("a", "b", lease=1_800)
        assert caught.value.facts["breach"].used == 5 * HOUR_S
        book.extend("a", lease=1_800)


def test_how_far_a_lease_may_be_extended_is_told(ledger_path: Path, clock: Clock) -> None:
    """The most that all named tasks may have together; by that they can be extended, no further."""
    caps = Limits(task=Cap(lease=7 * DAY_S), user=Cap(gpu_hours=400))
    with limited(ledger_path, clock, limits=caps) as book:
        book.allocate("a", 1, lease=2 * DAY_S)
        assert most(book, "a", lease=6 * DAY_S) == 5 * DAY_S
        book.allocate("b", 2, lease=DAY_S)
        assert most(book, "a", "b", lease=6 * DAY_S) == (400 - 96) * HOUR_S // 3
        book.extend("a", "b", lease=(400 - 96) * HOUR_S // 3)
        assert most(book, "a", lease=HOUR_S) == 0


def most(book: Ledger, *tasks: str, lease: int) -> int | None:
    """The longest extension that is told where a longer one is refused."""
    with pytest.raises(Refused) as caught:
        book.extend(*tasks, lease=lease)
    told = caught.value.facts["most"]
    assert told is None or isinstance(told, int)
    return told


def test_admins_are_bound_as_well(ledger_path: Path, clock: Clock) -> None:
    """A limit is of the pool: root changes the pool where it is to be another."""
    with limited(ledger_path, clock, limits=Limits(user=Cap(gpus=2))) as book:
        root = as_actor(ledger_path, clock, ROOT)
        assert broken(root, "a", 3).who == "root"
        assert broken(root, "a", 3, beneficiary=ADA).who == "ada"
        book.allocate("a", 2)


def test_a_limit_of_ones_own_holds_up_nobody_else(ledger_path: Path, clock: Clock) -> None:
    """Who waits for his own limit is passed by those behind him."""
    with limited(ledger_path, clock, limits=Limits(user=Cap(gpus=2))) as book:
        book.allocate("a", 2)
        book._allocator.join(requests.allocate(Asked("b", 2)), ADA)
        assert [one.reason for one in book.queue()[1]] == ["limit"]
        as_actor(ledger_path, clock, BOB).allocate("a", 2)
        book.release("a")
        assert [one.reason for one in book.queue()[1]] == ["next"]


def test_who_waits_keeps_the_project_he_came_with(ledger_path: Path, clock: Clock) -> None:
    """Another one as the user's own changes nothing for him, as long as the pool has his."""
    first, second = (
        Pool(pool().servers, projects=(Project("old"), Project("new")), members=(one,))
        for one in (Member("ada", ADA.identity, "old"), Member("ada", ADA.identity, "new"))
    )
    book, served = waits(ledger_path, clock, Asked("b", 2), first, second)
    granted = served()
    assert granted is not None
    assert granted.payload.project == "old"
    assert book.queue()[1] == []


def test_who_waits_for_a_project_that_is_gone_is_not_served(
    ledger_path: Path, clock: Clock
) -> None:
    """He is told that the pool has it no more, as if he came new; in the queue it is never."""
    first, second = (Pool(pool().servers, projects=(Project(name),)) for name in ("old", "new"))
    book, served = waits(ledger_path, clock, Asked("b", 2, project="old"), first, second)
    with pytest.raises(NoSuchProject) as caught:
        served()
    assert (caught.value.project, caught.value.known) == ("old", ("new",))
    assert [one.reason for one in book.queue()[1]] == ["never"]


def test_who_waits_has_the_place_that_his_project_has_now(ledger_path: Path, clock: Clock) -> None:
    """A change of priorities moves those who wait, and back, and a replay finds the same line."""
    plain = Pool(pool().servers, projects=(Project("p"), Project("q")))
    ledger_from(ledger_path, plain, clock).close()
    with as_actor(ledger_path, clock, ADA) as book, as_actor(ledger_path, clock, ROOT) as root:
        root.allocate("all", 8, servers=2)
        for task, project in (("a", None), ("b", "p"), ("c", "q")):
            book._allocator.join(requests.allocate(Asked(task, 2, project=project)), ADA)
        for q, p, line in ((5, 0, "c a b"), (5, 9, "b c a"), (0, 0, "a b c")):
            root.pool_apply(Pool(pool().servers, projects=(Project("p", p), Project("q", q))))
            assert [one.piece.asked.task for one in book.queue()[1]] == line.split()
            assert root.rebuild().matches
        assert book.verify().problems == ()


def waits(
    path: Path, clock: Clock, asked: Asked, first: Pool, second: Pool
) -> tuple[Ledger, Callable[[], Recorded | None]]:
    """Ada waits under the first pool until there is room under the second; what serves her."""
    ledger_from(path, first, clock).close()
    book, root = as_actor(path, clock, ADA), as_actor(path, clock, ROOT)
    root.allocate("all", 8, servers=2)
    request = requests.allocate(asked)
    number = book._allocator.join(request, ADA).event.seq
    root.pool_apply(second)
    root.release("all")
    request = msgspec.structs.replace(request, waiting=number)
    return book, lambda: book._allocator.serve(request, ADA)
