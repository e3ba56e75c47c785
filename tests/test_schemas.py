"""The JSON Schemas in docs/schemas: every command has one, and what it prints keeps to it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError

from conftest import RunCli
from gpuledger.handle import Ledger
from gpuledger.replay import request as requests
from gpuledger.replay.facts import Asked, Placed
from groups import every_command
from json_shapes import SCHEMAS, Json, check

EVERY = ("-S", "2020-01-01")
TRACE = """\
job_id,user,start,end,gpus,cpus,servers
a,u1,2020-01-01T10:00:00Z,2020-01-01T11:00:00Z,2,4,
b,u1,2020-01-01T10:00:00Z,2020-01-01T11:00:00Z,90,4,
c,u2,2020-01-01T10:00:00Z,2020-01-01T09:00:00Z,1,4,
d,u2,2020-01-01T10:00:00Z,,1,4,s1:1
"""
POOL_FILE = """\
[[server]]
name = "s[0-1]"
gpus = 4
cpus = 32
[[server]]
name = "h100"
host = "h100.lab"
cpus = 64
gpu_model = "H100"
gpu_memory_mib = 81559
[[server.gpu]]
index = 0
uuid = "GPU-0"
[limits]
gpus_per_task = 8
[limits.user]
gpu_hours = 900
lease = "30d"
default_lease = "1h"
[[project]]
name = "vision"
priority = 1
gpus = 12
[[user]]
name = "root"
project = "vision"
[admins]
users = ["root"]
"""
SMALLER = """\
[[server]]
name = "s0"
gpus = 8
cpus = 64
[[server]]
name = "new"
gpus = 1
cpus = 1
[limits]
[[project]]
name = "vision"
[[user]]
name = "root"
[admins]
groups = ["root"]
"""


def parts(document: Json, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path to every key of a document's objects."""
    if isinstance(document, dict):
        for key, value in document.items():
            yield (*path, key)
            yield from parts(value, (*path, key))
    elif isinstance(document, list):
        for at, value in enumerate(document):
            yield from parts(value, (*path, at))


def without(document: Json, path: tuple[Any, ...]) -> Json:
    """A copy of a document that lacks one key."""
    copy = deepcopy(document)
    inner = copy
    for step in path[:-1]:
        inner = inner[step]
    del inner[path[-1]]
    return copy


class Asker:
    """Runs commands on one ledger, and checks every document that they print."""

    def __init__(self, run_cli: RunCli, path: Path) -> None:
        self._run_cli = run_cli
        self._path = path
        self.seen: dict[str, list[Any]] = {}

    def __call__(self, schema: str, *args: str | Path, code: int = 0) -> Json:
        """The document of a command, which must end with `code` and keep to `schema`."""
        done = self._run_cli("--ledger", self._path, *args, "--json")
        assert done.returncode == code, done.stdout + done.stderr
        document = json.loads(done.stdout)
        check(schema, document)
        self.seen.setdefault(schema, []).append(document)
        return document


@pytest.fixture
def ask(run_cli: RunCli, ledger_path: Path) -> Asker:
    """Commands on a ledger that is not made yet."""
    return Asker(run_cli, ledger_path)


@pytest.fixture
def pool_file(tmp_path: Path) -> Path:
    """A pool of three servers, one of which tells all there is to tell."""
    file = tmp_path / "pool.toml"
    file.write_text(POOL_FILE, encoding="utf-8")
    return file


def test_every_schema_is_sound() -> None:
    """Each is valid by its own standard, is named as its file, and says what it describes."""
    for name, schema in SCHEMAS.items():
        Draft202012Validator.check_schema(schema)
        assert schema["$id"] == f"{name}.json"
        assert schema["description"].endswith(".")


def test_every_command_has_a_schema() -> None:
    """No command is without but `run`, whose answer is its command's own; errors have one, too."""
    assert set(SCHEMAS) == every_command() - {"run"} | {"error", "parts"}


def test_keys_may_be_added() -> None:
    """No schema forbids keys that it does not know: a later release may add some."""
    for schema in SCHEMAS.values():
        assert "additionalProperties" not in json.dumps(schema)


def test_the_pools_documents(ask: Asker, pool_file: Path, tmp_path: Path) -> None:
    """`init`, `pool …`, `drain`, `resume` and `reset` keep to their schemas."""
    ask("init", "init", "--pool", pool_file)
    ask("pool-show", "pool", "show")
    ask("pool-check", "pool", "check", pool_file)
    ask("pool-template", "pool", "template")
    ask("allocate", "allocate", "train", "2", "--on", "s1", "--project", "vision")
    smaller = tmp_path / "smaller.toml"
    smaller.write_text(SMALLER, encoding="utf-8")
    assert ask("pool-diff", "pool", "diff", smaller)["changes"]["absent"]
    assert ask("pool-diff", "pool", "diff", "--remove", smaller)["changes"]["in_use"]
    ask("error", "pool", "apply", "--remove", smaller, code=5)
    forced = ("--remove", "--force", "--reason", "they go")
    assert ask("pool-apply", "pool", "apply", *forced, smaller)["changes"]["ended"]
    ask("pool-apply", "pool", "apply", smaller)
    ask("drain", "drain", "s0:1-2", "--reason", "why not")
    ask("drain", "drain", "s0:1")
    ask("resume", "resume", "s0")
    ask("allocate", "allocate", "train", "1")
    assert ask("reset", "reset", "--yes", "--reason", "anew")["changes"]["ended"]
    ask("completion", "completion", "bash")
    every_key_counts(ask)


