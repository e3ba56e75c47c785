"""Bad input: one sentence with the next step, the documented exit code, and nothing changed."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]
USAGE, MISSING, NOT_NOW, CONFLICT, CONFIG = 2, 3, 4, 5, 78


class Case(NamedTuple):
    """Words after `gpuledger`, the exit code, and whether a `request.refused` is recorded."""

    words: str
    code: int
    recorded: bool = False


SERVER = '[[server]]\nname = "gpu-server-{}"\ngpus = {}\ncpus = 32\n'
POOLS = {
    "malformed": "[[server]\n",
    "unknown-key": SERVER.format(0, 4) + 'colour = "red"\n',
    "unknown-table": SERVER.format(0, 4) + "[extra]\n",
    "lease-limit": SERVER.format(0, 4) + '[limits]\nlease = "8h"\n',
    "duplicate": SERVER.format(0, 4) * 2,
    "overlap": SERVER.format("[0-2]", 4) + SERVER.format("[2-3]", 4),
    "crossing": SERVER.format("[3-1]", 4),
    "zero-gpus": SERVER.format(0, 0),
    "negative-cpus": '[[server]]\nname = "a"\ngpus = 1\ncpus = -1\n',
    "text-gpus": SERVER.format(0, '"four"'),
    "bool-gpus": SERVER.format(0, "true"),
    "no-name": "[[server]]\ngpus = 1\ncpus = 1\n",
    "bad-name": '[[server]]\nname = "a b"\ngpus = 1\ncpus = 1\n',
    "no-servers": "[limits]\ngpus_per_task = 1\n",
    "gpu-twice": SERVER.format(0, 2) + "[[server.gpu]]\nindex = 0\n" * 2,
    "unknown-admin": SERVER.format(0, 4) + '[admins]\nusers = ["nobody-of-that-name"]\n',
    "shrunk": SERVER.format(0, 1) + SERVER.format(1, 4),
    "swapped": SERVER.format(0, 4).replace("gpus = 4", "gpus = 4")
    + "".join(f'[[server.gpu]]\nindex = {i}\nuuid = "GPU-other-{i}"\n' for i in range(4))
    + SERVER.format(1, 4),
    "without-0": SERVER.format(1, 4),
}

CASES = [
    Case("release nope", MISSING),
    Case("release @999", MISSING),
    Case("release @1", MISSING),
    Case("release @x", USAGE),
    Case("release", USAGE),
    Case("release --mine --server gpu-server-0", USAGE),
    Case("release held nope", MISSING),
    Case("release --server gpu-server-9", MISSING),
    Case("release held --reason", USAGE),
    Case("allocate held 1", CONFLICT),
    Case("allocate", USAGE),
    Case("allocate t", USAGE),
    Case("allocate t 0", USAGE),
    Case("allocate t -1", USAGE),
    Case("allocate t 9", USAGE, True),
    Case("allocate t two", USAGE),
    Case("allocate t 1.5", USAGE),
    Case("allocate t 99999999999999999999", USAGE),
    Case("allocate t 1 0", USAGE),
    Case("allocate t 1 -4", USAGE),
    Case("allocate t 1 many", USAGE),
    Case("allocate t 1 33", USAGE, True),
    Case("allocate t 1 2 3", USAGE),
    Case("allocate t 1 --on gpu-server-9", MISSING),
    Case("allocate t 1 --on gpu-server-0:7", MISSING),
    Case("allocate t 1 --on gpu-server-0:x", USAGE),
    Case("allocate t 1 --on gpu-server-0:1-0", USAGE),
    Case("allocate t 2 --on gpu-server-0:0", USAGE),
    Case("allocate t 1 --on gpu-server-0:0", NOT_NOW, True),
    Case("allocate t 4 --on gpu-server-0", NOT_NOW, True),
    Case("allocate t 8 --servers 2", NOT_NOW, True),
    Case("allocate t 3 --servers 2", USAGE),
    Case("allocate t 4 7 --servers 2", USAGE),
    Case("allocate t 2 --servers 0", USAGE),
    Case("allocate t 3 --servers 3", USAGE, True),
    Case("allocate t 1 --here --on gpu-server-0", MISSING),
    Case("allocate t 1 --lease soon", USAGE),
    Case("allocate t 1 --lease 0", USAGE),
    Case("allocate t 1 --lease 99999d", USAGE),
    Case("allocate t 1 --wait --wait-for 1m", USAGE),
    Case("allocate t 1 --wait-for never", USAGE),
    Case("allocate t 33 --wait", USAGE, True),
    Case("extend held --by 1h", CONFLICT),
    Case("extend held", USAGE),
    Case("extend nope --by 1h", MISSING),
    Case("extend --by 1h", USAGE),
    Case("extend held --by -1h", USAGE),
    Case("cancel held", MISSING),
    Case("cancel", USAGE),
    Case("cancel held --mine", USAGE),
    Case("queue --mine --user ada", USAGE),
    Case("allocate t 1 --for nobody-of-that-name", USAGE),
    Case("allocate t 1 --project a/b", USAGE),
    Case("allocate a/b 1", USAGE),
    Case("allocate .hidden 1", USAGE),
    Case("allocate " + "x" * 65 + " 1", USAGE),
    Case("drain gpu-server-9", MISSING),
    Case("drain gpu-server-0:9", MISSING),
    Case("drain", USAGE),
    Case("drain gpu-server-[3-1]", USAGE),
    Case("drain gpu-server-[0", USAGE),
    Case("resume gpu-server-9", MISSING),
    Case("reset", USAGE),
    Case("reset --yes --reason", USAGE),
    Case("status gpu-server-9", MISSING),
    Case("status --at never", USAGE),
    Case("status --at 2026-13-01", USAGE),
    Case("status --at 2026-02-30", USAGE),
    Case("list gpu-server-9", MISSING),
    Case("list --colour", USAGE),
    Case("history -S tomorrowish", USAGE),
    Case("history -S 2026-03-02 -E 2026-03-01", USAGE),
    Case("history --month 2026-3x", USAGE),
    Case("history -o task,colour", USAGE),
    Case("history -o task%x", USAGE),
    Case("history -s sleeping", USAGE),
    Case("audit who", USAGE),
    Case("audit who gpu-server-9", MISSING),
    Case("audit who gpu-server-0:9", MISSING),
    Case("audit usage --by colour", USAGE),
    Case("audit diff yesterday", USAGE),
    Case("audit diff yesterday whenever", USAGE),
    Case("audit verify --expect 1", USAGE),
    Case("audit verify --expect 1:abc", USAGE),
    Case("audit verify --expect x:0123456789abcdef", USAGE),
    Case("audit whom", USAGE),
    Case("export --after x", USAGE),
    Case("import nowhere.csv", USAGE),
    Case("init", CONFLICT),
    Case("pool check nowhere.toml", USAGE),
    Case("pool frobnicate", USAGE),
    Case("frobnicate", USAGE),
    Case("--frobnicate", USAGE),
    Case("status --lock-timeout soon", USAGE),
    Case("--allocate t", USAGE),
    Case("--release", USAGE),
    Case("pool apply shrunk.toml", CONFLICT),
    Case("pool apply without-0.toml --remove", CONFLICT),
]
BROKEN = [name for name in POOLS if name not in ("shrunk", "swapped", "without-0")]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger of 2 × 4 × 32 with one allocation on gpu-server-0:0-1."""
    import gpuledger

    path = tmp_path_factory.mktemp("model") / "ledger.db"
    cards = tuple(gpuledger.Card(index, f"GPU-{index}") for index in range(4))
    servers = [gpuledger.Server(f"gpu-server-{at}", 32, cards) for at in range(2)]
    gpuledger.init(path, gpuledger.Pool(tuple(servers)))
    with gpuledger.open(path) as ledger:
        ledger.allocate("held", 2, 16)
    return path


