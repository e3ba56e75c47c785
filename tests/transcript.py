"""Transcripts: console sessions as text, read, run anew, and compared line by line.

A line that begins with `$ ` is a command, what follows is what it says (stderr, then stdout),
`[exit N]` its exit code where that is not 0, and `# ` begins a remark. Known commands are
`gpuledger …`, with `> FILE` where its output goes into a file, `cat > FILE` with the file's
lines behind `> `, `mkdir FOLDER`, and `mv FROM TO` for what is taken away and
comes back. A command that ends with ` &` waits in line while the session goes on;
`wait` tells what it said in the end. What differs from run to run stands as `<time>`, `<hash>`,
`<me>` …; how many spaces part two columns does not count, since names and times have their lengths.

`python tests/transcript.py` writes all of them anew; what changed shows in the diff.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).with_name("transcripts")
NOT_SESSIONS = ("sentences",)
RECENT = timedelta(days=9)
"""Times of the last week are of this run; what was imported is older, and stands as it is."""
FILE_END = "> END"

TIME = r"(20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d)"
PLACEHOLDERS = (
    (r"(?<=/gpuledger-)(\d+)-\w{8}\b", r"\1-<random>"),
    (r"(?<=\.aside-)\d{8}T\d{6}Z(-\d+)?", "<time>"),
    (r"(?m)^(— \S+ )\S{92}$", r"\1<signature>"),
    (r"(— \S+ )[\w+/]{91}=", r"\1<signature>"),
    (r"(?<=[0-9a-f]{32})\+[0-9a-f]{8}\+[\w+/]{44}", "+<key>"),
    (r"(?<![\w+/])[\w+/]{43}=|(?<=\\n)[\w+/]{43}=", "<root>"),
    (r"<folder>/(?:home/)?\.config", "<folder>/.config"),
    (r"\b[0-9a-f]{64}\b", "<hash>"),
    (r"\b[0-9a-f]{32}\b", "<id>"),
    (r"(?<=head \d:)[0-9a-f]{16}\b|(?<=head \d\d:)[0-9a-f]{16}\b", "<hash>"),
    (r"(?m)^admins: .*$", "admins: <me>"),
    (r"(?m)^users = \[.*\]$", 'users = ["<me>"]'),
    (r'uid:\d+|(?<="uid": )\d+|(?<="uid":)\d+', "<uid>"),
    (r"\b(held for|took +) ?(?:\d+m)?\d[\d.]* ?s\b", r"\1 <time>"),
    (r"(?<= )(?:\d+m)?\d+s\?", "<time>?"),
    (r"(take it back: .*--lease )\S+", r"\1<time>"),
    (r", in \d+[hdm]\d\d[ms]?\b", ", in <time>"),
    (r"<time>( +)\d+h\d\dm$", r"<time>\1<time>"),
    (r"(?m) (\d+m)?\d+s$", " <time>"),
    (r"(?m)<time>,\d+(,|$)", r"<time>,<time>\1"),
    (r"(?m) (?:\d+m)?\d+s( +)(?:<time>|(?:\d+[hm])?\d+[ms])$", r" <time>\1<time>"),
    (r"\b\d{3,}-\d\d:\d\d:\d\d", "<time>"),
    (r'("(?:held_s|elapsed_s|waited_s|left_s|clock|seconds)": ?)[\d.]+', r"\1<time>"),
)
"""What differs from run to run, and what stands for it."""

Run = Callable[..., subprocess.CompletedProcess[str]]


class Step(NamedTuple):
    """A command with the lines that it takes, and the lines that are expected of it."""

    command: str
    given: tuple[str, ...]
    expected: tuple[str, ...]


class Ran(NamedTuple):
    """What a step said, and its whole answer where it was a gpuledger command."""

    step: Step
    lines: list[str]
    words: list[str]
    stdout: str
    code: int


def names() -> list[str]:
    """Every transcript that is a session."""
    return sorted(path.stem for path in FOLDER.glob("*.txt") if path.stem not in NOT_SESSIONS)


def text_of(name: str) -> str:
    """A transcript as it lies there."""
    return (FOLDER / f"{name}.txt").read_text(encoding="utf-8")


def steps(text: str) -> Iterator[Step]:
    """The commands of a session, each with what is expected."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, *lines = part.rstrip("\n").split("\n")
        given: list[str] = []
        if command.startswith("cat > "):
            end = lines.index(FILE_END) + 1
            given, lines = lines[:end], lines[end:]
        expected = [line for line in lines if not line.startswith("# ")]
        yield Step(command, tuple(given), tuple(expected))


