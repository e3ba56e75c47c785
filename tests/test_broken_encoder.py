"""The verifier shares no encoder with the writer: a writer that spells wrongly is found by it.

The writer stays broken while it is verified, in the same process, so that whatever the two
had in common would hide the fault.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest

from conftest import RunCli
from gpuledger.handle import Ledger
from gpuledger.ledger import canonical, chain
from small_pools import ledger, pool, server
from source_tree import sources

right_bytes = canonical.event_bytes


def spelling(**how: object) -> Callable[[object], bytes]:
    """An encoder by the standard library that differs from the right one in something."""
    right: dict[str, Any] = {"sort_keys": True, "separators": (",", ":"), "ensure_ascii": False}
    return lambda value: json.dumps(msgspec.to_builtins(value), **{**right, **how}).encode()


def unsorted(value: object) -> bytes:
    """Keys in the order in which a record has them."""
    return spelling(sort_keys=False)(value)


def slashes(value: object) -> bytes:
    """An escape more than is needed, as some encoders write it."""
    return spelling()(value).replace(b"/", b"\\/")


SPELLINGS: dict[str, Callable[[object], bytes]] = {
    "keys as they come": unsorted,
    "spaces": spelling(separators=(", ", ": ")),
    "letters escaped": spelling(ensure_ascii=True),
    "slashes escaped": slashes,
    "a line's end": lambda value: spelling()(value) + b"\n",
}

HASHED: dict[str, Callable[..., bytes]] = {
    "no tag": lambda *event: right_bytes(*event).replace(b"[1,", b"[", 1),
    "no seq": lambda *event: right_bytes(0, *event[1:]),
    "no time": lambda *event: right_bytes(event[0], 0, *event[2:]),
    "no kind": lambda *event: right_bytes(*event[:2], "", *event[3:]),
    "no version": lambda *event: right_bytes(*event[:3], 0, *event[4:]),
    "no actor": lambda *event: right_bytes(*event[:4], "", *event[5:]),
    "no key": lambda *event: right_bytes(*event[:5], None, *event[6:]),
    "no data": lambda *event: right_bytes(*event[:6], b"{}", event[7]),
    "no link": lambda *event: right_bytes(*event[:7], bytes(32)),
    "data quoted": lambda *event: right_bytes(
        *event[:6], json.dumps(event[6].decode()).encode(), event[7]
    ),
}


@contextmanager
def broken(module: object, name: str, by: object) -> Iterator[None]:
    """The writer with one of its functions replaced."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, name, by)
        yield


def written(book: Ledger) -> int:
    """An event with a key, letters beyond ASCII and a slash; its seq."""
    return book.allocate("größe", 2, 16, note="a/b — 2×", key="k").id


@pytest.mark.parametrize("how", SPELLINGS)
def test_a_writer_that_spells_otherwise(how: str, ledger_path: Path) -> None:
    """Data that is not canonical is named by its seq, while the writer is none the wiser."""
    with ledger(ledger_path) as book:
        book.allocate("before", 1)
        with broken(canonical, "_encode", SPELLINGS[how]):
            seq = written(book)
            found = {(one.seq, one.what) for one in book.verify().problems}
            assert book.state().seq == seq
        assert (seq, "canonical") in found
        assert {one for one in found if one[0] is not None and one[0] < seq} == set()


@pytest.mark.parametrize("how", HASHED)
def test_a_writer_that_hashes_otherwise(how: str, ledger_path: Path) -> None:
    """Whichever field a hash leaves out or takes otherwise, the verifier's own hash differs."""
    with ledger(ledger_path) as book:
        book.allocate("before", 1)
        with broken(chain, "event_bytes", HASHED[how]):
            seq = written(book)
            problems = [(one.seq, one.what) for one in book.verify().problems]
            assert book.state().seq == seq
        assert problems == [(seq, "hash")]


@pytest.mark.parametrize("tag", [b"", b"\1"], ids=["none", "another"])
def test_a_writer_with_another_tag(tag: bytes, ledger_path: Path) -> None:
    """The zero byte before the hashed bytes is part of the format."""

    class Tagged:
        """SHA-256 that takes the writer's first byte for another."""

        def __init__(self, raw: bytes) -> None:
            self.digest = sha256(tag + raw[1:]).digest

    with ledger(ledger_path) as book, broken(chain, "sha256", Tagged):
        seq = written(book)
        problems = [(one.seq, one.what) for one in book.verify().problems]
    assert problems == [(seq, "hash")]


def test_a_ledger_that_was_never_right(ledger_path: Path, run_cli: RunCli) -> None:
    """Broken from its first event on, a ledger agrees with itself; verify exits 1 and names 1."""
    with broken(chain, "event_bytes", HASHED["no time"]), ledger(ledger_path) as book:
        written(book)
        assert book.rebuild().matches
        assert book.state().seq == 2
        assert {one.seq for one in book.verify().problems if one.what == "hash"} == {1, 2}
    answer = run_cli("--ledger", ledger_path, "audit", "verify", "--json")
    assert answer.returncode == 1
    assert json.loads(answer.stdout)["problems"][0]["seq"] == 1


@pytest.mark.parametrize(
    ("how", "names"),
    [("letters escaped", ("piece", "holdings", "capacity")), ("spaces", ("snapshot",))],
)
def test_a_store_that_is_spelled_otherwise(
    how: str, names: tuple[str, ...], ledger_path: Path
) -> None:
    """Pieces, rows of the projections and a header that are not canonical are named."""
    with ledger(ledger_path) as book:
        book.pool_apply(pool(1))
        book.pool_apply(type(pool())((server("größe"),)), remove=True)
        written(book)
        book.release("größe", reason="für Zoë")
        with broken(canonical, "_encode", SPELLINGS[how]):
            book.rebuild()
            found = {one.what for one in book.verify().problems}
        assert found >= set(names)
        book.rebuild()
        assert book.verify().problems == ()


def test_the_verifier_imports_nothing_of_the_writers() -> None:
    """No module of the verifier imports the writer's encoder, chain or stores' encoders."""
    checked = "gpuledger.replay.checked_"
    imported = {
        f"{node.module}.{name.name}"
        for source in sources()
        if source.module == "gpuledger.replay.verification" or source.module.startswith(checked)
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ImportFrom)
        for name in node.names
    }
    words = {word for one in imported for word in one.split(".")}
    writers = "chain encode encode_record state_hash digest read_header load"
    assert words.isdisjoint(writers.split())
    assert not any(one.startswith("ledger.canonical") for one in imported)
