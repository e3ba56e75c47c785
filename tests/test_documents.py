"""Nothing in the documents is made up: what they name, files, commands and links, is there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

DOCS = Path(__file__).resolve().parent.parent / "docs"
ROOT = DOCS.parent
TEXTS = sorted(DOCS.rglob("*.md"))
NAMES = [str(path.relative_to(DOCS)) for path in TEXTS]
ARCHITECTURE = (DOCS / "ARCHITECTURE.md").read_text(encoding="utf-8")
INVARIANTS = ARCHITECTURE.partition("## Invariants")[2].partition("\n## ")[0]


@pytest.mark.parametrize("number", range(1, 13))
def test_each_invariant_names_tests_that_exist(number: int) -> None:
    """Each of the twelve invariants stands in ARCHITECTURE.md with the test files that hold it."""
    told = re.search(
        rf"^{number}\. \*\*(.*?)(?=^\d+\. \*\*|^$)", INVARIANTS, re.MULTILINE | re.DOTALL
    )
    assert told is not None
    named = re.findall(r"`(test_\w+\.py)`", told[1])
    assert named
    assert [name for name in named if not (ROOT / "tests" / name).is_file()] == []


@pytest.mark.parametrize("name", NAMES)
def test_files_that_are_named_exist(name: str) -> None:
    """A file of the source tree that a document names by its path is there."""
    text = (DOCS / name).read_text(encoding="utf-8")
    paths = re.findall(r"`((?:api|cli|docs|ledger|replay|tests)/[\w./-]+)`", text)
    assert [path for path in paths if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name: str) -> None:
    """A link from one document to another names a file or folder that is there."""
    text = (DOCS / name).read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)#:]+)\)", text)
    assert [one for one in targets if not (DOCS / name).parent.joinpath(one).exists()] == []


def test_decisions_are_numbered() -> None:
    """The records of decisions are numbered 1, 2, 3 … and carry their number in the title."""
    files = sorted((DOCS / "decisions").glob("[0-9]*.md"))
    assert [int(path.name[:2]) for path in files] == list(range(1, len(files) + 1))
    for number, path in enumerate(files, 1):
        assert path.read_text(encoding="utf-8").startswith(f"# {number}. ")


def shown(text: str) -> list[str]:
    """The commands that stand in a document between backticks, without what a shell adds."""
    text = text.replace(r"\|", "|")
    found = re.findall(r"gpuledger ([a-z]+[^`\n&)|>…]*)", "\n".join(re.findall(r"`[^`\n]*`", text)))
    return [line for line in found if not line.startswith("to ")]


@pytest.mark.parametrize("name", [name for name in NAMES if name != "FORMAT.md"])
def test_commands_that_are_shown_exist(name: str) -> None:
    """Each `gpuledger …` names a command and options that the program has."""
    from gpuledger.cli.program import program

    for line in shown((DOCS / name).read_text(encoding="utf-8")):
        command: click.Command = program()
        context = click.Context(command)
        words = shlex.split(line)
        while isinstance(command, click.Group):
            found = command.get_command(context, words.pop(0))
            assert found is not None, line
            command = found
        known = {option for param in command.params for option in param.opts}
        asked = {word.partition("=")[0] for word in words if re.match("--?[A-Za-z]", word)}
        assert asked <= known, line