def test_the_daily_documents(
    ask: Asker, pool_file: Path, run_cli: RunCli, ledger_path: Path
) -> None:
    """`allocate`, `release`, `list`, `status`, `history`, the audits, `rebuild` and `export` do."""
    ask("init", "init", "--pool", pool_file)
    ask("allocate", "allocate", "a", "1", "--on", "h100:0", "--project", "vision", "--note", "n")
    ask("allocate", "allocate", "b", "4", "--servers", "2", "--key", "k")
    ask("drain", "drain", "s0:3", "h100")
    ask("error", "allocate", "c", "3", code=4)
    ask("error", "allocate", "d", "80", code=2)
    ask("allocate", "allocate", "leased", "1", "--on", "s1", "--lease", "8h")
    ask("extend", "extend", "leased", "--by", "1h")
    ask("error", "extend", "nothing", "--by", "1h", code=3)
    stand_in_line(ledger_path)
    assert len(ask("queue", "queue")["requests"]) == 2
    ask("cancel", "cancel", "waits")
    ask("cancel", "cancel", "waits", "--if-waiting")
    ask("error", "cancel", "waits", code=3)
    ask("list", "list")
    ask("status", "status")
    ask("status", "status", "--gpus", "h100")
    ask("release", "release", "b")
    ask("release", "release", "b", "--if-held")
    ask("history", "history")
    ask("audit-who", "audit", "who", "s[0-1]", "h100")
    for by in ("user", "project,server", "task"):
        ask("audit-usage", "audit", "usage", "--by", by)
    ask("audit-usage", "audit", "usage", "-S", "2001-01-01", "-E", "2001-01-02")
    ask("audit-refusals", "audit", "refusals")
    ask("audit-diff", "audit", "diff", "2020-01-01", "now")
    ask("audit-diff", "audit", "diff", "now", "now")
    head = ask("audit-verify", "audit", "verify")["head"]
    ask("audit-verify", "audit", "verify", "--expect", f"{head['seq']}:{head['hash']}")
    ask("audit-verify", "audit", "verify", "--expect", f"1:{'ab' * 32}", code=1)
    ask("rebuild", "rebuild")
    lines = run_cli("--ledger", ledger_path, "export").stdout.splitlines()
    for line in lines:
        check("export", json.loads(line))
    assert len(lines) == head["seq"]
    every_key_counts(ask)


def test_what_makes_a_ledger_again(ask: Asker, tmp_path: Path) -> None:
    """Backup and restore, with something lost and something that proves nothing."""
    ask("init", "init")
    ask("backup", "backup", tmp_path / "b.db")
    ask("allocate", "allocate", "a", "1")
    (tmp_path / "torn.jsonl").write_text("{}\n", encoding="utf-8")
    told = ask("restore", "restore", tmp_path / "b.db", tmp_path / "torn.jsonl", "--replace")
    assert told["lost"] == {"first": 2, "last": 2}
    every_key_counts(ask)


def test_what_is_mirrored(ask: Asker, tmp_path: Path) -> None:
    """`mirror …` keeps to its schemas, whole, gone, and with what was changed by hand."""
    disk = tmp_path / "disk"
    ask("init", "init")
    ask("error", "mirror", "add", disk, code=78)
    disk.mkdir()
    ask("mirror-add", "mirror", "add", disk)
    ask("mirror-check", "mirror", "check", disk)
    (segment,) = disk.glob("*/*.jsonl")
    segment.write_bytes(segment.read_bytes().replace(b"s0", b"s1", 1) + b"{}\n")
    assert ask("mirror-check", "mirror", "check", disk, code=1)["problems"]
    assert ask("mirror-list", "mirror", "list")["mirrors"][0]["state"] == "diverged"
    ask("mirror-remove", "mirror", "remove", disk)
    ask("error", "mirror", "remove", disk, code=3)
    segment.unlink()
    (problem,) = ask("mirror-check", "mirror", "check", disk, code=1)["problems"]
    assert problem["what"] == "empty"


