"""Host ranges and GPU texts: what Slurm's users type, and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuledger.cli.hostrange import compress, expand, gpu_indices, gpu_text, place_text, places
from gpuledger.replay.errors import BadRequest
from gpuledger.replay.facts import Placed

NUMBERS = st.integers(0, 2_000)
STEMS = st.sampled_from(["gpu-server-", "venus", "h100-", "n", "机器", "r1c", "a.b_c-"])
NAMES = st.builds(
    lambda stem, number, width, tail: f"{stem}{number:0{width}d}{tail}",
    STEMS, NUMBERS, st.integers(1, 4), st.sampled_from(["", "", "-ib", ".lab"]),
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("gpu-server-0", ["gpu-server-0"]),
        ("gpu-server-[0-3]", [f"gpu-server-{n}" for n in range(4)]),
        ("venus[001-003]", ["venus001", "venus002", "venus003"]),
        ("a[1,3,5-7]b", ["a1b", "a3b", "a5b", "a6b", "a7b"]),
        ("n[08-11]", ["n08", "n09", "n10", "n11"]),
        ("n[99-101]", ["n99", "n100", "n101"]),
        ("n[099-101]", ["n099", "n100", "n101"]),
        ("a1,b[2-3],c", ["a1", "b2", "b3", "c"]),
        ("rack[1-2]n[1-2]", ["rack1n1", "rack1n2", "rack2n1", "rack2n2"]),
        ("机器[1-2]", ["机器1", "机器2"]),
    ],
)
def test_a_range_means_its_names_in_order(text: str, names: list[str]) -> None:
    """A text expands to the names that Slurm would make of it, padding kept."""
    assert list(expand(text)) == names


@pytest.mark.parametrize(
    "text",
    [
        "", ",", "a,", ",a", "a[", "a]", "a[]", "a[1", "a1]", "a[[1]]", "a][", "a[1-]", "a[-1]",
        "a[3-1]", "a[1-3,2]", "a[1,1]", "a1,a[1-2]", "a[1-10001]", "a[0-99]b[0-999]", "a[1-012]",
        "a[00-1]", "a[x-y]", "a[1-3-5]", "a b", "a/b", "-a", "a:0", "a[99999999999999999999]",
        "a\x1b[1]", "a\n", "x" * 65, "a[٣-٤]", "[1-2]:[", "a[0-9]b[0-9]c[0-9]d[0-9]e[0-1]",
    ],
)  # fmt: skip
def test_what_is_no_range_is_refused(text: str) -> None:
    """Broken brackets, crossing, overlapping, empty and huge ranges raise BadRequest."""
    with pytest.raises(BadRequest) as caught:
        expand(text, field="--on")
    assert caught.value.field == "--on"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a", [("a", None)]),
        ("a:0", [("a", (0,))]),
        ("gpu-server-0:0-1,4", [("gpu-server-0", (0, 1, 4))]),
        ("gpu-server-0:[0,1]", [("gpu-server-0", (0, 1))]),
        ("gpu-server-0:[4,0-1]", [("gpu-server-0", (0, 1, 4))]),
        ("a:0,b:2", [("a", (0,)), ("b", (2,))]),
        ("a:0,2,b", [("a", (0, 2)), ("b", None)]),
        ("a:0,2-3,b:1", [("a", (0, 2, 3)), ("b", (1,))]),
        ("a[1-2]:0-1", [("a1", (0, 1)), ("a2", (0, 1))]),
        ("a,4", [("a", None), ("4", None)]),
        ("7:1,2", [("7", (1, 2))]),
    ],
)
def test_gpus_follow_a_colon(text: str, found: list[tuple[str, tuple[int, ...] | None]]) -> None:
    """A comma before a bare number goes on with a GPU list, any other begins a server."""
    assert list(places(text)) == [Placed(server, gpus) for server, gpus in found]


@pytest.mark.parametrize(
    "text",
    ["a:", "a:x", "a:1-0", "a:0,0", "a:[0", "a:-1", "a:0:1", "a:0,a:1", "a:10000", "a:0-1-2", ":0",
     "a:1.5", "a:٣"],
)  # fmt: skip
def test_what_is_no_gpu_list_is_refused(text: str) -> None:
    """Empty, crossing, doubled and huge GPU lists raise BadRequest."""
    with pytest.raises(BadRequest):
        places(text)


@given(st.lists(NAMES, unique=True, max_size=40))
def test_names_fold_into_a_text_and_back(names: list[str]) -> None:
    """Whatever the names, their folded text expands to just them in their order."""
    if names:
        assert list(expand(compress(names))) == names


@given(st.sets(st.integers(0, 200), min_size=1))
def test_indices_fold_into_a_text_and_back(indices: set[int]) -> None:
    """A set of GPU indices survives its text, in ascending order."""
    assert gpu_indices(gpu_text(indices)) == tuple(sorted(indices))
    assert places(place_text("h", indices)) == (Placed("h", tuple(sorted(indices))),)


def test_a_fold_is_short() -> None:
    """Neighbours become one range, single names stay as they are."""
    assert compress([f"venus{n:03d}" for n in range(1, 122)]) == "venus[001-121]"
    assert compress(["a1b", "a3b", "a5b", "a6b", "a7b"]) == "a[1,3,5-7]b"
    assert compress(["gpu-server-0"]) == "gpu-server-0"
    assert compress(["h100-01", "gpu-server-0", "gpu-server-1"]) == "h100-01,gpu-server-[0-1]"
    assert compress([]) == ""
