"""The foreign verifier is no yes-man: it finds what was changed, and every broken encoder."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

import forging
from foreign import foreign, named, script
from forging import Raw
from gpuledger import BrokenChain
from gpuledger.handle import Ledger, init
from gpuledger.ledger import canonical, chain
from lively_team import BEGINS
from small_pools import ADA, ROOT, pool


@pytest.fixture
def team(ledger_path: Path) -> Ledger:
    """A small ledger with a few events in it, two of them grants with a note."""
    init(ledger_path, pool(), at=BEGINS, actor=ROOT)
    ledger = Ledger(str(ledger_path), actor=ADA)
    ledger.allocate("one", 2, 16, note="für Zoë — 2×", key="k-1")
    ledger.allocate("two", 1, 4)
    ledger.release("one")
    ledger.allocate("three", 4, project="ß")
    return ledger


EDITS = {
    "at": "at + 1",
    "kind": "'allocation.released'",
    "version": "version + 1",
    "actor": "'uid:1002'",
    "key": "'k-2'",
    "data": "replace(data, '\"cpus\":4', '\"cpus\":5')",
    "prev": "zeroblob(32)",
    "hash": "zeroblob(32)",
}


@pytest.mark.parametrize("column", EDITS)
def test_an_edited_field_is_found(team: Ledger, ledger_path: Path, column: str) -> None:
    """It names the event in which a field was changed, whichever it is."""
    with forging.unguarded(ledger_path) as connection:
        connection.execute(f"UPDATE events SET {column} = {EDITS[column]} WHERE seq = 3")
    code, found = foreign(ledger_path)
    assert code == 1
    assert min(named(found["wrong"])) == 3


def test_a_hole_is_found(team: Ledger, ledger_path: Path) -> None:
    """It names the first event behind a hole."""
    with forging.unguarded(ledger_path) as connection:
        connection.execute("DELETE FROM events WHERE seq = 3")
    code, found = foreign(ledger_path)
    assert (code, min(named(found["wrong"]))) == (1, 4)


def test_swapped_rows_are_found(team: Ledger, ledger_path: Path) -> None:
    """It names the first of two rows that were put in each other's place."""
    with forging.unguarded(ledger_path) as connection:
        for before, after in ((3, 99), (4, 3), (99, 4)):
            connection.execute("UPDATE events SET seq = ? WHERE seq = ?", (after, before))
    code, found = foreign(ledger_path)
    assert (code, min(named(found["wrong"]))) == (1, 3)


@pytest.mark.parametrize("data", ['{"n":1.5}', '{"n":1e3}', '{"n":9007199254740992}', '{"n":NaN}'])
def test_numbers_that_are_no_integers_are_found(team: Ledger, ledger_path: Path, data: str) -> None:
    """A float, or an integer that not every reader keeps, is no canonical JSON though it hashes."""
    last = forging.rows(ledger_path)[-1]
    row = Raw(last.seq + 1, last.at, "request.refused", 1, "uid:0", None, data, last.hash, b"")
    with forging.opened(ledger_path) as connection:
        forging.insert(connection, row.hashed())
    code, found = foreign(ledger_path)
    assert (code, named(found["wrong"])) == (1, {6})
    assert not team.verify().ok


def by_json(**how: object) -> Callable[[object], bytes]:
    """An encoder by the standard library, with the given differences."""
    right: dict[str, Any] = {"sort_keys": True, "separators": (",", ":"), "ensure_ascii": False}
    return lambda value: json.dumps(msgspec.to_builtins(value), **{**right, **how}).encode()


def backwards(value: object) -> bytes:
    """An encoder that sorts keys the other way round."""

    def turned(inner: object) -> object:
        if isinstance(inner, dict):
            return {key: turned(inner[key]) for key in sorted(inner, reverse=True)}
        return [turned(one) for one in inner] if isinstance(inner, list) else inner

    return by_json(sort_keys=False)(turned(msgspec.to_builtins(value)))


BROKEN = {
    "keys not sorted": backwards,
    "spaces": by_json(separators=(", ", ": ")),
    "escapes": by_json(ensure_ascii=True),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_writer_is_found(
    team: Ledger, ledger_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Where the writer's encoder spells an event otherwise, `verify` and the script name it."""
    with monkeypatch.context() as patched:
        patched.setattr(canonical, "_encode", BROKEN[how])
        assert team.allocate("four", 1, note="ß").id == 6
    code, found = foreign(ledger_path)
    assert (code, named(found["wrong"])) == (1, {6})
    assert (6, "canonical") in {(one.seq, one.what) for one in team.verify().problems}


def capitals(*event: Any) -> bytes:  # noqa: ANN401 - the eight fields
    """The link before in upper-case hex."""
    link = event[-1].hex().encode()
    return canonical.event_bytes(*event).replace(link, link.upper())


def quoted(*event: Any) -> bytes:  # noqa: ANN401 - the eight fields
    """The data as a string and not as a value."""
    return canonical.event_bytes(*event[:6], canonical.encode(event[6].decode()), event[7])


WRONG_BYTES: dict[str, Callable[..., bytes]] = {
    "upper-case hex": capitals,
    "data as a string": quoted,
    "no version": lambda *event: canonical.event_bytes(*event).replace(b"[1,", b"[", 1),
    "no key": lambda *event: canonical.event_bytes(*event).replace(b",null,", b",", 1),
}


@pytest.mark.parametrize("how", WRONG_BYTES)
def test_other_bytes_under_the_hash_are_found(
    team: Ledger, ledger_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Where the writer hashes other bytes than FORMAT.md says, `verify` and the script name it."""
    with monkeypatch.context() as patched:
        patched.setattr(chain, "event_bytes", WRONG_BYTES[how])
        assert team.allocate("four", 1).id == 6
    code, found = foreign(ledger_path)
    assert (code, named(found["wrong"])) == (1, {6})
    assert (6, "hash") in {(one.seq, one.what) for one in team.verify().problems}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_verifier_is_found(team: Ledger, ledger_path: Path, how: str) -> None:
    """The script itself fails on a sound ledger once its encoder is broken: it is no yes-man."""
    module = script()
    assert module.verify(str(ledger_path), [])["wrong"] == []
    module.canonical = BROKEN[how]
    assert module.verify(str(ledger_path), [])["wrong"]


def test_a_field_that_no_kind_has_is_found(team: Ledger, ledger_path: Path) -> None:
    """An event with a field that its version lacks is not known: folding stops, verify names it."""
    said = {"act": "allocate", "by": {"user": "root"}, "reason": "never", "user": "root"}
    assert forging.append(ledger_path, "request.refused", said) == 6
    assert team.verify().ok
    forging.append(ledger_path, "request.refused", {**said, "lease": 60})
    assert (7, "broken_chain") in {(one.seq, one.what) for one in team.verify().problems}
    with pytest.raises(BrokenChain):
        team.state()