def test_what_gets_a_damaged_one_back(
    ask: Asker, ledger_path: Path, tmp_path: Path, run_cli: RunCli
) -> None:
    """Salvage, of copies alone, with an event lost between them and one of another branch."""
    ask("init", "init")
    ask("backup", "backup", tmp_path / "b.db")
    ask("allocate", "allocate", "a", "1")
    ask("backup", "backup", tmp_path / "old.db")
    ask("restore", "restore", tmp_path / "b.db", "--replace")
    ask("resume", "resume", "gpu-server-0")
    ask("allocate", "allocate", "b", "1", "--on", "gpu-server-0")
    lines = tmp_path / "later.jsonl"
    lines.write_text(run_cli("--ledger", ledger_path, "export", "--after", "2").stdout)
    ledger_path.write_bytes(b"something else")
    copies = ("--backup", tmp_path / "old.db", "--backup", lines)
    told = ask("salvage", "salvage", ledger_path, "-o", tmp_path / "n.db", *copies, code=1)
    assert [(one["first"], one["last"]) for one in told["lost"]] == [(2, 2)]
    assert [one["seq"] for one in told["forked"]] == [2]
    every_key_counts(ask)


def stand_in_line(path: Path) -> None:
    """Two requests of nobody's process, the second behind the first."""
    with Ledger(str(path)) as book:
        for task, gpus in (("waits", 4), ("waits-too", 4)):
            request = requests.allocate(Asked(task, gpus, 4, on=("s0",)), (Placed("s0"),))
            book._allocator.join(request, book.actor)


def test_an_imports_document(ask: Asker, pool_file: Path, tmp_path: Path) -> None:
    """`import` does, with rows of every kind, and so does all that is said of such a past."""
    file = tmp_path / "jobs.csv"
    file.write_text(TRACE, encoding="utf-8")
    ask("init", "init", "--pool", pool_file, "--at", "2020-01-01T00:00:00Z")
    answer = ask("import", "import", file)
    assert [one["outcome"] for one in answer["changes"]["not_granted"]] == ["refused", "unusable"]
    ask("error", "import", file, code=5)
    ask("history", "history", *EVERY)
    ask("audit-refusals", "audit", "refusals", *EVERY)
    ask("audit-who", "audit", "who", "s0", *EVERY)
    every_key_counts(ask)


@pytest.mark.parametrize(
    ("args", "code", "exit_code"),
    [
        (("status",), "ledger_missing", 78),
        (("nonsense",), "usage", 2),
        (("allocate",), "usage", 2),
        (("allocate", "a", "x"), "bad_request", 2),
        (("history", "-o", "MaxRSS"), "bad_request", 2),
        (("pool", "check", "missing.toml"), "bad_request", 2),
    ],
)
def test_errors_without_a_ledger(
    run_cli: RunCli,
    ledger_path: Path,
    args: tuple[str, ...],
    code: str,
    exit_code: int,
) -> None:
    """Whatever fails before a ledger is open is one document of the same shape, no more."""
    done = run_cli("--ledger", ledger_path, *args, "--json")
    document = json.loads(done.stdout)
    check("error", document)
    assert done.stderr == ""
    assert (document["error"]["code"], done.returncode) == (code, exit_code)


def test_a_refusal_tells_what_is_free_where(ask: Asker, pool_file: Path) -> None:
    """The facts of a refusal hold what was asked, the reason, and what is free on which server."""
    ask("init", "init", "--pool", pool_file)
    facts = ask("error", "allocate", "big", "5", code=2)["error"]["facts"]
    assert (facts["reason"], facts["asked"]["gpus"]) == ("never", 5)
    ask("allocate", "allocate", "most", "3", "--on", "s0")
    ask("allocate", "allocate", "rest", "3", "--on", "s1")
    facts = ask("error", "allocate", "two", "2", code=4)["error"]["facts"]
    assert facts["reason"] == "fragmented"
    assert {(one["server"], one["gpus"]) for one in facts["free"]} >= {("s0", 1), ("s1", 1)}


def every_key_counts(ask: Asker) -> None:
    """A document that lacks any of the keys that its schema names is turned down."""
    for name, documents in ask.seen.items():
        if name in ("error", "completion"):
            continue
        for document in documents:
            for path in parts(document):
                if _promised(name, path):
                    with pytest.raises(ValidationError):
                        check(name, without(document, path))


def _promised(name: str, path: tuple[Any, ...]) -> bool:
    """Whether a schema requires the last key of a path, by its own words."""
    schema = SCHEMAS[name]
    for step in path[:-1]:
        schema = _inner(schema, step)
    return path[-1] in _resolved(schema).get("required", ())


def _inner(schema: dict[str, Any], step: object) -> dict[str, Any]:
    whole = _resolved(schema)
    inner = whole.get("items") if isinstance(step, int) else whole.get("properties", {}).get(step)
    return inner or {}


def _resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """What a reference stands for; of a choice with null the other."""
    for one in schema.get("anyOf", ()):
        if one.get("type") != "null":
            return _resolved(one)
    reference = schema.get("$ref")
    if reference is None:
        return schema
    found: dict[str, Any] = SCHEMAS["parts"]["$defs"][reference.rpartition("/")[2]]
    return _resolved(found)
