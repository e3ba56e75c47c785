"""`init --from`: the old script's three counts are read from its text, and nothing of it is run."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import RunCli
from console import Console
from gpuledger.cli.oldscript import read
from gpuledger.cli.sentence import said
from gpuledger.cli.tomlfile import BadConfiguration

THREE = "TOTAL_SERVERS = 3\nGPUS_PER_SERVER = 4\nCPUS_PER_SERVER = 32\n"
TWO = "GPUS_PER_SERVER = 8\nCPUS_PER_SERVER = 64\n"
CLASS = """
class Config:
    # edited by hand
    TOTAL_SERVERS: int = 3
    GPUS_PER_SERVER = 2 * 2   # two boards
    CPUS_PER_SERVER = (32)
"""
HOSTILE = """
import os
open("ran-1", "w").close()
os.system("touch ran-2")
__import__("pathlib").Path("ran-3").touch()

@(lambda one: open("ran-4", "w") and one)
class Config(metaclass=open("ran-5", "w") or type):
    TOTAL_SERVERS = 3
    def __init_subclass__(cls, x=open("ran-6", "w")): ...

f"{open('ran-7', 'w')}"
GPUS_PER_SERVER: open("ran-8", "w") = 4
CPUS_PER_SERVER = 32
if __name__ == "__main__":
    open("ran-9", "w")