@pytest.fixture
def ledger(model: Path, ledger_path: Path, tmp_path: Path) -> Path:
    """A copy of the model, and the pool files beside it."""
    for suffix in ("", ".lock"):
        shutil.copy(f"{model}{suffix}", f"{ledger_path}{suffix}")
    for name, text in POOLS.items():
        (tmp_path / f"{name}.toml").write_text(text)
    return ledger_path


def events(path: Path) -> list[tuple[object, ...]]:
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as conn:
        rows = conn.execute("SELECT seq, kind, hash FROM events ORDER BY seq").fetchall()
    conn.close()
    return rows


def holds(done: subprocess.CompletedProcess[str], code: int) -> None:
    """One sentence on stderr, nothing on stdout, no traceback, the code."""
    assert done.returncode == code, (done.stdout, done.stderr)
    lines = [line for line in done.stderr.splitlines() if "window" not in line]
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("gpuledger: ")
    assert "Traceback" not in done.stderr
    assert "should not have happened" not in done.stderr
    assert ";" in lines[0], "no next step"
    assert done.stdout == ""
    assert lines[0].isprintable()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.words[:40])
def test_bad_words_change_nothing(run_cli: Run, ledger: Path, case: Case) -> None:
    """What cannot be meant is one sentence and its exit code; only a refusal leaves an event."""
    before = events(ledger)
    done = run_cli(*case.words.split(), env={"GPULEDGER": str(ledger)})
    holds(done, case.code)
    added = events(ledger)[len(before) :]
    assert [kind for _, kind, _ in added] == ["request.refused"] * case.recorded
    assert events(ledger)[: len(before)] == before


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_pool_file_is_named_with_its_line(run_cli: Run, ledger: Path, name: str) -> None:
    """`pool check`, `diff` and `apply` say file, line and what was expected; nothing is applied."""
    before = events(ledger)
    for act in ("check", "diff", "apply"):
        done = run_cli("pool", act, f"{name}.toml", env={"GPULEDGER": str(ledger)})
        holds(done, CONFIG)
        assert f"{name}.toml" in done.stderr
    assert events(ledger) == before


