"""FORMAT.md says what the code does: its tables, lists, statements and examples are compared."""

from __future__ import annotations

import json
import re
import sqlite3
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gpuledger.handle import init
from gpuledger.ledger import cloudevent, note
from gpuledger.ledger import format as layout
from gpuledger.ledger.event import Event
from gpuledger.replay import catalogue, facts, holding, piece
from gpuledger.replay.fold import FOLD_VERSION, VOID, fold
from gpuledger.replay.refusal import REASONS
from small_pools import ROOT, pool

DOCS = Path(__file__).resolve().parent.parent / "docs"
TEXT = (DOCS / "FORMAT.md").read_text(encoding="utf-8")
PARTS = [
    facts.By, facts.Pool, facts.Server, facts.Card, facts.Limits, facts.Cap, facts.Project,
    facts.Member, facts.Admins, facts.AdminUser, facts.AdminGroup, facts.Share, facts.Place,
    facts.Placed, facts.Process, facts.Tie, facts.Asked, facts.AskedExtend, facts.AskedRelease,
    facts.AskedChange, facts.Extension, facts.Gap, facts.Known,
    piece.PoolPiece, piece.ServerPiece, piece.AllocationPiece, piece.TasksPiece,
    piece.WaitingPiece, piece.Loss, piece.GapsPiece, piece.SpentPiece, piece.RefusalPiece,
    piece.MirrorPiece,
    holding.Holding, holding.Capacity,
]  # fmt: skip
RECORDS: dict[str, type[msgspec.Struct]] = {
    **{kind.KIND: kind for kind in catalogue.KINDS},
    **{part.__name__: part for part in PARTS},
}
TYPES = {"integer": int, "string": str, "boolean": bool}


def block(mark: str) -> str:
    """The code block that follows a mark such as `<!-- example: E 1 -->`."""
    found = re.search(
        rf"^<!-- {re.escape(mark)} -->\n```\w*\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL
    )
    assert found is not None, f"FORMAT.md has no block marked {mark}"
    return found[1].rstrip("\n")


def listed(mark: str) -> list[tuple[str, str]]:
    """Names and texts of the list that follows a mark."""
    found = re.search(rf"^<!-- list: {mark} -->\n((?:(?:-|\d+\.) .*\n)+)", TEXT, re.MULTILINE)
    assert found is not None
    return re.findall(r"^(?:-|\d+\.) `(\w+)`: (.*)$", found[1], re.MULTILINE)


def section(name: str) -> str:
    """What stands below the heading of a kind or a part."""
    found = re.search(rf"^### `{re.escape(name)}`\n(.*?)(?=^##|\Z)", TEXT, re.MULTILINE | re.DOTALL)
    assert found is not None, f"FORMAT.md does not tell of {name}"
    return found[1]


def fields(name: str) -> list[list[str]]:
    """The rows of the table of fields: name, type, when it is left out, meaning."""
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) \| (.*?) \|$", section(name), re.MULTILINE)
    return [list(row) for row in rows]


@pytest.mark.parametrize("name", RECORDS)
def test_every_field_of_every_kind_is_told(name: str) -> None:
    """Each kind and part has a table of exactly its fields, in their order, and of no others."""
    assert [row[0] for row in fields(name)] == list(RECORDS[name].__struct_fields__)


@pytest.mark.parametrize("name", RECORDS)
def test_what_may_be_left_out_is_told(name: str) -> None:
    """A dash in the column `left out` stands exactly where the record has no default."""
    optional = {one.name for one in msgspec.structs.fields(RECORDS[name]) if not one.required}
    assert {row[0] for row in fields(name) if row[2] != "–"} == optional


@pytest.mark.parametrize("name", RECORDS)
def test_types_are_told(name: str) -> None:
    """Integers, strings and booleans are called so; named parts and lists of them too."""
    for one, (_, told, _, _) in zip(
        msgspec.structs.fields(RECORDS[name]), fields(name), strict=True
    ):
        inner = str(one.type)
        for word, kind in TYPES.items():
            if told == word:
                assert one.type in (kind, kind | None), one.name
        if part := re.fullmatch(r"(?:list of )?`(\w+)`", told):
            assert f".{part[1]}" in inner, one.name
            assert told.startswith("list") == ("tuple" in inner), one.name


def test_every_record_is_told() -> None:
    """The parts are all records of the facts and the pieces, but for the base of them."""
    told = {part for part in PARTS if issubclass(part, facts.Record)}
    defined = {
        value
        for module in (facts, piece)
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, facts.Record)
    }
    assert defined - {facts.Record} <= told


def test_the_versions_are_told() -> None:
    """The list of kinds that are written in another version than 1 is `catalogue.VERSIONS`."""
    found = re.search(r"^<!-- list: versions -->\n((?:- .*\n)+)", TEXT, re.MULTILINE)
    assert found is not None
    told = re.findall(r"^- `([a-z.]+)`: (\d+)$", found[1], re.MULTILINE)
    assert {kind: int(version) for kind, version in told} == catalogue.VERSIONS


def test_the_fold_is_told() -> None:
    """The version of the rules that a snapshot names is the fold's."""
    assert f"(the version of the rules of §6, {FOLD_VERSION})" in TEXT


def test_no_kind_is_told_that_is_not() -> None:
    """Each heading of a kind or part is one of the catalogue's or the stores'."""
    assert set(re.findall(r"^### `(.*)`$", TEXT, re.MULTILINE)) == set(RECORDS)


