"""The floors: imports go downwards only, replay computes and does not touch the world."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterator

from source_tree import FOLDERS, Source, sources

# What each floor may import of this project; what a floor may not is always above it.
BELOW = {
    "ledger": {"ledger"},
    "replay": {"ledger", "replay"},
    "api": {"ledger", "replay", "api"},
    "cli": {"ledger", "replay", "api", "cli"},
}
# The two doors that lead up: `python -m gpuledger` is the command line, and a handle that is
# told neither who asks nor where the ledger lies finds both as a command does, and looks after
# processes as it does.
DOORS = {
    "gpuledger.__main__": {"gpuledger.cli.entry"},
    "gpuledger.handle": {
        "gpuledger.cli.actor",
        "gpuledger.cli.location",
        "gpuledger.cli.process",
    },
}

# Only these parts of replay touch the world: the one write path with its first act and what it
# keeps between two turns, the two stores with their tables, and the past, read from both.
REPLAY_IO = {
    "gpuledger.replay.allocator",
    "gpuledger.replay.founding",
    "gpuledger.replay.keeping",
    "gpuledger.replay.mirror_rows",
    "gpuledger.replay.past",
    "gpuledger.replay.projection_store",
    "gpuledger.replay.snapshot_store",
    "gpuledger.replay.store_schema",
}
# What the rest of replay may use of the ledger: words, bytes and shapes.
LEDGER_PURE = {
    "gpuledger.ledger",
    "gpuledger.ledger.canonical",
    "gpuledger.ledger.chain",
    "gpuledger.ledger.cloudevent",
    "gpuledger.ledger.errors",
    "gpuledger.ledger.event",
    "gpuledger.ledger.format",
    "gpuledger.ledger.schema_row",
    "gpuledger.ledger.lineage",
    "gpuledger.ledger.log",
    "gpuledger.ledger.mirrored",
}
# Records that are handed to replay, though the modules that define them do I/O.
RECORDS = {"gpuledger.ledger.note.Note", "gpuledger.ledger.note.Unreadable"}
WORLD = set(
    "asyncio filelock fcntl getpass glob grp io logging mmap msvcrt multiprocessing os pathlib"
    " platform pwd random secrets select shutil signal socket sqlite3 sqlite_utils ssl subprocess"
    " tempfile threading time urllib uuid".split()
)
WORLDLY_CALLS = {"open", "input", "print"}
CLOCKS = {"now", "utcnow", "today"}


def typing_only(source: Source) -> set[ast.AST]:
    """What stands under `if TYPE_CHECKING:` and so is never run."""
    return {
        inner
        for node in ast.walk(source.tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for branch in node.body
        for inner in ast.walk(branch)
    }


def imports(source: Source, *, run_only: bool = False) -> Iterator[str]:
    """Every module that a file imports, anywhere in it; names taken from one come after a dot."""
    never_run = typing_only(source) if run_only else set()
    for node in ast.walk(source.tree):
        if node in never_run:
            continue
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = source.package.split(".")[: 1 - node.level or None] if node.level else []
            origin = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{origin}.{name.name}" for name in node.names)


def known(name: str, modules: dict[str, Source]) -> str:
    """The module of this project that an imported name lies in."""
    return name if name in modules else name.rpartition(".")[0]


def own_imports(
    source: Source, modules: dict[str, Source], *, run_only: bool = False
) -> dict[str, str]:
    """The names of this project that a file imports, each with the module that it lies in."""
    found = [name for name in imports(source, run_only=run_only) if name.startswith("gpuledger")]
    return {name: known(name, modules) for name in found}


def floor_of(module: str) -> str:
    """The folder that a module of this project lies in."""
    homes = {package: folder for folder, package in FOLDERS.items()}
    return homes[max((p for p in homes if f"{module}.".startswith(f"{p}.")), key=len)]


def by_module() -> dict[str, Source]:
    return {source.module: source for source in sources()}


def test_imports_are_read_right() -> None:
    """Absolute and relative imports, also inside functions, resolve to the modules they name."""
    text = (
        "import os.path\nfrom . import piece\nfrom ..ledger.event import Event\n"
        "def f():\n    from .state import State\n"
    )
    source = by_module()["gpuledger.replay.errors"]
    made = Source(source.path, source.module)
    made.__dict__["tree"] = ast.parse(text)
    assert sorted(imports(made)) == [
        "gpuledger.ledger.event.Event",
        "gpuledger.replay.piece",
        "gpuledger.replay.state.State",
        "os.path",
    ]


def test_imports_go_down() -> None:
    """cli imports api, replay and ledger; api replay and ledger; replay ledger; ledger none."""
    modules = by_module()
    climbing = [
        f"{source.place} imports {name}"
        for source in modules.values()
        for name, module in own_imports(source, modules).items()
        if floor_of(module) not in BELOW[source.floor]
        and module not in DOORS.get(source.module, ())
    ]
    assert climbing == []


def test_what_the_handle_borrows_does_not_lead_back() -> None:
    """Whatever the handle takes from cli imports nothing of api, so that no circle closes."""
    modules = by_module()
    waiting, seen = DOORS["gpuledger.handle"] & modules.keys(), set[str]()
    while waiting:
        module = waiting.pop()
        seen.add(module)
        found = set(own_imports(modules[module], modules).values()) & modules.keys()
        waiting |= found - seen
    assert [module for module in sorted(seen) if floor_of(module) == "api"] == []


def test_replay_does_not_touch_the_world() -> None:
    """But for its allocator and stores, replay has no I/O, no clock and no chance in it."""
    modules = by_module()
    pure = [s for s in modules.values() if s.floor == "replay" and s.module not in REPLAY_IO]
    assert pure
    worldly = [
        f"{source.place} imports {name}"
        for source in pure
        for name in imports(source, run_only=True)
        if name.split(".")[0] in WORLD
    ]
    worldly += [
        f"{source.place} imports {name}"
        for source in pure
        for name, module in own_imports(source, modules, run_only=True).items()
        if floor_of(module) == "ledger" and module not in LEDGER_PURE and name not in RECORDS
    ]
    assert worldly == []


def test_replay_asks_for_no_time() -> None:
    """Nothing in replay that computes calls a clock, opens a file or talks to a person."""
    calls = [
        (source, node.func)
        for source in sources()
        if source.floor == "replay" and source.module not in REPLAY_IO
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call)
    ]
    asking = [
        f"{source.place}:{func.lineno} {ast.unparse(func)}"
        for source, func in calls
        if (isinstance(func, ast.Name) and func.id in WORLDLY_CALLS)
        or (
            isinstance(func, ast.Attribute)
            and func.attr in CLOCKS
            and ast.unparse(func.value).split(".")[-1] in {"datetime", "date"}
        )
    ]
    assert asking == []


def test_what_replay_may_use_of_the_ledger_is_pure() -> None:
    """The ledger's modules for words, bytes and shapes do not touch the world either."""
    modules = by_module()
    worldly = [
        f"{modules[module].place} imports {name}"
        for module in sorted(LEDGER_PURE & modules.keys())
        for name in imports(modules[module], run_only=True)
        if name.split(".")[0] in WORLD
    ]
    assert worldly == []


def test_the_ledger_knows_nothing_of_gpus() -> None:
    """No identifier of the ledger floor speaks of GPUs or CPUs."""
    speaking = [
        f"{source.place}:{token.start[0]} {token.string}"
        for source in sources()
        if source.floor == "ledger"
        for token in tokenize.generate_tokens(io.StringIO(source.text).readline)
        if token.type == tokenize.NAME
        and any(word in token.string.lower().replace("gpuledger", "") for word in ("gpu", "cpu"))
    ]
    assert speaking == []