def test_a_swapped_card_that_is_held_stays(run_cli: Run, ledger: Path) -> None:
    """A pool file with another card where one is held is a conflict."""
    done = run_cli("pool", "apply", "swapped.toml", env={"GPULEDGER": str(ledger)})
    holds(done, CONFLICT)


@pytest.mark.parametrize("text", ["a\x1b[31mb", "a\nb", "a\x00b"[:1] + "\x07", "a\u2028b", ""])
def test_control_characters_are_no_names(run_cli: Run, ledger: Path, text: str) -> None:
    """An escape sequence or a newline in a name is refused, and shown escaped."""
    before = events(ledger)
    holds(run_cli("allocate", text, "1", env={"GPULEDGER": str(ledger)}), USAGE)
    holds(run_cli("release", text, env={"GPULEDGER": str(ledger)}), USAGE)
    if text:
        note = run_cli("allocate", "t", "1", "--note", text, env={"GPULEDGER": str(ledger)})
        holds(note, USAGE)
    assert events(ledger) == before


def test_bytes_that_are_no_text_are_refused(run_cli: Run, ledger: Path) -> None:
    """An argument that is not UTF-8 is one sentence."""
    holds(run_cli("allocate", b"\xff".decode(errors="surrogateescape"), "1"), USAGE)


def _another(path: Path) -> None:
    with sqlite3.connect(path) as conn:
        conn.execute("CREATE TABLE events (a)")
    conn.close()


def _newer(path: Path) -> None:
    with sqlite3.connect(path) as conn:
        conn.execute("PRAGMA user_version = 99")
    conn.close()


WHERE = {
    "missing": (lambda path: path.unlink(), CONFIG),
    "a folder": (lambda path: (path.unlink(), path.mkdir()), 65),
    "empty": (lambda path: path.write_bytes(b""), 65),
    "text": (lambda path: path.write_text("these are not the bytes you want\n" * 99), 65),
    "another database": (lambda path: (path.unlink(), _another(path)), 65),
    "newer": (_newer, 65),
}


@pytest.mark.parametrize("kind", WHERE)
def test_what_is_no_ledger_is_said(run_cli: Run, ledger: Path, kind: str) -> None:
    """No file, a folder, another file, a newer format: reading and writing say which."""
    spoil, code = WHERE[kind]
    spoil(ledger)
    for words in (["status"], ["allocate", "t", "1"], ["history"], ["audit", "verify"]):
        holds(run_cli(*words, env={"GPULEDGER": str(ledger)}), code)
