"""`export`: CloudEvents, one a line, from which every row can be made again bit by bit."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import pytest

from conftest import RunCli
from forging import Raw, opened, rows, spelled
from gpuledger.ledger.cloudevent import from_line, to_line
from gpuledger.ledger.event import Event
from small_pools import ADA, ledger


@pytest.fixture
def told(ledger_path: Path) -> Path:
    """A ledger with letters of several scripts, a retry key and a few events."""
    with ledger(ledger_path, actor=ADA) as ada:
        ada.allocate("训练", 1, 1, note='a "note", naïve', key="k|1")
        ada.allocate("b", 1, 1)
        ada.release("b")
    return ledger_path


def row_of(line: str) -> Raw:
    """The row that an exported line tells, made with json and datetime alone."""
    told = json.loads(line)
    at = datetime.fromisoformat(told["time"])
    whole = int(at.replace(microsecond=0).timestamp()) * 1_000_000
    return Raw(
        int(told["id"]), whole + at.microsecond, told["type"].removeprefix("gpuledger."),
        told["version"], told["actor"], told.get("key"), spelled(told["data"]),
        bytes.fromhex(told["prev"]), bytes.fromhex(told["hash"]),
    )  # fmt: skip


def test_every_row_can_be_made_again(told: Path, run_cli: RunCli) -> None:
    """A stranger makes the rows from the lines, and their hashes are those that stand there."""
    lines = run_cli("--ledger", told, "export").stdout.splitlines()
    made = [row_of(line) for line in lines]
    assert made == rows(told)
    assert [row.hashed() for row in made] == made


def test_our_own_reader_makes_them_too(told: Path, run_cli: RunCli) -> None:
    """`from_line` gives the same events, data as bytes."""
    lines = run_cli("--ledger", told, "export").stdout.encode().splitlines()
    made = [from_line(line) for line in lines]
    assert [(one.seq, one.data.decode(), one.hash) for one in made] == [
        (row.seq, row.data, row.hash) for row in rows(told)
    ]


def test_each_line_is_a_cloudevent(told: Path, run_cli: RunCli) -> None:
    """The required attributes are there, and names and values are as CloudEvents 1.0 wants them."""
    for line in run_cli("--ledger", told, "export").stdout.splitlines():
        event = json.loads(line)
        assert event["specversion"] == "1.0"
        assert event["source"].startswith("gpuledger:")
        assert event["datacontenttype"] == "application/json"
        assert all(name.isalnum() and name.islower() and len(name) <= 20 for name in event)
        assert all(isinstance(event[name], str) for name in ("id", "type", "time", "source"))
        assert event["time"].endswith("Z")


def test_after_a_seq(told: Path, run_cli: RunCli) -> None:
    """`--after` goes on where an earlier export ended; behind the head there is nothing."""
    whole = run_cli("--ledger", told, "export").stdout.splitlines()
    assert run_cli("--ledger", told, "export", "--after", "2").stdout.splitlines() == whole[2:]
    for seq in ("4", "99"):
        done = run_cli("--ledger", told, "export", "--after", seq)
        assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("seq", ["-1", "x", "1.5", "9" * 20, ""])
def test_no_seq(told: Path, run_cli: RunCli, seq: str) -> None:
    """What is no number of an event is exit 2 and one sentence."""
    done = run_cli("--ledger", told, "export", f"--after={seq}")
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger whose answers are longer than a pipe holds."""
    path = tmp_path_factory.mktemp("long") / "ledger.db"
    with ledger(path, actor=ADA) as ada:
        for at in range(250):
            ada.allocate(f"t{at}", 1, 1, note="n" * 200)
            ada.release(f"t{at}")
    return path


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("words", [("export",), ("history", "--json")])
def test_a_closed_pipe_is_quiet(
    long: Path,
    cli_command: Sequence[str],
    cli_env: dict[str, str],
    words: tuple[str, ...],
    unbuffered: str,
) -> None:
    """Where the reader goes away a command ends with 141, also where Python may not buffer."""
    with subprocess.Popen(
        [*cli_command, "--ledger", str(long), *words],
        env={**cli_env, "PYTHONUNBUFFERED": unbuffered},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        assert child.stdout.readline()
        child.stdout.close()
        told = child.stderr.read().decode()
        assert child.wait(60) == 141
    assert all(line.startswith("gpuledger: window") for line in told.splitlines())


@pytest.mark.parametrize("data", [b'{"a":\n1}', b"no JSON", b"\xff\x00", b"", b'{"a": 1}'])
def test_what_no_writer_of_ours_makes(data: bytes) -> None:
    """Foreign data leaves in one line of valid JSON and comes back as it was."""
    event = Event(1, 5, "other", 1, "uid:0", 'a "key"', data, bytes(32), b"\x01" * 32)
    line = to_line(event, "00" * 16)
    json.loads(line)
    assert b"\n" not in line
    assert from_line(line) == event


@pytest.mark.parametrize(
    "line", [b"", b"{}", b"[]", b'{"specversion":"1.0"}', b"\xff", b'{"specversion":"0.3"}']
)
def test_what_is_no_envelope(line: bytes) -> None:
    """A line that is no envelope of ours is a ValueError, whatever is wrong with it."""
    with pytest.raises(ValueError, match=r"envelope|CloudEvent"):
        from_line(line)


def test_reading_is_all_that_it_does(told: Path, run_cli: RunCli) -> None:
    """An export leaves the file as it was."""
    before = rows(told)
    run_cli("--ledger", told, "export")
    assert rows(told) == before
    with opened(told) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