"""
GOOD = {
    "plain": THREE,
    "in a class": CLASS,
    "by a class below": THREE.replace("3", "9") + CLASS,
    "the last one": "TOTAL_SERVERS = 7\n" + THREE,
    "windows": "\ufeff" + THREE.replace("\n", "\r\n"),
    "in one line": THREE.replace("\n", ";"),
    "several targets": "x = TOTAL_SERVERS = 3\nGPUS_PER_SERVER = +4\nCPUS_PER_SERVER = 65 // 2\n",
    "announced": "TOTAL_SERVERS: int\n" + THREE,
    "shadowed inside": "def f():\n    TOTAL_SERVERS = 99\n" + THREE,
    "odd escapes": "x = '\\d'\n" + THREE,
    "another module": "from torch import nn\n" + THREE,
    "all of another module, before": "from config import *\n" + THREE,
    "a function that only reads": THREE + "def f():\n    global TOTAL_SERVERS\n    TOTAL_SERVERS\n",
    "a function's own": THREE + "def f():\n    TOTAL_SERVERS = 9\n",
}
BAD = {
    "TOTAL_SERVERS = 4.0": (1, "'4.0'", "from 1 to 10000, such as 4"),
    "TOTAL_SERVERS = True": (1, "'True'", "from 1 to 10000"),
    "TOTAL_SERVERS = '4'": (1, "''4''", "from 1 to 10000"),
    "TOTAL_SERVERS = 0": (1, "'0'", "from 1 to 10000"),
    "TOTAL_SERVERS = -4": (1, "'-4'", "from 1 to 10000"),
    "TOTAL_SERVERS = 10_001": (1, "'10001'", "from 1 to 10000"),
    "TOTAL_SERVERS = NODES * 2": (1, "'NODES * 2'", "from 1 to 10000"),
    "TOTAL_SERVERS = len(hosts)": (1, "'len(hosts)'", "from 1 to 10000"),
    "TOTAL_SERVERS = int(os.environ['N'])": (1, "'int(os.environ['N'])'", "from 1 to 10000"),
    "TOTAL_SERVERS = 2 ** 2": (1, "'2 ** 2'", "from 1 to 10000"),
    "TOTAL_SERVERS = 8 / 2": (1, "'8 / 2'", "from 1 to 10000"),
    "TOTAL_SERVERS = 1 // 0": (1, "'1 // 0'", "from 1 to 10000"),
    "TOTAL_SERVERS = 10 ** 15 // 10 ** 15": (1, "'10 ** 15", "from 1 to 10000"),
    f"TOTAL_SERVERS = {10**9} * {10**9} // {10**18}": (1, "'1000", "from 1 to 10000"),
    f"TOTAL_SERVERS = 0x{'f' * 9999}": (1, "'…'", "from 1 to 10000"),
    f"TOTAL_SERVERS = {'1+' * 1500}1": (1, "'…'", "from 1 to 10000"),
    "TOTAL_SERVERS = '\x1b[31m\u202e'": (1, r"''\x1b[31m\u202e''", "from 1 to 10000"),
    "TOTAL_SERVERS, x = 4, 8": (1, "'TOTAL_SERVERS, x = (4, 8)'", "a line of its own such as"),
    "TOTAL_SERVERS = 4\nTOTAL_SERVERS += 1": (2, "'TOTAL_SERVERS += 1'", "a line of its own"),
    "x = 1\nif x:\n    TOTAL_SERVERS = 4": (3, "'if x: TOTAL_SERVERS = 4'", "a line of its own"),
    "for TOTAL_SERVERS in (1, 2): ...": (1, "'for TOTAL_SERVERS in", "a line of its own"),
    "print(TOTAL_SERVERS := 4)": (1, "'print((TOTAL_SERVERS := 4))'", "a line of its own"),
    "TOTAL_SERVERS = 4\ndel TOTAL_SERVERS": (2, "'del TOTAL_SERVERS'", "a line of its own"),
    "from lab.config import TOTAL_SERVERS": (1, "'from lab", "that it comes from, config.py"),
    "try:\n    from config import (\n        TOTAL_SERVERS)\nexcept E: ...": (
        3, "'try: from config import TOTAL_SERVERS", "that it comes from, config.py",
    ),
    "TOTAL_SERVERS = 4\nfrom config import *": (
        2, "'from config import *'", "that it comes from, config.py",
    ),
    "try:\n    from config import *\nexcept E:\n    TOTAL_SERVERS = 4": (
        2, "'try: from config import *", "that it comes from, config.py",
    ),
    "def main():\n    global TOTAL_SERVERS\n    TOTAL_SERVERS = 4\nTOTAL_SERVERS = 4": (
        3, "'def main(): global TOTAL_SERVERS", "a line of its own",
    ),
}  # fmt: skip
NO_PYTHON = {
    "no Python": b"print 'hello'\n",
    "a program": b"\x7fELF\x02\x01\x01\0\0",
    "a database": b"SQLite format 3\0" + bytes(range(256)),
    "bytes that are no UTF-8": b"x = '\xc4\xe3'\n" + THREE.encode(),
    "an unknown encoding": b"# coding: nonesuch\n" + THREE.encode(),
    "an encoding of bytes": b"# coding: hex\n" + THREE.encode(),
    "zero bytes": bytes(99),
    "many brackets": b"TOTAL_SERVERS = " + b"(" * 99_999,
    "deep nesting": b"TOTAL_SERVERS = " + b"+" * 99_999 + b"1\n",
    "a long sum": b"TOTAL_SERVERS = " + b"1+" * 99_999 + b"1\n",
    "half a file": b"TOTAL_SERVERS = \\\n",
}


@pytest.fixture
def console(run_cli: RunCli, ledger_path: Path) -> Console:
    """A person without a ledger."""
    return Console(run_cli, ledger_path)


def sentence(text: str | bytes) -> str:
    """What is said about a file that does not hold the three counts."""
    raw = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(BadConfiguration) as caught:
        read(raw, path="config.py")
    told = said(caught.value).text
    assert told.isprintable()
    assert len(told) < 300
    return told


@pytest.mark.parametrize("name", GOOD)
def test_counts_are_read_wherever_people_wrote_them(name: str) -> None:
    """At the top or in a class, annotated, computed, twice: what Python would see last counts."""
    assert read(GOOD[name].encode(), path="config.py") == (3, 4, 32)


def test_another_encoding_is_read_as_python_reads_it() -> None:
    """A file that says which encoding it has is read by it."""
    text = f"# -*- coding: gbk -*-\n# 服务器\n{THREE}"
    assert read(text.encode("gbk"), path="config.py") == (3, 4, 32)


@pytest.mark.parametrize("line", BAD)
def test_anything_else_is_named(line: str) -> None:
    """File, line, name, what stands there and what was expected; nothing is guessed."""
    number, found, expected = BAD[line]
    told = sentence(f"{line}\n{TWO}")
    assert told.startswith(f"config.py, line {number}: TOTAL_SERVERS cannot be {found}")
    assert expected in told.partition("; give ")[2]


@pytest.mark.parametrize("name", ["TOTAL_SERVERS", "GPUS_PER_SERVER", "CPUS_PER_SERVER"])
def test_a_name_that_is_missing_is_named(name: str) -> None:
    """The old script had all three, so that none of them is made up."""
    text = "".join(line for line in THREE.splitlines(keepends=True) if name not in line)
    assert sentence(text).startswith(f"config.py: {name} is missing; give a line such as {name} =")


@pytest.mark.parametrize("name", NO_PYTHON)
def test_what_is_no_python_is_said_so(name: str) -> None:
    """Bytes of any kind are one sentence, wherever Python's parser gives up."""
    assert ": this is not Python" in sentence(NO_PYTHON[name])


