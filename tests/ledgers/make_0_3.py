"""Makes the committed ledger of format 1 as release 0.3 writes it: every kind, every clock fixed.

`python tests/ledgers/make_0_3.py` writes `0.3.db`, its lock file and `0.3.json` beside itself.
`0.1.db` and `0.2.db` are what the scripts of those releases made with their code; they are not made
again.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import msgspec

from gpuledger.handle import Ledger
from gpuledger.ledger.canonical import encode
from gpuledger.ledger.chain import head_of, seal
from gpuledger.ledger.creation import create
from gpuledger.ledger.event import Draft, Event
from gpuledger.ledger.format import FORMAT
from gpuledger.ledger.lineage import lineage
from gpuledger.ledger.staging import MINE, staged
from gpuledger.replay import piece
from gpuledger.replay.actor import Actor
from gpuledger.replay.allocator import Allocator
from gpuledger.replay.batch import Batch
from gpuledger.replay.catalogue import LedgerCreated, MirrorAdded, MirrorRemoved, version
from gpuledger.replay.errors import Refused
from gpuledger.replay.facts import (
    AdminGroup,
    Admins,
    AdminUser,
    Asked,
    By,
    Cap,
    Card,
    Limits,
    Member,
    Placed,
    Pool,
    Process,
    Project,
    Server,
    Tie,
)
from gpuledger.replay.importing import Source
from gpuledger.replay.interval import Window
from gpuledger.replay.request import AllocateRequest
from gpuledger.replay.restoring import keep
from gpuledger.replay.salvaging import gap_event
from gpuledger.replay.store_schema import STORES
from gpuledger.replay.trace import TraceRow

HERE = Path(__file__).resolve().parent
NAME = "0.3"
ID = "00112233445566778899aabbccddeeff"
BEGINS = 1_767_225_600_000_000
"""2026-01-01T00:00:00Z."""
NOW = BEGINS + 86_400_000_000
HOUR = 3_600_000_000

ROOT = Actor("root", 0, host="login", sudo_user="ada", sudo_uid=1001)
ADA = Actor("ada", 1001, host="login")
BOB = Actor("bob", 1002, host="login")
EVE = Actor("eve", sid="S-1-5-21-1004", host="WORKSTATION")
NOBODY = Actor("guest")

OLD = Server("gpu-server-0", 64, tuple(map(Card, range(4))))
KNOWN = Server(
    "h100-01",
    96,
    tuple(
        Card(at, f"GPU-{at}f2c1a3e", "H100-SXM5-80GB", 81_559, f"00000000:{at + 1}7:00.0")
        for at in range(4)
    ),
    "h100-01.lab.example",
)
SMALLER = Server("h100-01", 48, KNOWN.gpus[1:], "h100-01.lab.example")
PLAIN = Server("gpu-server-1", 32, tuple(Card(at) for at in (0, 1, 4, 5)))
LIMITS = Limits(
    4,
    Cap(lease=30 * 86_400, default_lease=5 * 86_400),
    Cap(gpus=6, gpu_hours=4_000, window=14 * 86_400),
    Cap(cpus=64),
)
PROJECTS = (Project("vision", 10, Cap(gpus=5)), Project("sound"))
MEMBERS = (Member("eve", "sid:S-1-5-21-1004", "sound"), Member("ada", "uid:1001", None, Cap(8)))
TIE = Tie("login", "0a" * 16, 4_026_531_836, (Process(4711, 815), Process(4712, 816)))
ADMINS = Admins((AdminUser("ada", "uid:1001"),), (AdminGroup("lab-admins", 5000),))


class Clock:
    """Ten minutes later at each look, and once behind."""

    def __init__(self) -> None:
        self._looks = count(1)
        self.skipped = 0

    def __call__(self) -> int:
        """The time now."""
        look = next(self._looks)
        return NOW + self.skipped + look * HOUR // 6 - (HOUR if look == 5 else 0)


class Team:
    """The ledger opened for each of those who act in it, by one clock."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self.clock = clock
        self.opened = [
            Ledger(str(path), actor=actor, clock_us=self.clock)
            for actor in (ROOT, ADA, BOB, EVE, NOBODY)
        ]
        self.root, self.ada, self.bob, self.eve, self.nobody = self.opened

    def turns(self, gone: Callable[[Tie], str | None] | None = None) -> Allocator:
        """Turns in which `gone` tells which processes are gone: none that this machine has."""
        return Allocator(self.root.log, gone=gone)

    def close(self) -> None:
        """Let go of the file."""
        for ledger in self.opened:
            ledger.close()