def test_the_reasons_of_void_events_are_the_folds() -> None:
    """The list of what is void is `fold.VOID`, and each of its reasons has its conditions told."""
    assert dict(listed("void")) == VOID
    table = TEXT.partition("In full:")[2].partition("## 7")[0]
    assert set(re.findall(r"\(`(\w+)`\)", table)) == set(VOID)


def test_the_reasons_of_refusals_are_in_their_order() -> None:
    """The list of reasons is `refusal.REASONS`, in the order in which they count."""
    assert listed("reasons") == list(REASONS.items())


def test_the_statements_are_the_files(ledger_path: Path) -> None:
    """The SQL shown is what a ledger is made with, and what SQLite keeps of it."""
    init(ledger_path, pool(), actor=ROOT)
    shown = [one.strip() for one in block("sql: events").split(";") if one.strip()]
    assert shown == [layout.EVENTS_TABLE, layout.EVENTS_KEYS]
    triggers = re.findall(r"CREATE TRIGGER .*?END(?=;)", block("sql: triggers"), re.DOTALL)
    assert triggers == list(layout.TRIGGERS.values())
    connection = sqlite3.connect(f"{ledger_path.as_uri()}?mode=ro", uri=True)
    kept = {sql for (sql,) in connection.execute("SELECT sql FROM sqlite_schema")}
    connection.close()
    assert kept >= {*shown, *triggers}


def test_the_files_marks_are_told() -> None:
    """The application id and the format are those of the code."""
    assert f"`0x{layout.APPLICATION_ID:08X}`, the letters `GPUL`" in TEXT
    assert f"| `user_version` | `{layout.FORMAT}`" in TEXT


def test_the_lock_file_is_told_byte_by_byte() -> None:
    """Offsets and sizes follow on each other, and are those of `ledger/note.py`."""
    table = TEXT.partition("<!-- table: lock file -->")[2].partition("\n\n")[0]
    rows = [
        (int(at), int(size))
        for at, size in re.findall(r"^\| (\d+) \| (\d+) \|", table, re.MULTILINE)
    ]
    ends = [at + size for at, size in rows]
    assert [at for at, _ in rows] == [0, *ends[:-1]]
    assert (rows[2][0], sum(size for _, size in rows[2:6])) == (note.NOTE_AT, note.NOTE_SIZE)
    assert rows[6] == (note.HOLDER_AT, note.HOLDER_SIZE)
    assert ", ".join(note.Holder.__struct_fields__) == "pid, host, user, since_us"
    assert '{"pid":…,"host":…,"user":…,"since_us":…}' in TEXT


def example(number: int) -> Event:
    """The event of the worked example, taken apart from the bytes that FORMAT.md shows."""
    spelled = block(f"example: E {number}")
    version, seq, at, kind, kind_version, actor, key, data, prev = json.loads(spelled)
    assert version == 1
    text = spelled.partition(f",{json.dumps(key)},")[2].removesuffix(f',"{prev}"]')
    assert json.loads(text) == data
    digest = bytes.fromhex(block(f"example: hash {number}"))
    return Event(
        seq, at, kind, kind_version, actor, key, text.encode(), bytes.fromhex(prev), digest
    )


def test_the_worked_example_hashes_to_what_it_says() -> None:
    """Each hash shown is SHA-256 over a zero byte and the bytes shown, and they link."""
    link = "0" * 64
    for number in (1, 2, 3):
        spelled = block(f"example: E {number}")
        assert spelled.endswith(f',"{link}"]')
        link = sha256(b"\0" + spelled.encode()).hexdigest()
        assert block(f"example: hash {number}") == link


def test_the_worked_example_is_what_the_code_writes() -> None:
    """The example's events are canonical, link by the code's own check, and none is void."""
    from gpuledger.ledger.canonical import encode
    from gpuledger.ledger.chain import head_of, links
    from gpuledger.ledger.event import START

    pieces: dict[str, piece.Piece] = {}
    after = START
    for number in (1, 2, 3):
        event = example(number)
        assert links(event, after) is None
        assert encode(json.loads(event.data)) == event.data
        assert fold(pieces, event).void is None
        after = head_of(event)


def test_the_other_examples_are_of_the_second_event() -> None:
    """Note, exported line, piece and state hash are what the code makes of that event."""
    pieces: dict[str, piece.Piece] = {}
    first, event = example(1), example(2)
    fold(pieces, first)
    fold(pieces, event)
    ledger: str = json.loads(first.data)["ledger"]
    noted = note.Note(bytes.fromhex(ledger), event.seq, event.hash)
    assert block("example: note 2") == note.encode_note(noted).hex()
    line = block("example: line 2").encode()
    assert line == cloudevent.to_line(event, ledger)
    assert cloudevent.from_line(line) == event
    assert line.partition(b'"data":')[2].removesuffix(b"}") == event.data
    framed, digest = block("example: piece 2").split("\n")
    key = json.loads(framed)[0]
    assert framed == f"[{json.dumps(key)},{piece.text(pieces[key]).decode()}]"
    assert digest == sha256(framed.encode()).hexdigest()
    assert block("example: state hash 2") == piece.state_hash(pieces).hex()


def test_the_exported_lines_attributes_are_told() -> None:
    """The table of attributes has those of a line, in their order."""
    table = TEXT.partition("## 9.")[2].partition("\n\n`data`")[0]
    cells = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    told = [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]
    line: dict[str, Any] = json.loads(block("example: line 2"))
    assert [name for name in told if name != "data_base64"] == sorted(line, key=told.index)
    assert list(line) == [name for name in told if name in line]