def replay(text: str, run: Run, folder: Path, ledger: Path) -> Iterator[Ran]:
    """Run a session's commands one after another in `folder`, on the ledger at `ledger`."""
    heads: dict[str, str] = {}
    waiting: list[Future[subprocess.CompletedProcess[str]]] = []
    for step in steps(text):
        if step.given:
            file = folder / step.command.removeprefix("cat > ").partition(" ")[0]
            file.write_text("".join(f"{line[2:]}\n" for line in step.given[:-1]), encoding="utf-8")
            yield Ran(step, [], [], "", 0)
            continue
        if moved := re.fullmatch(r"(mkdir|mv) (\S+)(?: (\S+))?", step.command):
            _move(folder, *moved.groups())
            yield Ran(step, [], [], "", 0)
            continue
        if step.command == "wait":
            done = waiting.pop(0).result()
            yield Ran(step, _said(done, folder, ledger), [], "", done.returncode)
            continue
        told, _, target = step.command.partition(" > ")
        told, ampersand, _ = told.partition(" &")
        program, *words = shlex.split(told)
        assert program == "gpuledger", step.command
        words = [heads.get(word, word) for word in words]
        if ampersand:
            waiting.append(_in_line(run, words, ledger))
            yield Ran(step, [], [], "", 0)
            continue
        done = run(*words, env={"GPULEDGER": str(ledger), "TMPDIR": str(folder)})
        stdout = done.stdout
        if found := re.search(r"^head (\S+)$", stdout, re.MULTILINE):
            heads["<head>"] = found[1]
        if target:
            (folder / target).write_text(stdout, encoding="utf-8")
            stdout = ""
        lines = _said(done, folder, ledger, stdout)
        yield Ran(step, lines, words, stdout, done.returncode)


def _move(folder: Path, act: str, name: str, other: str | None) -> None:
    """Make a folder, or give another name to what lies there."""
    if act == "mkdir":
        (folder / name).mkdir()
    else:
        assert other is not None
        (folder / name).rename(folder / other)


def _said(
    done: subprocess.CompletedProcess[str], folder: Path, ledger: Path, stdout: str | None = None
) -> list[str]:
    """What a command said, and its exit code where that is not 0."""
    told = done.stderr + (done.stdout if stdout is None else stdout)
    lines = normal(told, folder, ledger).splitlines()
    return lines if not done.returncode else [*lines, f"[exit {done.returncode}]"]


def _in_line(run: Run, words: list[str], ledger: Path) -> Future[subprocess.CompletedProcess[str]]:
    """Run a command in a thread, until it stands in line."""
    from gpuledger.handle import Ledger

    with Ledger(str(ledger)) as book:
        before = book.head().seq
        pool = ThreadPoolExecutor(1)
        future = pool.submit(run, *words, env={"GPULEDGER": str(ledger)})
        pool.shutdown(wait=False)
        while book.head().seq == before and not future.done():
            wait([future], timeout=0.01)
    return future


def compared(lines: Iterable[str]) -> list[str]:
    """What counts of some lines: nothing that depends on the length of names and times."""
    return [_alike(line) for line in lines if line.strip()]


def _alike(line: str) -> str:
    """A line without what depends on the length of names and times."""
    return re.sub(r" {2,}", "  ", re.sub(r"(?<= )--+|--+(?= |$)", "--", line)).strip()


def normal(text: str, folder: Path, ledger: Path) -> str:
    """A text with placeholders for what differs from run to run."""
    text = re.sub(rf"{TIME}(\.\d+)?(Z|[+-]\d\d:\d\d)( {{2,}})?", _time, text)
    for wanted, put in (
        (re.escape(str(ledger)), "<ledger>"),
        (re.escape(str(folder)), "<folder>"),
        *_names(),
        *PLACEHOLDERS,
    ):
        text = re.sub(wanted, put, text)
    return text


def _names() -> Iterator[tuple[str, str]]:
    """This user and this machine, wherever a whole word is their name."""
    from gpuledger.cli.actor import current, host_name

    for name, put in ((current().user, "<me>"), (host_name(), "<host>")):
        if name:
            yield rf"(?<![\w./-]){re.escape(name)}(?![\w/-])", put


def _time(found: re.Match[str]) -> str:
    """A time of just now as `<time>`, as wide as it was in front of another column."""
    at = datetime.fromisoformat(found[1]).replace(tzinfo=UTC)
    if abs(datetime.now(UTC) - at) > RECENT:
        return found[0]
    return "<time>".ljust(len(found[0])) if found[4] else "<time>"


def rewritten(text: str, ran: Iterator[Ran]) -> str:
    """The session with what its commands say now."""
    remarks = re.split(r"^\$ .*$", text, flags=re.MULTILINE)
    out = [remarks[0]]
    for one, after in zip(ran, remarks[1:], strict=True):
        body = [f"$ {one.step.command}", *one.step.given, *one.lines]
        blank = [line for line in after.splitlines() if line.startswith("# ")]
        out.append("\n".join([*body, *(["", *blank] if blank else [])]) + "\n")
    return "".join(out)


def _write() -> None:
    """Run every session anew and write down what is said."""
    for name in names():
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)

            def run(*words: str, env: dict[str, str], at: str = place) -> object:
                return subprocess.run(
                    [sys.executable, "-m", "gpuledger", *words],
                    cwd=at, env={"PATH": os.environ["PATH"], "TZ": "UTC", "LANG": "C.UTF-8",
                                 "HOME": at, **env},
                    stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                )  # fmt: skip

            text = text_of(name)
            ran = replay(text, run, folder, folder / "ledger.db")  # type: ignore[arg-type]
            (FOLDER / f"{name}.txt").write_text(rewritten(text, ran), encoding="utf-8")


if __name__ == "__main__":
    _write()