def make(path: Path) -> None:
    """Make the ledger at `path`, with nothing in it that differs from one time to the next."""
    pool = Pool((OLD, KNOWN), Limits(8), ADMINS)
    created = LedgerCreated(ID, FORMAT, pool, By("root", 0, host="login"), NOW)
    draft = Draft(BEGINS, created.KIND, version(created.KIND), "uid:0", None, encode(created))
    whole = path.with_name("whole.db")
    create(str(whole), draft, store_migrations=STORES)
    team = Team(whole, Clock())
    _without_limits(team)
    _leases_and_ties(team)
    _in_line(team)
    _anew(team)
    _mirrored(team)
    lost = _to_be_lost(team)
    events = [event for event in team.root.log.read(0) if event.seq not in lost]
    team.close()
    _put_together(path, events, team.clock)
    team = Team(path, team.clock)
    _behind_the_gap(team)
    team.close()
    for suffix in ("", "-wal", "-shm", ".lock"):
        whole.with_name(whole.name + suffix).unlink(missing_ok=True)


def _without_limits(team: Team) -> None:
    """What release 0.1 could do; then a pool with limits."""
    root, ada, bob, eve, nobody = team.opened
    root.import_trace(past())
    eve.allocate("sweep", 2, 32, servers=2)
    ada.allocate("train", 2, 16, key="night-7", project="vision", note="für Zoë — 2×")
    ada.allocate("train", 2, 16, key="night-7", project="vision", note="für Zoë — 2×")
    root.allocate("задача", 1, beneficiary=BOB)
    with suppress(Refused):
        bob.allocate("wide", 9)
    with suppress(Refused):
        bob.release("train")
    root.drain((Placed("h100-01", (2, 3)), Placed("gpu-server-0")), "new cards")
    with suppress(Refused):
        nobody.allocate("now", 1)
    with suppress(Refused):
        bob.drain((Placed("h100-01"),))
    root.resume((Placed("h100-01", (3,)),))
    bob.release("задача", key="done-1")
    ada.release("sweep", "train", force=True, reason="the lab is closed")
    ada.allocate("again", 1, on=(Placed("h100-01", (0,)),))
    bob.allocate("kept", 1, on=(Placed("h100-01", (1,)),), here="h100-01.lab.example")
    changed = Pool((SMALLER, PLAIN), LIMITS, ADMINS, PROJECTS, MEMBERS)
    root.pool_apply(changed, remove=True, force=True, reason="gpu-server-0 burnt")


def _leases_and_ties(team: Team) -> None:
    """Holds that end by themselves: at the end of a lease, with processes, with a boot."""
    ada, bob = team.ada, team.bob
    leased = ada.allocate("leased", 1, 4, lease=3_600, project="vision")
    ada.extend("leased", lease=1_800, key="more-1")
    with suppress(Refused):
        bob.extend(f"@{leased.id}", lease=60, force=True, reason="I need it")
    with suppress(Refused):
        bob.allocate("long", 1, lease=31 * 86_400)
    for task in ("tied", "bound"):
        asked = Asked(task, 1, 4, lease=86_400)
        team.turns().allocate(AllocateRequest(asked, tie=TIE), ADA)
        team.turns(lambda _tie, task=task: GONE[task]).tidy(BOB)
    team.clock.skipped += 3 * HOUR
    bob.allocate("after", 1, 4)
    bob.release("after")


GONE = {"tied": "process", "bound": "reboot"}


def _in_line(team: Team) -> None:
    """Requests that wait: one is served, the others leave the line in every way there is."""
    root, ada, bob = team.root, team.ada, team.bob
    ada.allocate("most", 4, 8, project="vision")
    turns = team.turns()
    exact = (Placed("gpu-server-1", (0, 1)),)
    asked = Asked("next", 2, 4, on=("gpu-server-1:0-1",), project="vision", note="n", lease=7_200)
    elsewhere = msgspec.structs.replace(TIE, host="WORKSTATION")
    wish = AllocateRequest(asked, exact, waiter=elsewhere, port=40_000)
    served = turns.join(wish, EVE).event.seq
    for cause in ("waited", "owner"):
        late = AllocateRequest(Asked(cause, 3, lease=60), give_up=NOW + 99 * HOUR, waiter=TIE)
        turns.leave(turns.join(late, BOB).event.seq, BOB, cause)
    for task in ("tied", "bound"):
        turns.join(AllocateRequest(Asked(task, 3), waiter=TIE), NOBODY)
        turns.join(AllocateRequest(Asked(task, 3)), BOB)
        team.turns(lambda tie, task=task: GONE[task] if tie else None).tidy(BOB)
        if task == "tied":
            root.cancel(task, user="bob", reason="not today")
    bob.cancel("bound")
    ada.release("most")
    turns.serve(msgspec.structs.replace(wish, waiting=served), EVE)


