"""The budgets of the code, held from the first commit: nobody keeps sizes by good will."""

from __future__ import annotations

import ast
import statistics
from collections.abc import Callable, Iterator

from source_tree import Source, checks, sources

FILE_LINES = 300
TEST_FILE_LINES = 400
FUNCTION_LINES = 50
COMPLEXITY = 8
SAYS_NOTHING = frozenset(
    {"utils", "util", "helpers", "helper", "manager", "managers", "common", "misc", "base"}
)

Function = ast.FunctionDef | ast.AsyncFunctionDef
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
BRANCHES = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.match_case)


def functions(source: Source) -> Iterator[Function]:
    return (node for node in ast.walk(source.tree) if isinstance(node, FUNCTIONS))


def length(function: Function) -> int:
    """Lines from `def` to the end, without the docstring."""
    first = function.body[0]
    told = ast.get_docstring(function, clean=False) is not None
    docstring = (first.end_lineno or 0) - first.lineno + 1 if told else 0
    return (function.end_lineno or 0) - function.lineno + 1 - docstring


def complexity(function: Function) -> int:
    """McCabe's number as ruff's C901 counts it: the function, and each branch or function in it."""
    return sum(isinstance(node, (*BRANCHES, *FUNCTIONS)) for node in ast.walk(function))


def unannotated(function: Function, *, method: bool) -> list[str]:
    """Names of the parameters without a type, and `return`."""
    args = function.args
    plain = [*args.posonlyargs, *args.args]
    static = any(
        isinstance(mark, ast.Name) and mark.id == "staticmethod" for mark in function.decorator_list
    )
    bound = plain[1:] if method and not static else plain
    star = [arg for arg in (args.vararg, args.kwarg) if arg is not None]
    missing = [arg.arg for arg in (*bound, *args.kwonlyargs, *star) if arg.annotation is None]
    return missing if function.returns is not None else [*missing, "return"]


def methods(source: Source) -> set[Function]:
    classes = (node for node in ast.walk(source.tree) if isinstance(node, ast.ClassDef))
    return {node for owner in classes for node in owner.body if isinstance(node, FUNCTIONS)}


def public(scope: ast.Module | ast.ClassDef) -> Iterator[Function | ast.ClassDef]:
    """Functions and classes whose names, and whose owners' names, have no underscore in front."""
    for node in scope.body:
        if isinstance(node, (*FUNCTIONS, ast.ClassDef)) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from public(node)


def is_overload(node: Function | ast.ClassDef) -> bool:
    return any(isinstance(mark, ast.Name) and mark.id == "overload" for mark in node.decorator_list)


def too_much(
    found: list[Source], measure: Callable[[Function], int], most: int
) -> list[tuple[str, str, int]]:
    return [
        (f"{source.place}:{function.lineno}", function.name, measure(function))
        for source in found
        for function in functions(source)
        if measure(function) > most
    ]


def longer(found: list[Source], most: int) -> dict[str, int]:
    lines = {source.place: len(source.text.splitlines()) for source in found}
    return {place: count for place, count in lines.items() if count > most}


def test_the_measures_measure() -> None:
    """A function of known length and complexity is counted right, its docstring left out."""
    text = (
        "def f(a, *, b: int):\n"
        '    """Two\n    lines."""\n'
        "    for x in a:\n"
        "        if x or b:\n"
        "            return [y for y in x if y]\n"
        "    return None\n"
    )
    function = ast.parse(text).body[0]
    assert isinstance(function, ast.FunctionDef)
    assert length(function) == 5
    assert complexity(function) == 3
    assert unannotated(function, method=False) == ["a", "return"]


def test_source_files_are_short() -> None:
    """No source file has more than 300 lines."""
    assert longer(sources(), FILE_LINES) == {}


def test_test_files_are_short() -> None:
    """No file of the tests or benchmarks has more than 400 lines."""
    assert longer(checks(), TEST_FILE_LINES) == {}


def test_functions_are_short(record_property: Callable[[str, object], None]) -> None:
    """No function has more than 50 lines without its docstring; the median is reported."""
    found = sources()
    lengths = [length(function) for source in found for function in functions(source)]
    record_property("median function length", statistics.median(lengths))
    record_property(
        "median file length", statistics.median(len(s.text.splitlines()) for s in found)
    )
    assert too_much(found, length, FUNCTION_LINES) == []


def test_functions_are_simple() -> None:
    """No function has a cyclomatic complexity above 8."""
    assert too_much(sources(), complexity, COMPLEXITY) == []


def test_everything_is_annotated() -> None:
    """Every parameter and every return value of every function has its type."""
    bare = {}
    for source in sources():
        own = methods(source)
        for function in functions(source):
            if missing := unannotated(function, method=function in own):
                bare[f"{source.place}:{function.lineno} {function.name}"] = missing
    assert bare == {}


def test_everything_public_says_what_it_is() -> None:
    """Every module, and every public class, method and function, has a docstring."""
    silent = [source.place for source in sources() if not ast.get_docstring(source.tree)]
    silent += [
        f"{source.place}:{node.lineno} {node.name}"
        for source in sources()
        for node in public(source.tree)
        if not ast.get_docstring(node) and not is_overload(node)
    ]
    assert silent == []


def test_names_of_modules_say_something() -> None:
    """No module or folder has a name under which anything could be put."""
    empty = [
        source.place
        for source in sources() + checks()
        if SAYS_NOTHING & {*source.place.removesuffix(".py").split("/")}
    ]
    assert empty == []


def test_tests_say_what_must_hold() -> None:
    """Every test has one line that says what must hold."""
    silent = [
        f"{source.place}:{function.lineno} {function.name}"
        for source in checks()
        for function in functions(source)
        if function.name.startswith("test_")
        and len((ast.get_docstring(function) or "").splitlines()) != 1
    ]
    assert silent == []


def test_tests_do_not_sleep() -> None:
    """No test or benchmark waits for a fixed time in the hope of winning a race."""
    sleepy = [
        f"{source.place}:{node.lineno}"
        for source in checks()
        for node in ast.walk(source.tree)
        if (isinstance(node, ast.Attribute) and node.attr == "sleep")
        or (isinstance(node, ast.ImportFrom) and any(name.name == "sleep" for name in node.names))
    ]
    assert sleepy == []
