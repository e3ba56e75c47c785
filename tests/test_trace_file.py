"""Trace files: every row is read, or counted with its line and its reason."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpuledger.cli import tracefile
from gpuledger.cli.instants import to_us
from gpuledger.cli.tracefile import read
from gpuledger.ledger.errors import NotPermitted
from gpuledger.replay.errors import BadRequest
from gpuledger.replay.importing import Source
from gpuledger.replay.trace import TraceRow

Read = Callable[..., Source]
HEADER = "job_id,user,project,submit,start,end,gpus,cpus,nodes,servers,state"
START, END = "2020-03-31T16:00:00Z", "2020-03-31T16:01:24Z"
ROW = f"h1,u1,,{START},{START},{END},2,8,1,,Pass"


def us(text: str) -> int:
    return to_us(datetime.fromisoformat(text))


@pytest.fixture
def source(tmp_path: Path) -> Read:
    """Write a file and read it."""

    def reading(content: str | bytes, name: str = "t.csv") -> Source:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read(str(path))

    return reading


def rows_of(source: Source) -> list[TraceRow]:
    assert source.unusable == ()
    return list(source.rows)


def test_a_row_is_a_job(source: Read) -> None:
    """Line, names, times in microseconds, totals; what is empty is None."""
    content = f"{HEADER}\n{ROW}\n"
    found = source(content)
    assert found == Source(
        "t.csv",
        hashlib.sha256(content.encode()).hexdigest(),
        (TraceRow(2, "h1", "u1", us(START), 2, None, us(END), 8, 1),),
    )


def test_packed_and_saved_on_windows_it_is_the_same(source: Read) -> None:
    """gzip, a byte order mark, CRLF, quotes and empty lines change nothing but the hash."""
    plain = f"{HEADER}\n{ROW}\n"
    windows = "\ufeff" + plain.replace("\n", "\r\n").replace("u1", '"u1"')
    assert rows_of(source(windows)) == rows_of(source(plain))
    packed = source(gzip.compress(plain.encode()), "t.csv.gz")
    assert rows_of(packed) == rows_of(source(plain))
    assert [row.line for row in rows_of(source(f"{HEADER}\n\n{ROW}\n\n{ROW}"))] == [3, 5]


def test_columns_may_stand_in_any_order(source: Read) -> None:
    """Unknown columns are passed over, optional ones may be absent."""
    content = f"gpus,color,end,start,user,job_id\n2,red,{END},{START},u1,h1\n"
    assert rows_of(source(content)) == [TraceRow(2, "h1", "u1", us(START), 2, None, us(END))]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"end": ""}, {"end": None}),
        ({"project": "p"}, {"project": "p"}),
        ({"cpus": ""}, {"cpus": None}),
        ({"cpus": "16.0"}, {"cpus": 16}),
        ({"gpus": "2.0"}, {"gpus": 2}),
        ({"gpus": "0", "nodes": "0"}, {"gpus": 0, "nodes": 1}),
        ({"nodes": ""}, {"nodes": 1}),
        ({"nodes": "2"}, {"nodes": 2}),
        ({"end": START}, {"end": us(START)}),
        ({"start": "2020-03-31 16:00:00"}, {}),
        ({"start": "2020-04-01T00:00:00+08:00"}, {}),
        ({"servers": "a:1,0"}, {"servers": (("a", (0, 1)),)}),
        ({"servers": "a:0;b:3", "nodes": ""}, {"servers": (("a", (0,)), ("b", (3,))), "nodes": 2}),
        ({"servers": "a:0-1"}, {"servers": (("a", (0, 1)),)}),
    ],
)
def test_what_a_row_may_leave_open(
    change: dict[str, str], expected: dict[str, object], source: Read
) -> None:
    """Ends, CPUs, nodes and projects may be empty; `1.0` counts; servers are read where named."""
    (row,) = rows_of(source(_content(change)))
    usual = {"end": us(END), "cpus": 8, "gpus": 2, "nodes": 1, "servers": (), "start": us(START)}
    assert {name: getattr(row, name) for name in {**usual, **expected}} == {**usual, **expected}


def _content(change: dict[str, str]) -> str:
    cells = dict(zip(HEADER.split(","), ROW.split(","), strict=True)) | change
    quoted = ",".join(f'"{cell}"' for cell in cells.values())
    return f"{HEADER}\n{quoted}\n"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"job_id": ""}, "job_id is empty"),
        ({"user": " "}, "user is empty"),
        ({"user": "a\x1b[1m"}, "user is no name"),
        ({"start": ""}, "start is empty"),
        ({"start": "yesterday"}, "start is no time: yesterday"),
        ({"start": "1969-01-01T00:00:00Z"}, "start is out of range: 1969-01-01T00:00:00Z"),
        ({"end": "2020-03-31T15:59:59Z"}, "end is before start"),
        ({"end": "2500-01-01T00:00:00Z"}, "end is out of range: 2500-01-01T00:00:00Z"),
        ({"gpus": ""}, "gpus is empty"),
        ({"gpus": "-1"}, "gpus is no whole number: -1"),
        ({"gpus": "1.5"}, "gpus is no whole number: 1.5"),
        ({"gpus": "x"}, "gpus is no whole number: x"),
        ({"gpus": "1e3"}, "gpus is no whole number: 1e3"),
        ({"gpus": "9999999"}, "gpus is too large: 9999999"),
        ({"nodes": "0"}, "nodes is 0"),
        ({"cpus": "nan"}, "cpus is no whole number: nan"),
        ({"servers": "a"}, "servers is no list of GPUs: a"),
        ({"servers": "a:0"}, "servers does not name as many GPUs as gpus says"),
        ({"servers": "a:0;a:1"}, "servers names a server not at all or twice: a:0;a:1"),
        ({"servers": ":0,1"}, "servers names a server not at all or twice: :0,1"),
        ({"servers": "a:0;b:1"}, "servers does not name as many as nodes says"),
    ],
)
def test_a_row_without_sense_is_counted(change: dict[str, str], why: str, source: Read) -> None:
    """It stands with its line and its reason beside the rows that are good."""
    found = source(_content(change) + ROW + "\n")
    assert [row.line for row in found.rows] == [3]
    assert [(one.line, one.why) for one in found.unusable] == [(2, why)]


def test_a_row_of_another_length_is_counted(source: Read) -> None:
    """Too few and too many cells, and a cell that never ends, lose only their own row."""
    found = source(f"{HEADER}\nh1,u1\n{ROW},x\n{ROW}\n" + "y" * 200_000 + f"\n{ROW}\n")
    assert [row.line for row in found.rows] == [4, 6]
    assert [(one.line, one.why[:12]) for one in found.unusable] == [
        (2, "2 columns, n"), (3, "12 columns, "), (5, "no CSV: fiel"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n\n",
        b"a,b\n",
        HEADER.replace(",gpus", "").encode(),
        HEADER.replace("submit", "gpus").encode(),
        HEADER.replace(",", ";").encode(),
        b"\xff\xfe",
        b"\x1f\x8b",
        gzip.compress(HEADER.encode(), mtime=0)[:-4],
        gzip.compress(b"\xff", mtime=0),
    ],
)
def test_what_is_no_trace_is_refused(content: bytes, source: Read) -> None:
    """Without the columns, in another encoding or cut short, nothing is imported."""
    with pytest.raises(BadRequest) as caught:
        source(content)
    assert caught.value.field == "FILE"


def test_an_endless_file_is_no_trace(source: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device, and a packed file that unpacks to more than there is room for, are refused."""
    monkeypatch.setattr(tracefile, "MOST_BYTES", 4096)
    for endless in ("/dev/zero", "/dev/urandom"):
        with pytest.raises(BadRequest):
            read(endless)
    with pytest.raises(BadRequest):
        source(gzip.compress(bytes(10_000)))
    longest = f"{HEADER}\n{ROW}\n".ljust(4096, "\n")
    assert len(rows_of(source(longest))) == 1
    with pytest.raises(BadRequest):
        source(longest + "\n")


def test_a_file_that_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing file, a folder and a file that one may not read each have their error."""
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(BadRequest):
            read(str(path))

    def closed(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", closed)
    with pytest.raises(NotPermitted):
        read("x")


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_rows_or_a_refusal(tmp_path: Path, content: bytes) -> None:
    """Whatever stands below a good header, reading ends with rows, counted ones, or BadRequest."""
    path = tmp_path / "t.csv"
    path.write_bytes(HEADER.encode() + b"\n" + content)
    try:
        found = read(str(path))
    except BadRequest:
        return
    assert len(found.rows) + len(found.unusable) <= content.count(b"\n") + content.count(b"\r") + 1


def test_helios_is_read_whole(traces: Path) -> None:
    """The real trace: 15,000 rows, 4,204 without GPUs, none unusable."""
    found = read(str(traces / "helios.csv.gz"))
    assert len(found.rows) == 15_000
    assert sum(row.gpus == 0 for row in found.rows) == 4_204
    assert len({row.user for row in found.rows}) == 106
    assert max(row.gpus for row in found.rows) == 160
    assert found.unusable == ()
    assert found.sha256 == hashlib.sha256((traces / "helios.csv.gz").read_bytes()).hexdigest()