def _anew(team: Team) -> None:
    """Everything ends; what comes then runs on, and one waits for a GPU of it."""
    team.root.reset("moved to the new room")
    unleased = Limits(4, user=Cap(gpu_hours=4_000))
    everybody = Pool((SMALLER, PLAIN), unleased, ADMINS, PROJECTS, MEMBERS[:1])
    team.root.pool_apply(everybody, reason="no leases here")
    team.ada.allocate("first", 2, 8)
    team.bob.allocate("second", 1, on=(Placed("gpu-server-1", (0,)),))
    team.ada.release("first", if_held=True)
    team.nobody.allocate("third", 2)
    team.ada.drain((Placed("gpu-server-1", (5,)),))
    asked = Asked("fourth", 1, on=("h100-01:1",))
    team.turns().join(AllocateRequest(asked, (Placed("h100-01", (1,)),)), EVE)


def _mirrored(team: Team) -> None:
    """A mirror comes and goes in one turn, so that nothing is written to it."""
    whose = By("root", 0, host="login")

    def moved(batch: Batch) -> None:
        batch.append(MirrorAdded(whose, "/mnt/archive/gpus", "a second copy"), ROOT.identity)
        batch.append(MirrorRemoved(whose, "/mnt/archive/gpus", "that disk is old"), ROOT.identity)

    team.turns().batch(moved)


def _to_be_lost(team: Team) -> range:
    """What runs in the end ends, and somebody else gets it; the seqs of that."""
    before = team.root.head().seq
    team.bob.allocate("unseen", 1, key="unseen-1")
    team.ada.allocate("brief", 1)
    team.ada.release("brief")
    last = team.root.head().seq
    team.ada.allocate("seen", 1)
    return range(before + 1, last + 1)


def _put_together(path: Path, events: list[Event], clock: Clock) -> None:
    """The ledger at `path` of these events alone, and the one that says which are lost.

    An old copy went on elsewhere: one event of it is set aside.
    """
    records = {event.hash: event for event in events}
    *_, before, known, _ = events
    draft = Draft(known.at, known.kind, known.version, "uid:1003", None, known.data)
    fork = seal(draft, head_of(before))
    history = lineage(records | {fork.hash: fork}, None, (), records.keys())
    gap = gap_event(history, ID, ROOT, clock(), ("whole.db",), reason="a bad sector")
    assert gap is not None
    with staged(str(path), (*history.events, gap), STORES, MINE, wal=True) as turn:
        keep(turn)


def _behind_the_gap(team: Team) -> None:
    """One of what may have ended does end; a grant shows that another one did."""
    team.ada.release("seen")
    team.bob.release("unseen", if_held=True)
    team.root.release("third", user="guest", reason="the card is needed")
    team.ada.allocate("onward", 1, 4)


def past() -> Source:
    """Three jobs that ran elsewhere, one of them still; one too large, and one without GPUs."""
    at = BEGINS + HOUR
    rows = (
        TraceRow(2, "j1", "u001", at, 2, "nlp", at + HOUR, 8),
        TraceRow(3, "j2", "u002", at, 4, None, at + 2 * HOUR, 64, 2),
        TraceRow(4, "j3", "u001", at + HOUR, 1, servers=(("gpu-server-0", (0,)),)),
        TraceRow(5, "j4", "u003", at + HOUR, 8, None, at + 2 * HOUR, 8),
        TraceRow(6, "j5", "u003", at, 0),
    )
    return Source("jobs.csv", "5f" * 32, rows)


def facts(path: str | Path) -> dict[str, Any]:
    """What the ledger at `path` must go on saying."""
    with Ledger(str(path), actor=ROOT) as ledger:
        head = ledger.head()
        used, _ = ledger.usage(Window(0, head.at))
        return {
            "head": {"seq": head.seq, "hash": head.hash.hex()},
            "state_hash": piece.state_hash(ledger.state().pieces).hex(),
            "gpu_us": {str(row.values[0]): row.gpu_us for row in used.rows},
            "cpu_us": {str(row.values[0]): row.cpu_us for row in used.rows},
            "capacity_us": used.capacity_us,
            "drained_us": used.drained_us,
            "running": {str(one.id): one.task for one in ledger.state().allocations()},
        }


if __name__ == "__main__":
    made = HERE / f"{NAME}.db"
    for suffix in ("", "-wal", "-shm", ".lock"):
        made.with_name(made.name + suffix).unlink(missing_ok=True)
    make(made)
    with tempfile.TemporaryDirectory() as folder:
        told = json.dumps(facts(shutil.copy(made, folder)), indent=2, ensure_ascii=False)
    made.with_suffix(".json").write_text(told + "\n", encoding="utf-8")
