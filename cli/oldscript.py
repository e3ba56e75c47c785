"""The pool of the script that came before: its three counts, read as text, never run.

`gpu_resource_manager_v01.py` and `config.py` hold them as assignments that people edited, at
the top level or in a class such as `class Config:`; the last one of a name counts, as it does
for Python. What is written is parsed with `ast`, and nothing else than whole numbers and plain
arithmetic of them is understood: no name is looked up and nothing is called, so that a file
can do no more than be wrong.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator, Mapping
from typing import NamedTuple, NoReturn

from ..replay.errors import BadRequest
from ..replay.facts import Pool
from .poolfile import MOST_CPUS, MOST_GPUS, MOST_SERVERS, uniform
from .poolsource import content, shown
from .tomlfile import BadConfiguration

NAMES = {
    "TOTAL_SERVERS": (4, MOST_SERVERS),
    "GPUS_PER_SERVER": (8, MOST_GPUS),
    "CPUS_PER_SERVER": (64, MOST_CPUS),
}
"""The three names, each with the value it came with and the most that it may be."""

MOST_BYTES = 1 << 20
"""A longer file is no script that people edit."""
MOST_NUMBER = 10**12
"""No step of the arithmetic may lead further from 0."""
MOST_TOLD = 200
"""Of what is written there, so many letters are told."""

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_SCOPES = (*_FUNCTIONS, ast.Lambda)
"""What is assigned in there is a name of its own, unless it says `global`."""


def script_pool(path: str, opened: Mapping[str, bytes] | None = None) -> Pool:
    """The pool that an edited script means, its servers named gpu-server-0 and so on.

    `opened` are files that were opened on another machine. Raises BadConfiguration with the
    line and the name; BadRequest where there is no such file or it is too long, NotPermitted
    where it may not be read.
    """
    text = opened[path] if opened and path in opened else script_content(path)
    return uniform(*read(text, path=shown(path)))


def script_content(path: str) -> bytes:
    """The bytes of a script. Raises BadRequest, NotPermitted, StorageFailed."""
    expected = "the old script or its config.py, a file that is there"
    found = content(path, field="--from", expected=expected, most=MOST_BYTES)
    if len(found) > MOST_BYTES:
        raise BadRequest("--from", path, "a script of at most 1 MiB")
    return found


def read(text: bytes, *, path: str) -> tuple[int, int, int]:
    """TOTAL_SERVERS, GPUS_PER_SERVER and CPUS_PER_SERVER as a script assigns them.

    `path` is the file as people are told of it. Raises BadConfiguration.
    """
    script = _parsed(text, path)
    last = {one.name: one for one in (*_bindings(script.body), *_from_within(script))}
    servers, gpus, cpus = (_count(name, last.get(name), path) for name in NAMES)
    return servers, gpus, cpus


class _Binding(NamedTuple):
    """A name bound by a statement on a line. No value: it is not told but by running the file,
    as under an `if`, in a loop, from another module or as one of several.
    """

    name: str
    statement: ast.stmt
    line: int
    value: ast.expr | None
    module: str | None = None


def _parsed(text: bytes, path: str) -> ast.Module:
    """The file's syntax tree. Bytes, so that Python's own rule finds the encoding."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except SyntaxError as error:
        line, found = error.lineno or None, error.msg
        raise BadConfiguration(path, "Python", line=line, found=found, problem="syntax") from None
    except (ValueError, LookupError):
        raise BadConfiguration(path, "Python in UTF-8", problem="syntax") from None
    except (RecursionError, MemoryError):
        raise BadConfiguration(path, "Python that nests less deeply", problem="syntax") from None


def _bindings(body: list[ast.stmt]) -> Iterator[_Binding]:
    """Each place that binds one of the names, in the file's order."""
    for statement in body:
        if isinstance(statement, ast.ClassDef):
            yield from _bindings(statement.body)
            continue
        targets, value = _assigned(statement)
        plain = {one.id for one in targets if isinstance(one, ast.Name)} & NAMES.keys()
        for name in plain:
            yield _Binding(name, statement, statement.lineno, value)
        if not isinstance(statement, ast.AnnAssign):
            yield from (one for one in _others(statement) if one.name not in plain)


