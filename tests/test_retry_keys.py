"""Invariant 12: with a key, asking again is safe: the same answer, and no second event."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

import forging
from conftest import RunCli
from gpuledger.handle import Ledger
from gpuledger.hangup import HungUp
from gpuledger.ledger.errors import BrokenChain, KeyReused
from gpuledger.replay import request as requests
from gpuledger.replay.actor import Actor
from gpuledger.replay.errors import BadRequest, NoSuchTask, Refused
from gpuledger.replay.facts import Asked, Placed
from gpuledger.replay.request import AllocateRequest
from small_pools import ADA, BOB, ROOT, ledger, pool, server


@pytest.fixture
def book(ledger_path: Path) -> Iterator[Ledger]:
    with ledger(ledger_path) as made:
        yield made


def opened(path: Path) -> Ledger:
    return Ledger(str(path), actor=ROOT)


def test_the_same_answer_and_no_second_event(book: Ledger, ledger_path: Path) -> None:
    """The same key and request, from any handle and at any time, is the one event's own answer."""
    first = book.allocate("train", 2, 16, note="once", key="k")
    with opened(ledger_path) as other:
        again = other.allocate("train", 2, 16, note="once", key="k")
    assert (again.event, again.grant) == (first.event, first.grant)
    assert again.servers == first.servers
    assert book.head().seq == first.id


def test_the_answer_outlives_the_allocation(book: Ledger) -> None:
    """Also after the allocation ended, the pool changed and its GPUs went, the answer stays."""
    first = book.allocate("train", 2, key="k")
    first.release()
    book.pool_apply(pool(1, 1), remove=True)
    before = book.head()
    again = book.allocate("train", 2, key="k")
    assert again.event == first.event
    assert book.head() == before
    assert list(book.state().allocations()) == []


DIFFERENT: dict[str, Callable[[Ledger], Any]] = {
    "another task": lambda book: book.allocate("other", 2, 16, key="k"),
    "other GPUs": lambda book: book.allocate("train", 1, 16, key="k"),
    "other CPUs": lambda book: book.allocate("train", 2, 15, key="k"),
    "no CPUs": lambda book: book.allocate("train", 2, key="k"),
    "a place": lambda book: book.allocate("train", 2, 16, on=(Placed("s0"),), key="k"),
    "several servers": lambda book: book.allocate("train", 2, 16, servers=2, key="k"),
    "a project": lambda book: book.allocate("train", 2, 16, project="p", key="k"),
    "a note": lambda book: book.allocate("train", 2, 16, note="n", key="k"),
    "for somebody": lambda book: book.allocate("train", 2, 16, beneficiary=BOB, key="k"),
    "a release": lambda book: book.release("train", key="k"),
}


@pytest.mark.parametrize("what", DIFFERENT)
def test_the_same_key_for_another_request(what: str, book: Ledger) -> None:
    """A key that was used for another request is a conflict; it names the event and adds none."""
    first = book.allocate("train", 2, 16, key="k")
    with pytest.raises(KeyReused) as caught:
        DIFFERENT[what](book)
    assert (caught.value.key, caught.value.seq) == ("k", first.id)
    assert book.head().seq == first.id


ACTS: dict[str, Callable[[Ledger], Any]] = {
    "allocate": lambda book: book.allocate("t", 1, lease=60, key="k"),
    "extend": lambda book: book.extend("t", lease=60, key="k"),
    "release": lambda book: book.release("t", if_held=True, key="k"),
    "cancel": lambda book: book.cancel("t", if_waiting=True, key="k"),
}


@pytest.mark.parametrize(("first", "second"), [*permutations(ACTS, 2)])
def test_no_act_answers_for_another(first: str, second: str, book: Ledger) -> None:
    """A key that one command used is a conflict for any other, though it asks in the same words."""
    if first == "cancel":
        _waits(book)
    elif first != "allocate":
        book.allocate("t", 1, lease=60)
    ACTS[first](book)
    with pytest.raises(KeyReused) as caught:
        ACTS[second](book)
    assert caught.value.seq == book.head().seq


def _waits(book: Ledger) -> None:
    book.allocate("full", 8, servers=2)
    book._allocator.join(requests.allocate(Asked("t", 1)), book.actor)


def test_keys_are_each_actors_own(book: Ledger, ledger_path: Path) -> None:
    """Two actors may use the same key for different things."""
    first = book.allocate("train", 1, key="k")
    with Ledger(str(ledger_path), actor=ADA) as ada:
        second = ada.allocate("other", 2, key="k")
        assert ada.allocate("other", 2, key="k").id == second.id
    assert first.id != second.id


def test_a_release_may_carry_a_key(book: Ledger) -> None:
    """A release asked again with its key ends nothing more, and tells what it ended then."""
    first = book.allocate("train", 2)
    released = book.release("train", key="end")
    second = book.allocate("train", 1)
    again = book.release("train", key="end")
    assert (again.seq, again.end) == (released.seq, released.end)
    assert [grant.event.seq for grant in again.grants] == [first.id]
    assert [piece.id for piece in book.state().allocations()] == [second.id]


def test_a_refusal_binds_no_key(book: Ledger) -> None:
    """What was refused, or failed, may be asked again with the same key, as it is or otherwise."""
    held = book.allocate("held", 4, servers=1)
    book.allocate("more", 4)
    for _ in range(2):
        with pytest.raises(Refused):
            book.allocate("train", 4, key="k")
    with pytest.raises(NoSuchTask):
        book.release("nothing", key="k")
    assert book.release("nothing", if_held=True, key="k").grants == ()
    held.release()
    assert book.allocate("train", 3, key="k").task == "train"


