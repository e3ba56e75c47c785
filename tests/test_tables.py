"""Tables: boxed on a terminal, plain elsewhere, and never wider than the screen."""

from __future__ import annotations

import io
import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuledger.cli import table as tables
from gpuledger.cli.table import Cell, Column, Table, boxed_text, csv_text, plain_text, text_for
from gpuledger.cli.width import clipped, display_width, padded

STATUS = Table(
    (Column("server"), Column("GPU free", right=True), Column("tasks", right=True, style="dim")),
    [("gpu-server-0", "6/8", "1"), ("gpu-server-[1-3]", Cell("0/24", "warn"), "0")],
    ("total", "6/32", "1"),
)
LIST = Table(
    (
        Column("id", right=True),
        Column("task", shrink=2, least=10),
        Column("project", hide_empty=True),
        Column("server and GPUs", shrink=2, least=18, fold=True),
        Column("since", drop=1),
        Column("CPUs", right=True),
    ),
    [
        ("@4711", "a-task-whose-name-never-ends", "", "gpu-server-2:0-1", "2026-11-24", "16"),
        ("@12", "机器学习", "", "gpu-server-0:0-7 gpu-server-1:0-7", "2026-11-24", "128"),
    ],
)


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    encoding = "utf-8"  # type: ignore[assignment]

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def colours(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of our own choice, whatever the tests run on."""
    for name in ("NO_COLOR", "FORCE_COLOR", "COLORTERM", "COLUMNS", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


def bare(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def test_elsewhere_a_table_is_plain() -> None:
    """Aligned, ruled by dashes, without colour, and nothing shortened."""
    assert text_for(STATUS, io.StringIO()) == plain_text(STATUS) == (
        "server            GPU free  tasks\n"
        "----------------  --------  -----\n"
        "gpu-server-0           6/8      1\n"
        "gpu-server-[1-3]      0/24      0\n"
        "----------------  --------  -----\n"
        "total                 6/32      1\n"
    )  # fmt: skip


def test_on_a_terminal_a_table_is_boxed() -> None:
    """A rounded frame, lines below the header and above the totals, numbers on the right."""
    assert bare(boxed_text(STATUS, Terminal(), 80)) == (
        "╭───────────────────────────────────╮\n"
        "│ server            GPU free  tasks │\n"
        "├───────────────────────────────────┤\n"
        "│ gpu-server-0           6/8      1 │\n"
        "│ gpu-server-[1-3]      0/24      0 │\n"
        "├───────────────────────────────────┤\n"
        "│ total                 6/32      1 │\n"
        "╰───────────────────────────────────╯\n"
    )


def test_colour_is_for_what_calls_for_attention() -> None:
    """Frame and secondary columns are dim, headers bold, a warning yellow; NO_COLOR takes that."""
    text = boxed_text(STATUS, Terminal(), 80)
    assert "\x1b[33m" in text
    assert len(re.findall(r"\x1b\[3\dm", text)) == 1
    assert "\x1b[2m╭" in text


@pytest.mark.parametrize("value", ["1", ""])
def test_no_color_is_respected(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With NO_COLOR the frame stays and no colour is sent; an empty value does not count."""
    monkeypatch.setenv("NO_COLOR", value)
    text = boxed_text(STATUS, Terminal(), 80)
    assert ("\x1b[33m" in text) is (not value)
    assert "╭" in text


def test_a_dumb_terminal_gets_plain_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """TERM=dumb, as in editors and on serial lines, draws no frames."""
    assert "╭" in text_for(STATUS, Terminal())
    monkeypatch.setenv("TERM", "dumb")
    assert text_for(STATUS, Terminal()) == plain_text(STATUS)


def test_a_terminal_without_unicode_gets_a_frame_of_ascii() -> None:
    """Where the encoding has no lines, the frame is drawn with dashes and bars."""

    class Ascii(Terminal):
        encoding = "ascii"  # type: ignore[assignment]

    text = boxed_text(STATUS, Ascii(), 80)
    assert bare(text).isascii()
    assert bare(text).startswith("+--")


def test_what_does_not_fit_is_shortened_then_left_out() -> None:
    """At 160 all is there; narrower, names end in dots and lists fold; then a column goes."""
    wide = bare(boxed_text(LIST, Terminal(), 160))
    assert "a-task-whose-name-never-ends" in wide
    assert "gpu-server-0:0-7 gpu-server-1:0-7" in wide
    narrow = bare(boxed_text(LIST, Terminal(), 80))
    assert "2026-11-24" in narrow
    assert "a-task-whose-nam" in narrow
    assert "…" in narrow
    narrower = bare(boxed_text(LIST, Terminal(), 54))
    assert "2026-11-24" not in narrower
    assert narrower.endswith("\n  no room for: since\n")
    assert bare(boxed_text(LIST, Terminal(), 20)) == plain_text(LIST)


def test_a_column_without_anything_in_it_is_not_shown() -> None:
    """On a terminal an empty project column is noise; piped it keeps its place."""
    assert "project" not in boxed_text(LIST, Terminal(), 160)
    assert "project" in plain_text(LIST)
    assert "project" in csv_text(LIST)


def test_very_long_tables_have_no_frame() -> None:
    """Thousands of rows come at once, as plain text."""
    many = Table(STATUS.columns, [("a", "1", "2")] * (tables.MOST_FRAMED + 1))
    assert boxed_text(many, Terminal(), 80) == plain_text(many)


def test_csv_has_a_header_and_no_totals() -> None:
    """`--csv` is the rows alone, each on a line."""
    assert csv_text(STATUS) == (
        "server,GPU free,tasks\ngpu-server-0,6/8,1\ngpu-server-[1-3],0/24,0\n"
    )


def test_a_plain_table_loads_no_rich() -> None:
    """Whoever pipes does not wait for what draws frames."""
    program = (
        "import io, sys, gpuledger.cli.table as t\n"
        "t.text_for(t.Table((t.Column('a'),), [('x',)]), io.StringIO())\n"
        "print([n for n in ('rich', 'csv') if n in sys.modules])"
    )
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert told.stdout == "[]\n"


CELLS = st.text(max_size=20) | st.sampled_from(
    ["机器学习", "e\u0301", "\x1b[31mx", "a\nb", "[red]x", "👩‍🔬"]
)
COLUMNS = st.builds(
    Column, st.sampled_from(["id", "task", "机器"]), st.booleans(), st.sampled_from(["", "dim"]),
    st.integers(0, 2), st.integers(1, 9), st.booleans(), st.integers(0, 2), st.booleans(),
)  # fmt: skip


@given(st.data(), st.integers(10, 120))
def test_no_line_is_wider_than_the_terminal(data: st.DataObject, width: int) -> None:
    """Whatever the cells, a framed line fits, and nothing in a cell acts on the terminal."""
    columns = tuple(data.draw(st.lists(COLUMNS, min_size=1, max_size=5)))
    row = st.tuples(*[CELLS for _ in columns])
    table = Table(columns, data.draw(st.lists(row, max_size=4)), data.draw(st.none() | row))
    plain, boxed = plain_text(table), boxed_text(table, Terminal(), width)
    for line in plain.splitlines():
        assert "\x1b" not in line
    assert plain.count("\n") == 2 + len(table.rows) + 2 * (table.totals is not None)
    if boxed != plain:
        assert not re.search(r"\x1b(?!\[[0-9;]*m)", boxed)
        ascii_only = [line for line in bare(boxed).splitlines() if "👩" not in line]
        assert all(display_width(line) <= width for line in ascii_only)


@given(st.text(st.characters(exclude_categories=["C", "M", "Z"]), max_size=10), st.integers(0, 12))
def test_texts_are_measured_as_they_stand(text: str, width: int) -> None:
    """Chinese letters take two places, marks none; cut texts never take more than their width."""
    assert display_width("机器a") == 5
    assert display_width("e\u0301") == 1
    assert display_width(clipped(text, width)) <= width
    room = display_width(text) + width
    assert display_width(padded(text, room)) == room
    assert padded(text, room, right=True).endswith(text)


def test_a_narrow_terminal_gets_brief_texts_before_it_loses_a_column() -> None:
    """Where the whole texts do not fit, the brief ones stand for them; elsewhere never."""
    columns = (Column("task"), Column("start", drop=1))
    row = ("train", Cell("2026-03-31T17:00:00+02:00", brief="03-31T17:00"))
    table = Table(columns, [row])
    assert "2026-03-31T17:00:00+02:00" in boxed_text(table, io.StringIO(), 40)
    narrow = boxed_text(table, io.StringIO(), 30)
    assert "03-31T17:00" in narrow
    assert "2026" not in narrow
    assert "no room" not in narrow
    assert "2026-03-31T17:00:00+02:00" in plain_text(table)


def test_what_a_row_is_known_by_stays_whole_while_columns_can_go() -> None:
    """A name loses its end only where leaving other columns out does not help."""
    columns = (Column("server", shrink=1, least=4), Column("since", drop=1))
    table = Table(columns, [("gpu-server-12", "2026-03-31T17:00:00")])
    narrow = boxed_text(table, io.StringIO(), 30)
    assert "gpu-server-12" in narrow
    assert "no room for: since" in narrow
    assert "gpu-se…" in boxed_text(table, io.StringIO(), 11)
