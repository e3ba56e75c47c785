"""A TOML file read with its line numbers, so that every complaint names file, line and key.

`tomllib` tells no lines of keys. A small scan of the text finds the line on which each
table and key stands; where a file is written in a way that the scan does not follow
(inline tables, dotted keys), the line of the nearest table is told, or none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NoReturn, cast

from ..ledger.errors import GpuledgerError

Where = tuple[str | int, ...]
"""The way to a value: `("server", 0, "gpu", 2, "uuid")`."""
Table = dict[str, object]

_HEADER = re.compile(r"\s*(\[\[?)\s*([^\]]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"""\s*("[^"]*"|'[^']*'|[A-Za-z0-9_-]+)\s*=""")
_AT_LINE = re.compile(r"at line (\d+)")


class BadConfiguration(GpuledgerError):
    """A configuration file holds something else than was expected.

    `path` names the file, `line` the line where known, `key` the key as a reader finds
    it (`[limits] lease`), `expected` is a short English phrase, `found` what stands there.
    `problem` is `syntax`, `unknown` (a key), `missing` or `wrong` (a value).
    """

    code = "bad_configuration"

    def __init__(
        self,
        path: str,
        expected: str,
        *,
        line: int | None = None,
        key: str | None = None,
        found: object = None,
        problem: str = "wrong",
    ) -> None:
        super().__init__(
            path=path, line=line, key=key, expected=expected, found=found, problem=problem
        )
        self.path = path
        self.line = line
        self.key = key
        self.expected = expected
        self.found = found


class TomlFile:
    """A parsed file: `root` is its content; the other methods take values out, checked."""

    def __init__(self, text: str | bytes, path: str) -> None:
        """Parse `text`, which came from `path`. Raises BadConfiguration."""
        self.path = path
        decoded = _decode(text, path) if isinstance(text, bytes) else text
        self.root = _parse(decoded, path)
        self.lines = scan(decoded)

    def fail(
        self, where: Where, expected: str, found: object = None, *, problem: str = "wrong"
    ) -> NoReturn:
        """Raise BadConfiguration for the value at `where`; nothing `found` there is missing."""
        line = next((self.lines[w] for w in _outwards(where) if w in self.lines), None)
        raise BadConfiguration(
            self.path,
            expected,
            line=line,
            key=key_text(where),
            found=found,
            problem="missing" if found is None else problem,
        )

    def only(self, table: Table, known: Iterable[str], where: Where) -> None:
        """Fail where the table holds a key that is not known."""
        for key in table:
            if key not in known:
                self.fail((*where, key), f"one of {', '.join(known)}", key, problem="unknown")

    def table(self, value: object, where: Where) -> Table:
        """The value as a table."""
        if not isinstance(value, dict):
            self.fail(where, "a table", value)
        return cast("Table", value)

    def tables(self, value: object, where: Where) -> list[Table]:
        """The value as a list of tables, `[[…]]`."""
        if not isinstance(value, list):
            self.fail(where, f"tables written [[{key_text(where, bare=True)}]]", value)
        listed = cast("list[object]", value)
        return [self.table(one, (*where, at)) for at, one in enumerate(listed)]

    def number(self, table: Table, where: Where, *, least: int = 1, most: int) -> int | None:
        """The whole number at `where`, whose last part is its key; None where it is absent."""
        value = table.get(str(where[-1]))
        if value is None:
            return None
        if type(value) is not int or not least <= value <= most:
            self.fail(where, f"a whole number from {least} to {most}", value)
        return value

    def text(self, table: Table, where: Where, *, most: int) -> str | None:
        """The text at `where`: 1 to `most` printable characters; None where it is absent."""
        value = table.get(str(where[-1]))
        return None if value is None else self._text(value, where, most)

    def texts(self, table: Table, where: Where, *, most: int) -> tuple[str, ...]:
        """The list of different texts at `where`; empty where it is absent."""
        value = table.get(str(where[-1]), [])
        if not isinstance(value, list):
            self.fail(where, "a list of texts in brackets", value)
        texts = tuple(self._text(one, where, most) for one in cast("list[object]", value))
        for at, text in enumerate(texts):
            if text in texts[:at]:
                self.fail(where, "each name once", text)
        return texts

    def _text(self, value: object, where: Where, most: int) -> str:
        if not isinstance(value, str):
            self.fail(where, "a text in quotes", value)
        if not (1 <= len(value) <= most and value.isprintable() and value.strip() == value):
            self.fail(where, f"1 to {most:,} printable characters, no spaces around them", value)
        return value


def key_text(where: Where, *, bare: bool = False) -> str:
    """The way to a key as a reader finds it in the file: `[[server.gpu]] uuid`."""
    names = [part for part in where if isinstance(part, str)]
    if bare or len(names) < 2:
        return ".".join(names)
    listed = any(isinstance(part, int) for part in where)
    head = ".".join(names[:-1])
    return f"[[{head}]] {names[-1]}" if listed else f"[{head}] {names[-1]}"


def scan(text: str) -> dict[Where, int]:
    """The line of each table and key that stands on a line of its own, from 1."""
    lines: dict[Where, int] = {}
    counts: dict[Where, int] = {}
    table: Where = ()
    quoted = False
    for number, line in enumerate(text.splitlines(), 1):
        began = quoted
        if (line.count('"""') + line.count("'''")) % 2:
            quoted = not quoted
        if began:
            continue
        header = _HEADER.match(line)
        key = _KEY.match(line)
        if header:
            table = _enter(header[2], listed=header[1] == "[[", counts=counts)
            lines.setdefault(table, number)
        elif key:
            lines.setdefault((*table, key[1].strip("\"'")), number)
    return lines


def _enter(name: str, *, listed: bool, counts: dict[Where, int]) -> Where:
    """The way to the table that a header opens; lists of tables count up from 0."""
    where: Where = ()
    parts = [part.strip().strip("\"'") for part in name.split(".")]
    for at, part in enumerate(parts):
        where = (*where, part)
        if listed and at == len(parts) - 1:
            counts[where] = counts.get(where, -1) + 1
        if where in counts:
            where = (*where, counts[where])
    return where


def _outwards(where: Where) -> Iterable[Where]:
    return (where[:length] for length in range(len(where), 0, -1))


def _decode(raw: bytes, path: str) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise BadConfiguration(path, "UTF-8 text", line=line, problem="syntax") from None


def _parse(text: str, path: str) -> Table:
    import tomllib

    try:
        return tomllib.loads(text)
    except RecursionError:
        raise BadConfiguration(path, "TOML that nests less deeply", problem="syntax") from None
    except ValueError as error:
        told = str(error)
        at = _AT_LINE.search(told)
        end = max(1, len(text.splitlines())) if "end of document" in told else None
        line = int(at[1]) if at else end
        why = told.partition(" (at ")[0]
        raise BadConfiguration(path, "TOML", line=line, found=why, problem="syntax") from None