@pytest.mark.parametrize("way", [HungUp, KeyboardInterrupt])
def test_whoever_hangs_up_finds_the_grant_again(
    book: Ledger, monkeypatch: pytest.MonkeyPatch, way: type[BaseException]
) -> None:
    """Cut off right after the grant, a wait under a key keeps it; at Ctrl-C it is given back."""
    blocking = book.allocate("all", 8, servers=2)
    serve = book._allocator.serve

    def served(request: AllocateRequest, actor: Actor, *, key: str | None) -> None:
        if serve(request, actor, key=key) is not None:
            raise way

    monkeypatch.setattr(book._allocator, "serve", served)
    with pytest.raises(way):
        book.allocate("train", 4, key="k", wait_s=60.0, told=lambda _number: blocking.release())
    running = [piece.task for piece in book.state().allocations()]
    assert running == (["train"] if way is HungUp else [])
    assert book.allocate("train", 4, key="k").task == "train"


def test_a_key_is_a_plain_text(book: Ledger) -> None:
    """A key has 1 to 200 characters, none of them a control character; composed, it is one key."""
    for bad in ("", "x" * 201, "a\nb", "\x1b[31m", "\ud800"):
        with pytest.raises(BadRequest):
            book.allocate("train", 1, key=bad)
    first = book.allocate("train", 1, key="é" + "x" * 199)
    assert book.allocate("train", 1, key="e\u0301" + "x" * 199).id == first.id


def test_many_ask_at_once_with_one_key(book: Ledger, ledger_path: Path) -> None:
    """Of many handles that ask the same at once with one key, all get one and the same event."""

    def ask(_: int) -> int:
        with opened(ledger_path) as other:
            return other.allocate("train", 1, key="k").id

    with ThreadPoolExecutor(8) as crowd:
        assert set(crowd.map(ask, range(24))) == {2}
    assert book.head().seq == 2


def test_the_index_of_keys_refuses_a_second(book: Ledger, ledger_path: Path) -> None:
    """The log itself refuses the same actor's key twice, and holds nulls without number."""
    book.allocate("a", 1, key="k")
    book.allocate("b", 1)
    book.allocate("c", 1)
    last = forging.rows(ledger_path)[-1]
    again = last._replace(seq=last.seq + 1, prev=last.hash, key="k").hashed()
    with forging.opened(ledger_path) as shell, pytest.raises(Exception, match="used this key"):
        forging.insert(shell, again)


def test_a_keyed_event_that_is_damaged(book: Ledger, ledger_path: Path) -> None:
    """A key whose event cannot be read is damage at its seq, not an answer and not a crash."""
    number = book.allocate("train", 1, key="k").id
    for _ in range(70):
        book.allocate("x", 1).release()
    with forging.unguarded(ledger_path) as shell:
        shell.execute("UPDATE events SET kind = CAST(x'ff' AS TEXT) WHERE seq = ?", (number,))
    with opened(ledger_path) as other, pytest.raises(BrokenChain) as caught:
        other.allocate("train", 1, key="k")
    assert caught.value.seq == number


def test_whole_commands(ledger_path: Path, run_cli: RunCli) -> None:
    """`--key` prints the same answer twice, and exits 5 with the seq where the request differs."""
    ledger(ledger_path, pool(2, 4, 32)).close()
    words = ("--ledger", ledger_path, "allocate", "train", "2", "--key", "k")
    first, second = run_cli(*words), run_cli(*words)
    assert (first.returncode, first.stdout) == (0, second.stdout)
    other = run_cli("--ledger", ledger_path, "allocate", "train", "3", "--key", "k")
    assert (other.returncode, "2" in other.stderr) == (5, True)
    assert len(forging.rows(ledger_path)) == 2


def test_a_key_after_the_servers_changed(book: Ledger) -> None:
    """The answer is made from the event alone: UUIDs are those of then, whatever is there now."""
    book.pool_apply(pool_with("GPU-a"))
    first = book.allocate("train", 1, on=(Placed("s0"),), key="k")
    first.release()
    book.pool_apply(pool_with("GPU-b"))
    again = book.allocate("train", 1, on=(Placed("s0"),), key="k")
    assert again.servers[0].uuids == ("GPU-a-0",)


def pool_with(stem: str) -> Any:  # noqa: ANN401 - a pool record
    made = pool()
    return type(made)((server("s0", uuids=stem), *made.servers[1:]), made.limits)


@pytest.mark.parametrize("form", ["--short", "--export"])
def test_no_script_uses_what_has_ended(ledger_path: Path, run_cli: RunCli, form: str) -> None:
    """The answer is the same, and says that it has ended; what a shell would use is refused."""
    run_cli("--ledger", ledger_path, "init", "--servers", "1")
    words = ("--ledger", ledger_path, "allocate", "train", "2", "--key", "k")
    first = run_cli(*words)
    assert (run_cli(*words, form).returncode, first.stderr) == (0, "")
    with opened(ledger_path) as book:
        assert book.allocate("train", 2, key="k").runs
    run_cli("--ledger", ledger_path, "release", "train")
    again = run_cli(*words)
    assert (again.returncode, again.stdout) == (0, first.stdout)
    assert "@2 has ended since" in again.stderr
    refused = run_cli(*words, form)
    assert (refused.returncode, refused.stdout) == (5, "")
    assert "has ended" in refused.stderr
