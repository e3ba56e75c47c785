"""How-to pages that are played: what a page shows is what the program says, word for word.

A `console` block holds commands behind a person's name, `ada$ gpuledger status`, and what they
say. Each is run by a shell as that person, on one ledger a page. A remark that nobody sees
before a block sets the scene: `<!-- at 2026-07-03T17:40:00Z -->` the time, from which every
command is a second later, `<!-- on h100-01 -->` the host, `<!-- file pool.toml -->` the file
that the next block holds. So nothing differs from run to run, but for a few names made of chance.

`python tests/howto.py` writes what is said into the pages; what changed shows in the diff.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "howto"
CHILD = Path(__file__).with_name("howto_child.py")
CHANCE = "k3v9x2qa"
DIFFERS = {
    r"/home/\w+/(gpuledger-\d+)-\w{8}\b": rf"/tmp/\1-{CHANCE}",
    r"\baside-\d{8}T\d{6}Z\b": "aside-20260701T090030Z",
    r"\bgpuledger/[0-9a-f]{32}\b": "gpuledger/5b1f0c66d2a94e7f8f3a90c1e2d47b85",
    r"\b(head \d+):[0-9a-f]{16}\b": r"\1:9f3c2a71d05be846",
}
"""What differs from run to run all the same, and what a page shows for it."""
SHOWN_AS = "/var/lib/gpuledger/ledger.db"
BLOCK = re.compile(r"((?:^<!-- [^\n]* -->\n)*)^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
REMARK = re.compile(r"^<!-- (at|on|file) (\S+) -->$", re.MULTILINE)
PROMPT = re.compile(r"^(\w+)\$ (.*)$", re.MULTILINE)
AT_PROMPT = re.compile(r"^(?=\w+\$ )", re.MULTILINE)
SHELL = 'gpuledger() {{ {python} {child} {person} {at} {host} "$@"; }}\n{command}'


class Said(NamedTuple):
    """What one command of a page says, and what the page has it say."""

    prompt: str
    said: str
    shown: str


class Stage:
    """One page's folder with its ledger, the time and the host."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.at = datetime.fromisoformat("2026-07-01T09:00:00Z")
        self.host = "login"

    def remark(self, what: str, value: str) -> None:
        """Set the scene; a file is set by the block that holds it."""
        if what == "at":
            self.at = datetime.fromisoformat(value)
        elif what == "on":
            self.host = value

    def run(self, person: str, command: str) -> str:
        """What a command says, on stdout and stderr."""
        at_us = round(self.at.timestamp() * 1_000_000)
        self.at = datetime.fromtimestamp(self.at.timestamp() + 1, self.at.tzinfo)
        command = command.replace("/tmp/", f"{self.folder}/").replace(f"-{CHANCE}/", "-*/")
        script = SHELL.format(
            python=sys.executable, child=CHILD, person=person, at=at_us, host=self.host,
            command=command,
        )  # fmt: skip
        done = subprocess.run(
            ["sh", "-c", script], cwd=self.folder, check=False, timeout=120,
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder), "TZ": "UTC",
                 "LANG": "C.UTF-8", "TMPDIR": str(self.folder),
                 "GPULEDGER": str(self.folder / "ledger.db")},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        said = done.stdout.replace(str(self.folder / "ledger.db"), SHOWN_AS)
        said = said.replace(str(self.folder), f"/home/{person}")
        for differs, put in DIFFERS.items():
            said = re.sub(differs, put, said)
        return said


def pages() -> list[str]:
    """The names of the pages."""
    return sorted(path.stem for path in FOLDER.glob("*.md"))


def text_of(page: str) -> str:
    """A page as it lies there."""
    return (FOLDER / f"{page}.md").read_text(encoding="utf-8")


def play(text: str, folder: Path) -> Iterator[list[Said]]:
    """Play a page in a folder of its own: the commands of each console block."""
    stage = Stage(folder)
    for remarks, language, body in BLOCK.findall(text):
        for what, value in REMARK.findall(remarks):
            stage.remark(what, value)
            if what == "file":
                (folder / value).write_text(body, encoding="utf-8")
        if language == "console":
            yield [
                _played(stage, part)
                for part in re.split(r"^(?=\w+\$ )", body, flags=re.MULTILINE)[1:]
            ]


def _played(stage: Stage, part: str) -> Said:
    prompt, _, shown = part.partition("\n")
    found = PROMPT.match(prompt)
    assert found, prompt
    return Said(prompt, stage.run(found[1], found[2]), shown)


def rewritten(text: str, folder: Path) -> str:
    """The page with what its commands say now."""
    played = play(text, folder)

    def block(found: re.Match[str]) -> str:
        if found[2] != "console":
            return found[0]
        told = "".join(f"{one.prompt}\n{one.said}" for one in next(played))
        return f"{found[1]}```console\n{told}```"

    return BLOCK.sub(block, text)


def _write() -> None:
    for page in pages():
        with tempfile.TemporaryDirectory() as place:
            text = rewritten(text_of(page), Path(place))
        (FOLDER / f"{page}.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    _write()
