"""Used from a shell: eval and `|| exit`, pipes that close, Ctrl-C, the lock, disks and modes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from people import Person, Program, a_program, interpreter
from plain_log import child, said

Run = Callable[..., subprocess.CompletedProcess[str]]
Shell = Callable[[str], subprocess.CompletedProcess[str]]
SOMEBODY = Person("uid-64323", 64_323, 64_323)
FULL_DISK = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
POSIX = pytest.mark.skipif(os.name != "posix", reason="a POSIX shell, signals and pipes")
ANSWERS = (
    ["status"], ["status", "--json"], ["history", "-P"], ["list", "--csv"], ["export"], ["--help"],
    ["status", "--help"], ["--version"], ["pool", "template"], ["audit", "verify"],
)  # fmt: skip


@pytest.fixture
def run(run_cli: Run, ledger_path: Path) -> Run:
    """A command on this test's ledger of 2 servers with 4 GPUs each, one task on it."""

    def command(*words: str | Path) -> subprocess.CompletedProcess[str]:
        return run_cli(*words, env={"GPULEDGER": str(ledger_path)})

    made = command("init", "--servers", "2", "--gpus-per-server", "4", "--cpus-per-server", "32")
    assert made.returncode == 0
    assert command("allocate", "first", "1", "2").returncode == 0
    return command


@pytest.fixture
def started(
    cli_command: Sequence[str], cli_env: dict[str, str], ledger_path: Path
) -> Callable[..., subprocess.Popen[str]]:
    """Start a command and go on."""

    def start(*words: str, stdout: int = subprocess.PIPE) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*cli_command, *words],
            env={**cli_env, "GPULEDGER": str(ledger_path)},
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=_as_from_a_terminal,  # noqa: PLW1509 - one signal, no locks
        )

    return start


def _as_from_a_terminal() -> None:
    """A shell's background jobs ignore Ctrl-C, and the tests may be one; the command is none."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture
def shell(run: Run, cli_env: dict[str, str], ledger_path: Path) -> Shell:
    """Run a script in which `gpuledger` is the command."""

    def script(text: str) -> subprocess.CompletedProcess[str]:
        assert run is not None
        return subprocess.run(
            ["sh", "-c", f'gpuledger() {{ "$PYTHON" -m gpuledger "$@"; }}\n{text}'],
            env={**cli_env, "GPULEDGER": str(ledger_path), "PYTHON": sys.executable},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    return script


def events(path: Path) -> list[tuple[object, ...]]:
    """Every event's row; read as a writer, so that no -wal and -shm of ours stay behind."""
    conn = sqlite3.connect(f"file:{path}?mode=rw", uri=True)
    rows = conn.execute("SELECT * FROM events ORDER BY seq").fetchall()
    conn.close()
    return rows


