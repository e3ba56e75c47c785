"""A verifier that shares no code agrees: on hashes, on who held what, and on what is void."""

from __future__ import annotations

import ast
import csv
import gzip
import json
import random
from contextlib import suppress
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import forging
from foreign import SCRIPT, foreign, holders, named, script
from forging import Raw
from gpuledger.handle import Ledger, init
from gpuledger.replay.facts import Card, Pool, Server
from gpuledger.replay.importing import Source
from gpuledger.replay.trace import TraceRow
from lively_team import BEGINS, Lively
from small_pools import ROOT, pool

TWICE: list[list[int]] = [[], [], [], [0]]


def test_it_agrees_on_hashes_and_holders(ledger_path: Path, rng_seed: int, full: bool) -> None:
    """On ledgers made at random it finds nothing wrong, and the same holders at 50 instants."""
    for seed in range(rng_seed, rng_seed + (20 if full else 2)):
        path = ledger_path.with_name(f"{seed}.db")
        team = Lively(path, seed)
        for _ in range(400):
            team.act()
        ends = team.root.state().head.at
        instants = [BEGINS - 1, BEGINS, ends]
        instants += [team.chosen.randint(BEGINS, ends) for _ in range(47)]
        code, found = foreign(path, instants)
        verified = team.root.verify()
        assert (code, found["wrong"], verified.ok) == (0, [], True)
        assert found["head"] == [verified.seq, verified.hash.hex()]
        for at in instants:
            assert found["held"][str(at)] == holders(team.root.state(at))
        assert any(found["held"].values())


def drawn(
    chosen: random.Random, running: list[int], waiting: list[int]
) -> tuple[str, dict[str, Any]]:
    """An event of other means; many cannot have happened, though they name what runs."""
    name = chosen.choice(["s0", "s0", "s1", "s1", "s2"])
    facts = {
        "name": name,
        "cpus": chosen.choice([8, 32, 32, 32, -1]),
        "gpus": [{"index": at} for at in [*range(chosen.randint(1, 5)), *chosen.choice(TWICE)]],
    }
    if chosen.random() < 0.5:
        facts["gpus"][0]["uuid"] = chosen.choice(["GPU-a", "GPU-b"])
    ended = chosen.choices([*running, 1], k=chosen.choice([0, 1, 1, 2]))
    share = {
        "server": name,
        "gpus": chosen.choices([-1, *range(4), *range(4), 4], k=chosen.choice([0, 1, 1, 2])),
        "cpus": chosen.choice([0, 1, 2, 4, 4, 4, 40, -1]),
    }
    by = {"by": {"user": "root"}}
    grant = {"task": "t", "user": "u", "servers": [share], "asked": {"task": "t", "gpus": 1}, **by}
    if chosen.random() < 0.3:
        grant["request"] = chosen.choice([*waiting, 1])
    part = chosen.choice(["added", "changed", "changed", "removed"])
    change = {"ended": ended, part: [name if part == "removed" else facts], **by}
    release = {"allocations": ended, "cause": "owner", **by}
    reset = {"ended": chosen.choice([running, running, ended]), **by}
    drawn = {
        "allocation.granted": (40, grant),
        "allocation.released": (20, release),
        "pool.changed": (20, change),
        "ledger.reset": (3, reset),
        **in_line(chosen, ended, waiting),
    }
    (kind,) = chosen.choices([*drawn], [weight for weight, _ in drawn.values()])
    return kind, drawn[kind][1]


def in_line(
    chosen: random.Random, running: list[int], waiting: list[int]
) -> dict[str, tuple[int, dict[str, Any]]]:
    """Events of leases and of requests that wait, each with how often it is drawn."""
    by = {"by": {"user": "root"}}
    cancelled = chosen.choices([*waiting, 1], k=chosen.choice([0, 1, 1, 2]))
    return {
        "allocation.extended": (
            5,
            {
                "extensions": [{"allocation": number, "until": 9} for number in running],
                "asked": {"tasks": ["t"], "lease": 60},
                **by,
            },
        ),
        "request.queued": (10, {"user": "u", "asked": {"task": "t", "gpus": 1}, **by}),
        "request.cancelled": (10, {"requests": cancelled, "cause": "owner", **by}),
    }


