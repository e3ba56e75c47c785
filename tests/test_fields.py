"""Chosen fields, parsable lines and CSV: shapes that scripts take apart."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuledger.cli.columns import Field, choose, fixed_lines, parsable_lines
from gpuledger.cli.csvtext import csv_lines
from gpuledger.replay.errors import BadRequest

KNOWN = ("JobID", "Task", "User", "Elapsed")
ROWS = [["@4711", "train", "ada", "02:03:04"], ["@12", "机器学习", "bob", "1-02:03:04"]]


def test_fields_are_chosen_by_name() -> None:
    """Names in any case and order, also twice, with widths as sacct writes them."""
    assert choose("task%20, USER%-10,jobid,task", KNOWN) == (
        Field("Task", 1, 20, False),
        Field("User", 2, 10, True),
        Field("JobID", 0),
        Field("Task", 1),
    )


@pytest.mark.parametrize("text", ["", ",", "task,", "tasks", "MaxRSS", "task%", "task%x", "task%0",
                                  "task%-", "task%-0", "task%99999", "task%20%20", "task%٣",
                                  "%20"])  # fmt: skip
def test_an_unknown_field_is_an_error(text: str) -> None:
    """Nothing is printed blank: unknown names list the known ones, odd widths say what is meant."""
    with pytest.raises(BadRequest) as caught:
        choose(text, KNOWN)
    assert caught.value.field == "-o"
    assert "Task" in caught.value.expected or "width" in caught.value.expected


def test_parsable_lines_split_at_bars() -> None:
    """`-P` has a header, no last bar, and no bar that a cell brought along; `-n` has no header."""
    fields = choose("jobid,task,user", KNOWN)
    rows = [*ROWS, ["@13", "a|b", "e\x1bve\n", ""]]
    assert list(parsable_lines(fields, rows)) == [
        "JobID|Task|User",
        "@4711|train|ada",
        "@12|机器学习|bob",
        r"@13|a\x7cb|e\x1bve\n",
    ]
    assert list(parsable_lines(fields, [], header=False)) == []


def test_fixed_lines_are_aligned() -> None:
    """Columns follow their longest cell or their width; what is cut ends in a plus."""
    fields = choose("jobid,task,user%2,elapsed", KNOWN)
    assert list(fixed_lines(fields, ROWS, right=frozenset({"Elapsed"}))) == [
        "JobID Task     U+    Elapsed",
        "----- -------- -- ----------",
        "@4711 train    a+   02:03:04",
        "@12   机器学习 b+ 1-02:03:04",
    ]
    fields = choose("task%5,user%-5,jobid%6", KNOWN)
    assert list(fixed_lines(fields, ROWS, header=False)) == [
        "train ada    @4711",
        "机器+ bob      @12",
    ]


CELLS = st.text(max_size=12) | st.sampled_from(
    ["=1+1", "+x", "-x", "@x", 'a"b', "a,b", "\x1b[1m", "a\nb", "\r", " x ", "", "\ud800"]
)


@given(st.lists(st.lists(CELLS, min_size=3, max_size=3), max_size=8))
def test_csv_reads_back(rows: list[list[str]]) -> None:
    """Whatever the cells, a CSV reader gets the printable form of each, one line a row."""
    from gpuledger.cli.printable import printable

    lines = list(csv_lines(["a", "b", "c"], rows))
    assert len(lines) == len(rows) + 1
    read = list(csv.reader(io.StringIO("\n".join(lines) + "\n", newline="")))
    assert read == [["a", "b", "c"], *([printable(cell) for cell in row] for row in rows)]


def test_cells_that_look_like_formulas_are_quoted_data() -> None:
    """`=`, `+`, `-` and `@` in front are kept, in quotes; so is what needs quotes anyway."""
    assert list(csv_lines(None, [["=1+1", "@4711", "-1", "+2", "a,b", 'say "x"', "plain"]])) == [
        '"=1+1","@4711","-1","+2","a,b","say ""x""",plain'
    ]
    assert list(csv_lines(None, [[""]])) == ['""']