def one_sentence(done: subprocess.CompletedProcess[str], code: int) -> str:
    """What a failed command says: one sentence on stderr, nothing on stdout."""
    assert done.returncode == code, (done.stdout, done.stderr)
    assert done.stdout == ""
    assert done.stderr.startswith("gpuledger: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


@POSIX
def test_export_is_for_eval(shell: Shell) -> None:
    """After `eval` the four variables stand in the environment of what the shell starts."""
    done = shell(
        'env=$(gpuledger allocate train 2 16 --export) || exit; eval "$env"\n'
        "env | grep -E '^(GPULEDGER_[AS]|CUDA)' | sort"
    )
    assert done.stdout.splitlines() == [
        "CUDA_DEVICE_ORDER=PCI_BUS_ID",
        "CUDA_VISIBLE_DEVICES=1,2",
        "GPULEDGER_ALLOCATION=3",
        "GPULEDGER_SERVER=gpu-server-0",
    ]
    assert "these are GPUs of gpu-server-0" in done.stderr


@POSIX
def test_short_is_the_cuda_list(shell: Shell, run: Run) -> None:
    """`--short` prints the list alone, and the note on another host goes to stderr."""
    done = shell('gpus=$(gpuledger allocate train 2 --short) || exit; echo "<$gpus>"')
    assert done.stdout == "<1,2>\n"
    assert done.returncode == 0
    one_sentence(run("allocate", "both", "8", "--servers", "2", "--short"), 2)


@POSIX
@pytest.mark.parametrize("form", ["--short", "--export"])
@pytest.mark.parametrize(("ask", "code"), [("big 9", 2), ("first 1", 5), ("t 4 --servers 1", 4)])
def test_a_refusal_leaves_nothing_to_eval(shell: Shell, form: str, ask: str, code: int) -> None:
    """Refused, `$x` is empty, `|| exit` ends the script with the code, and no job starts."""
    shell("gpuledger allocate filler 4 4 --on gpu-server-1")
    seen = shell(f'x=$(gpuledger allocate {ask} {form}); echo "$?<$x>"')
    assert seen.stdout == f"{code}<>\n"
    ended = shell(f'x=$(gpuledger allocate {ask} {form}) || exit; eval "$x"; echo started')
    assert (ended.returncode, ended.stdout) == (code, "")
    assert ended.stderr.startswith("gpuledger: ")


@POSIX
@pytest.mark.parametrize("words", ANSWERS, ids=" ".join)
def test_a_closed_pipe_ends_in_silence(
    run: Run, started: Callable[..., subprocess.Popen[str]], words: list[str]
) -> None:
    """`gpuledger history | head -0`: 141, and not a word about it."""
    assert run is not None
    read, write = os.pipe()
    os.close(read)
    process = started(*words, stdout=write)
    os.close(write)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 141
    assert [line for line in stderr.splitlines() if "window" not in line] == []


@POSIX
def test_an_answer_that_nobody_read_is_recorded_all_the_same(
    run: Run, started: Callable[..., subprocess.Popen[str]], ledger_path: Path
) -> None:
    """A grant whose answer met a closed pipe stands; asked again with its key it is told."""
    before = events(ledger_path)
    read, write = os.pipe()
    os.close(read)
    process = started("allocate", "train", "1", "2", "--key", "k", stdout=write)
    os.close(write)
    assert process.communicate(timeout=60)[1] == ""
    assert process.returncode == 141
    assert len(events(ledger_path)) == len(before) + 1
    assert run("allocate", "train", "1", "2", "--key", "k").stdout.startswith("granted @3 train")
    assert len(events(ledger_path)) == len(before) + 1


@FULL_DISK
@pytest.mark.parametrize("words", ANSWERS, ids=" ".join)
def test_stdout_on_a_full_disk(
    run: Run,
    started: Callable[..., subprocess.Popen[str]],
    ledger_path: Path,
    words: list[str],
) -> None:
    """What cannot be written down is said, 74, and nothing was changed."""
    assert run is not None
    before = events(ledger_path)
    with Path("/dev/full").open("w") as full:
        process = started(*words, stdout=full.fileno())
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 74
    assert stderr.splitlines()[-1] == (
        "gpuledger: the answer could not be written: No space left on device"
    )
    assert "Traceback" not in stderr
    assert events(ledger_path) == before


@FULL_DISK
@pytest.mark.parametrize(
    ("words", "step"),
    [
        ("allocate t2 1", "t2 is held all the same; give back: gpuledger release @3"),
        ("allocate t2 1 --short", "t2 is held all the same; give back: gpuledger release @3"),
        ("allocate t2 1 --json", "t2 is held all the same; give back: gpuledger release @3"),
        ("release first", "event 3 is recorded all the same; gpuledger list shows what is held"),
    ],
)
@pytest.mark.parametrize("closed", [False, True])
def test_what_was_done_is_said_though_the_answer_is_lost(
    shell: Shell, words: str, step: str, closed: bool
) -> None:
    """Whoever cannot be told what he was granted is told how to give it back: 74."""
    done = shell(f"gpuledger {words} {'>&-' if closed else '> /dev/full'}")
    assert (done.returncode, done.stdout) == (74, "")
    *_, last = done.stderr.splitlines()
    assert last.startswith("gpuledger: the answer could not be written: ")
    assert last.endswith(f"; {step}")


def waits(process: subprocess.Popen[str]) -> bool:
    """Whether a process stands in the kernel's queue for a lock."""
    lines = Path("/proc/locks").read_text().splitlines()
    return any(" -> " in line and str(process.pid) in line.split() for line in lines)


@pytest.mark.needs("linux")
@pytest.mark.parametrize("words", ["allocate train 1", "release first", "reset --yes"])
def test_ctrl_c_while_waiting(
    run: Run, started: Callable[..., subprocess.Popen[str]], ledger_path: Path, words: str
) -> None:
    """Ctrl-C in the queue for the lock: 130 at once, nothing recorded, no lock left."""
    before = events(ledger_path)
    with child("hold", ledger_path) as holder:
        assert said(holder) == "held"
        process = started(*words.split())
        while not waits(process):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
        assert (process.returncode, stdout, stderr) == (130, "", "")
        assert holder.poll() is None
    assert events(ledger_path) == before
    done = run("allocate", "after", "1", "--lock-timeout", "0")
    assert done.stdout.startswith("granted @3 after")


def test_a_time_out_names_the_holder(run: Run, ledger_path: Path) -> None:
    """75 with the process, the user, the host and the time since when; reading goes on."""
    before = events(ledger_path)
    with child("hold", ledger_path) as holder:
        assert said(holder) == "held"
        sentence = one_sentence(run("release", "first", "--lock-timeout", "0.1"), 75)
        assert f"process {holder.pid}, on {os.uname().nodename}, since 20" in sentence
        told = json.loads(run("release", "first", "--lock-timeout", "0", "--json").stdout)
        assert told["error"]["facts"]["pid"] == holder.pid
        assert told["error"]["facts"]["waited_s"] == 0
        assert run("status").returncode == 0
    assert events(ledger_path) == before


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.needs("root", "linux", "mount")
def test_the_ledgers_disk_is_full(run_cli: Run, disk: Path) -> None:
    """74 with the ledger as it was; reading goes on, and with room the next command works."""
    path = disk / "ledger.db"
    env = {"GPULEDGER": str(path)}
    assert run_cli("init", env=env).returncode == 0
    assert run_cli("allocate", "held", "2", env=env).returncode == 0
    before = events(path)
    fill = disk / "fill"
    with fill.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    for words in ("allocate train 1", "release held", "drain gpu-server-0", "reset --yes"):
        assert "is full; make room" in one_sentence(run_cli(*words.split(), env=env), 74)
    for words in ("status", "list", "history", "audit verify", "export"):
        read = run_cli(*words.split(), env=env)
        assert read.returncode == 0, (words, read.stderr)
    fill.unlink()
    assert events(path) == before
    assert run_cli("audit", "verify", env=env).returncode == 0
    assert run_cli("allocate", "train", "1", env=env).stdout.startswith("granted @3 train")


@pytest.fixture(scope="module")
def program(root: Path, needs: Callable[..., None]) -> Iterator[Program]:
    """The program for a user who owns nothing here."""
    needs("root", "linux")
    python = interpreter()
    if python is None:
        needs("an interpreter of this version that everybody can execute")
        return
    with a_program(root, python) as made:
        yield made


@pytest.fixture
def theirs(program: Program) -> Iterator[Path]:
    """A ledger that an unprivileged user made, in a folder of his own."""
    folder = Path(tempfile.mkdtemp(dir=program.folder))
    os.chown(folder, SOMEBODY.uid, SOMEBODY.gid)
    path = folder / "ledger.db"
    for words in ("init", "allocate held 2 16"):
        done = program.run(SOMEBODY, "--ledger", path, *words.split())
        assert done.returncode == 0, done.stderr
    yield path
    folder.chmod(0o700)
    shutil.rmtree(folder)


@pytest.mark.needs("root", "linux")
@pytest.mark.xdist_group("team")
@pytest.mark.parametrize("what", ["file", "folder", "both"])
def test_what_is_read_only_is_not_written(program: Program, theirs: Path, what: str) -> None:
    """Read-only file or folder: writing is 77 in one sentence, reading goes on, nothing changes."""
    before = events(theirs)
    if what in ("file", "both"):
        theirs.chmod(0o444)
    if what in ("folder", "both"):
        theirs.parent.chmod(0o555)
    for words in ("allocate train 1", "release held", "reset --yes", "rebuild"):
        one_sentence(program.run(SOMEBODY, "--ledger", theirs, *words.split()), 77)
    for words in ("status", "list", "history", "audit verify"):
        done = program.run(SOMEBODY, "--ledger", theirs, *words.split())
        assert done.returncode == 0, (words, done.stderr)
    theirs.parent.chmod(0o700)
    theirs.chmod(0o600)
    assert events(theirs) == before
    done = program.run(SOMEBODY, "--ledger", theirs, "release", "held")
    assert done.returncode == 0, done.stderr