def forge(path: Path, chosen: random.Random, events: int) -> None:
    """Append events that link and hash as they should, whatever they say."""
    last = forging.rows(path)[-1]
    fold = script().fold
    then: tuple[dict[str, Any], dict[Any, Any]] = {}, {}
    fold(*then, 1, last.kind, json.loads(last.data))
    with forging.opened(path) as connection:
        connection.execute("BEGIN")
        for _ in range(events):
            running = [number for number in then[1] if isinstance(number, int)]
            waiting = [number[0] for number in then[1] if isinstance(number, tuple)]
            kind, data = drawn(chosen, sorted(running), waiting)
            row = Raw(last.seq + 1, last.at + 1, kind, 1, "uid:0", None, "", last.hash, b"")
            last = row._replace(data=forging.spelled(data)).hashed()
            forging.insert(connection, last)
            with suppress(ValueError, KeyError):  # what runs, so that enough of it is possible
                after = dict(then[0]), dict(then[1])
                fold(*after, last.seq, kind, data)
                then = after
        connection.execute("COMMIT")


def test_it_agrees_on_what_is_void(ledger_path: Path, rng_seed: int, full: bool) -> None:
    """What other means wrote is void to both or to neither, and the holders are the same."""
    chosen = random.Random(rng_seed)
    voids = 0
    for number in range(60 if full else 6):
        path = ledger_path.with_name(f"void-{number}.db")
        init(path, pool(), at=BEGINS, actor=ROOT)
        forge(path, chosen, 200)
        instants = [BEGINS + at for at in chosen.sample(range(201), 50)]
        code, found = foreign(path, instants)
        with Ledger(str(path), actor=ROOT) as ledger:
            void = {one.seq for one in ledger.verify().problems if one.what == "void"}
            assert (code, named(found["wrong"])) == (1, void)
            for at in instants:
                assert found["held"][str(at)] == holders(ledger.state(at))
        voids += len(void)
    assert 60 < voids / (number + 1) < 160


def test_it_agrees_on_a_real_cluster(
    ledger_path: Path, traces: Path, rng_seed: int, full: bool
) -> None:
    """On 15,000 real jobs it finds nothing wrong, and the same holders at 50 instants."""
    machines = tuple(
        Server(f"venus{at:03}", 48, tuple(map(Card, range(8)))) for at in range(1, 122)
    )
    begins = 1_585_666_800_000_000
    init(ledger_path, Pool(machines), at=begins, actor=ROOT)
    with Ledger(str(ledger_path), actor=ROOT) as ledger:
        ledger.import_trace(helios(traces / "helios.csv.gz"))
        ends = ledger.state().head.at
        chosen = random.Random(rng_seed)
        instants = [chosen.randint(begins, ends) for _ in range(50)]
        code, found = foreign(ledger_path, instants)
        assert (code, found["wrong"]) == (0, [])
        assert found["head"] == [21_594, ledger.head().hash.hex()]
        for at in instants[: None if full else 5]:
            assert found["held"][str(at)] == holders(ledger.state(at))


def helios(path: Path) -> Source:
    """The trace, read by csv alone."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        rows = tuple(
            TraceRow(
                line, row["job_id"], row["user"], microseconds(row["start"]), int(row["gpus"]),
                end=microseconds(row["end"]), cpus=int(row["cpus"]), nodes=int(row["nodes"]),
            )
            for line, row in enumerate(csv.DictReader(file), 2)
        )  # fmt: skip
    return Source(path.name, sha256(path.read_bytes()).hexdigest(), rows)


def microseconds(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * 1_000_000


def test_it_is_short_and_stands_alone() -> None:
    """It has fewer than 150 lines, imports the standard library alone, and FORMAT.md shows it."""
    text = SCRIPT.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 150
    nodes = list(ast.walk(ast.parse(text)))
    imported = {name.name for node in nodes if isinstance(node, ast.Import) for name in node.names}
    imported |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
    assert imported <= {"json", "sqlite3", "sys", "hashlib", "pathlib", "typing"}
    assert text in SCRIPT.with_name("FORMAT.md").read_text(encoding="utf-8")