PLAIN = st.integers(1, 99).map(str)
SUMS = st.recursive(
    PLAIN,
    lambda inner: st.tuples(inner, st.sampled_from("+ - * //".split()), inner).map(
        lambda parts: f"({' '.join(parts)})"
    ),
    max_leaves=6,
)


@given(SUMS)
def test_arithmetic_is_pythons(written: str) -> None:
    """What plain arithmetic comes to is what Python makes of it, or an error where it cannot."""
    text = f"TOTAL_SERVERS = {written}\n{TWO}".encode()
    try:
        expected = eval(written)
    except ZeroDivisionError:
        expected = None
    if expected is not None and 1 <= expected <= 10_000:
        assert read(text, path="config.py") == (expected, 8, 64)
    else:
        sentence(text)


@given(st.binary(max_size=200))
def test_any_bytes_are_counts_or_one_sentence(raw: bytes) -> None:
    """Nothing that a file can hold gets past the two answers."""
    with suppress(BadConfiguration):
        read(raw, path="config.py")


def test_a_pool_is_made_of_it(console: Console, tmp_path: Path) -> None:
    """The servers are named as the old script named them."""
    (tmp_path / "config.py").write_text(CLASS)
    assert "3 servers, 12 GPUs, 96 CPUs" in console.says("init --from config.py")
    names = [one["server"] for one in console.document("status")["servers"]]
    assert names == ["gpu-server-0", "gpu-server-1", "gpu-server-2"]


def test_nothing_of_a_file_is_run(console: Console, tmp_path: Path) -> None:
    """A script that would write files at every turn writes none, and its counts are read."""
    (tmp_path / "hostile.py").write_text(HOSTILE)
    before = sorted(tmp_path.iterdir())
    assert "3 servers, 12 GPUs, 96 CPUs" in console.says("init --from hostile.py")
    assert sorted(tmp_path.iterdir()) == before


def test_stdin_is_read_as_well(run_cli: RunCli, ledger_path: Path) -> None:
    """`-` is what comes through a pipe."""
    done = run_cli("init", "--from", "-", env={"GPULEDGER": str(ledger_path)}, input=THREE)
    assert "3 servers, 12 GPUs, 96 CPUs" in done.stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--pool pool.toml", "--pool and --from"),
        ("--servers 2", "--from and the counts"),
        ("--cpus-per-server 2 --pool -", "--pool, --from and the counts"),
    ],
)
def test_a_pool_has_one_source(
    console: Console, ledger_path: Path, tmp_path: Path, words: str, told: str
) -> None:
    """Counts, a pool file and a script exclude each other, and no ledger is made."""
    (tmp_path / "config.py").write_text(THREE)
    assert console.fails(2, f"init --from config.py {words}").startswith(f"{told} exclude each")
    assert not ledger_path.exists()


def test_a_file_that_cannot_be_read(console: Console, ledger_path: Path, tmp_path: Path) -> None:
    """No file, a folder, a file without end or too long, no counts: a sentence, and no ledger."""
    (tmp_path / "long.py").write_text(THREE + "#" * (1 << 20))
    (tmp_path / "none.py").write_text("x = 1\n")
    for name in ("nowhere.py", ".", "long.py"):
        assert console.fails(2, f"init --from {name}").startswith(f"--from cannot be '{name}'")
    if os.path.exists("/dev/zero"):
        assert "at most 1 MiB" in console.fails(2, "init --from /dev/zero")
    assert console.fails(78, "init --from none.py").startswith("none.py: TOTAL_SERVERS is missing")
    error = json.loads(console.ends(78, "init --from none.py --json")[0])["error"]
    assert error["facts"]["key"] == "TOTAL_SERVERS"
    assert not ledger_path.exists()