def _assigned(statement: ast.stmt) -> tuple[list[ast.expr], ast.expr | None]:
    """The targets and the value of a plain assignment; none of another statement."""
    if isinstance(statement, ast.Assign):
        return statement.targets, statement.value
    if isinstance(statement, ast.AnnAssign) and statement.value is not None:
        return [statement.target], statement.value
    return [], None


def _others(statement: ast.stmt) -> Iterator[_Binding]:
    """The names of ours that a statement binds in another way, anywhere in it; last those that
    come from another module.
    """
    found: list[_Binding] = []
    waiting: list[ast.AST] = [statement]
    while waiting:
        node = waiting.pop()
        if isinstance(node, _SCOPES):
            continue
        module = node.module or "config" if isinstance(node, ast.ImportFrom) else None
        for name, line in _own(node):
            if name in NAMES:
                found.append(_Binding(name, statement, line, None, module))
        waiting += reversed(list(ast.iter_child_nodes(node)))
    yield from sorted(found, key=lambda one: one.module is not None)


def _from_within(script: ast.Module) -> Iterator[_Binding]:
    """The names of ours that a function binds for the whole file, whenever it is called."""
    waiting: list[ast.AST] = [script]
    while waiting:
        node = waiting.pop()
        if not isinstance(node, _FUNCTIONS):
            waiting += ast.iter_child_nodes(node)
            continue
        inside = list(ast.walk(node))
        told = {name for one in inside if isinstance(one, ast.Global) for name in one.names}
        for name, line in (bound for one in inside for bound in _own(one)):
            if name in told & NAMES.keys():
                yield _Binding(name, node, line, None)


def _own(node: ast.AST) -> Iterator[tuple[str, int]]:
    """What one node binds or unbinds, and where; `import *` may bind whatever there is."""
    if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
        yield node.id, node.lineno
    if isinstance(node, ast.ImportFrom):
        for alias in node.names:
            names = NAMES if alias.name == "*" else (alias.asname or alias.name,)
            yield from ((name, alias.lineno) for name in names)


def _count(name: str, bound: _Binding | None, path: str) -> int:
    """The number that a name was bound to last."""
    usual, most = NAMES[name]
    if bound is None:
        expected = f"a line such as {name} = {usual}"
        raise BadConfiguration(path, expected, key=name, problem="missing")
    if bound.module is not None:
        file = f"{bound.module.rpartition('.')[2]}.py"
        _fail(path, bound, bound.statement, f"the file that it comes from, {file}")
    if bound.value is None:
        _fail(path, bound, bound.statement, f"a line of its own such as {name} = {usual}")
    try:
        number = _number(bound.value)
    except RecursionError:
        number = None
    if number is None or not 1 <= number <= most:
        _fail(path, bound, bound.value, f"a whole number from 1 to {most}, such as {usual}")
    return number


def _number(value: ast.expr) -> int | None:
    """The whole number that an expression writes out; None where it is anything else."""
    if isinstance(value, ast.Constant):
        return value.value if type(value.value) is int else None
    if isinstance(value, ast.UnaryOp) and isinstance(value.op, (ast.UAdd, ast.USub)):
        number = _number(value.operand)
        return -number if number is not None and isinstance(value.op, ast.USub) else number
    if isinstance(value, ast.BinOp):
        left, right = _number(value.left), _number(value.right)
        return None if left is None or right is None else _step(value.op, left, right)
    return None


def _step(operator: ast.operator, left: int, right: int) -> int | None:
    """One step of plain arithmetic; None of another kind, by 0, or far out."""
    if max(abs(left), abs(right)) > MOST_NUMBER:
        return None
    match operator:
        case ast.Add():
            return left + right
        case ast.Sub():
            return left - right
        case ast.Mult():
            return left * right
        case ast.FloorDiv():
            return left // right if right else None
        case _:
            return None


def _fail(path: str, bound: _Binding, written: ast.AST, expected: str) -> NoReturn:
    """Raise for what is written there, on one line."""
    try:
        found = " ".join(ast.unparse(written).split())[:MOST_TOLD]
    except (RecursionError, ValueError):  # Nested too deeply, or a number of too many digits.
        found = "…"
    raise BadConfiguration(path, expected, line=bound.line, key=bound.name, found=found)
