"""docs/CLI.md is what the commands' help says, and leaves nothing out."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from conftest import ROOT, RunCli
from gpuledger.cli import exit as exits
from gpuledger.cli.program import COMMANDS
from groups import GROUPS

DOCUMENT = ROOT / "docs" / "CLI.md"
TEXT = DOCUMENT.read_text(encoding="utf-8")
PAGES = dict(
    re.findall(r"^## (gpuledger.*?)\n\n```text\n(.*?)```$", TEXT, re.MULTILINE | re.DOTALL)
)
NAMES = [
    "gpuledger",
    *(f"gpuledger {name}" for name in COMMANDS),
    *(f"gpuledger {group} {name}" for group, names in GROUPS.items() for name in names),
]


def test_it_is_as_its_script_makes_it() -> None:
    """`python docs/make_cli.py` would change nothing."""
    made = runpy.run_path(str(ROOT / "docs" / "make_cli.py"))
    assert made["document"]() == TEXT


def test_every_command_is_in_it() -> None:
    """Each command and each group has its page, and nothing else has one."""
    assert sorted(PAGES) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_help_says_what_the_document_says(run_cli: RunCli, tmp_path: Path, name: str) -> None:
    """`--help` of a whole command prints the page, with 0, and needs no ledger."""
    words = name.split()[1:]
    done = run_cli(*words, "--help", env={"COLUMNS": "100", "GPULEDGER": str(tmp_path / "none")})
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.rstrip() == PAGES[name].rstrip()


@pytest.mark.parametrize("name", NAMES)
def test_a_page_has_all_that_a_page_should(name: str) -> None:
    """Every page has a sentence on top, examples that begin with the program, short lines."""
    page = PAGES[name]
    usage, sentence, *_ = (part.strip() for part in page.split("\n\n"))
    assert usage.startswith(f"Usage: {name} ")
    assert sentence.endswith((".", ":"))
    examples = page.partition("Examples:\n")[2].splitlines()
    assert examples
    assert all("gpuledger" in line for line in examples)
    assert max(map(len, page.splitlines())) <= 100


def test_every_exit_code_is_told() -> None:
    """The list at the end has each code that the program can end with."""
    told = {int(code) for code in re.findall(r"^- \*\*(\d+)\*\* \S", TEXT, re.MULTILINE)}
    assert told == {value for value in vars(exits).values() if isinstance(value, int)}
