"""The source files as the tests about style, floors and packaging see them."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Each top folder and the package that it installs as, lowest floor first.
FOLDERS = {
    "ledger": "gpuledger.ledger",
    "replay": "gpuledger.replay",
    "api": "gpuledger",
    "cli": "gpuledger.cli",
}


@dataclass(frozen=True)
class Source:
    """One Python file: where it lies, what it installs as, and what is in it."""

    path: Path
    module: str

    @property
    def place(self) -> str:
        """The path as people write it, from the top of the tree."""
        return self.path.relative_to(ROOT).as_posix()

    @property
    def floor(self) -> str:
        """The top folder that it lies in."""
        return self.path.relative_to(ROOT).parts[0]

    @property
    def package(self) -> str:
        """The package from which its relative imports count."""
        return self.module if self.path.stem == "__init__" else self.module.rpartition(".")[0]

    @cached_property
    def text(self) -> str:
        """The file's text."""
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        """The file parsed."""
        return ast.parse(self.text, self.place)


def sources() -> list[Source]:
    """Every Python file of the four floors."""
    found = []
    for folder, package in FOLDERS.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            inside = path.relative_to(ROOT / folder).with_suffix("").parts
            parts = inside[:-1] if inside[-1] == "__init__" else inside
            found.append(Source(path, ".".join((package, *parts))))
    return found


def checks() -> list[Source]:
    """Every Python file of the tests and benchmarks."""
    return [
        Source(path, path.stem)
        for folder in ("tests", "benchmarks")
        for path in sorted((ROOT / folder).rglob("*.py"))
    ]
