"""Made the committed ledger of release 0.1: every kind of then, every clock fixed.

`0.1.db`, its lock file and `0.1.json` are what it wrote with the code of that release. With this
one the same acts are events of later versions, so it is not run again.
"""

from __future__ import annotations

from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

from gpuledger.handle import Ledger
from gpuledger.ledger.canonical import encode
from gpuledger.ledger.creation import create
from gpuledger.ledger.event import Draft
from gpuledger.ledger.format import FORMAT
from gpuledger.replay import piece
from gpuledger.replay.actor import Actor
from gpuledger.replay.catalogue import LedgerCreated, version
from gpuledger.replay.errors import Refused
from gpuledger.replay.facts import (
    AdminGroup,
    Admins,
    AdminUser,
    By,
    Card,
    Limits,
    Placed,
    Pool,
    Server,
)
from gpuledger.replay.importing import Source
from gpuledger.replay.interval import Window
from gpuledger.replay.store_schema import STORES
from gpuledger.replay.trace import TraceRow

HERE = Path(__file__).resolve().parent
NAME = "0.1"
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
PLAIN = Server("gpu-server-1", 32, tuple(Card(at) for at in (0, 1, 4, 5)))
ADMINS = Admins((AdminUser("ada", "uid:1001"),), (AdminGroup("lab-admins", 5000),))


class Clock:
    """Ten minutes later at each look, and once behind."""

    def __init__(self) -> None:
        self._looks = count(1)

    def __call__(self) -> int:
        """The time now."""
        look = next(self._looks)
        return NOW + look * HOUR // 6 - (HOUR if look == 5 else 0)


def make(path: Path) -> None:
    """Make the ledger at `path`, with nothing in it that differs from one time to the next."""
    pool = Pool((OLD, KNOWN), Limits(8), ADMINS)
    created = LedgerCreated(ID, FORMAT, pool, By("root", 0, host="login"), NOW)
    draft = Draft(BEGINS, created.KIND, version(created.KIND), "uid:0", None, encode(created))
    create(str(path), draft, store_migrations=STORES)
    clock = Clock()
    root, ada, bob, eve, nobody = (
        Ledger(str(path), actor=actor, clock_us=clock) for actor in (ROOT, ADA, BOB, EVE, NOBODY)
    )
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
    smaller = Server("h100-01", 48, KNOWN.gpus[1:], "h100-01.lab.example")
    changed = Pool((smaller, PLAIN), Limits(4), ADMINS)
    root.pool_apply(changed, remove=True, force=True, reason="gpu-server-0 burnt")
    root.reset("moved to the new room")
    ada.allocate("first", 2, 8)
    bob.allocate("second", 1)
    ada.release("first", if_held=True)
    nobody.allocate("third", 3)
    ada.drain((Placed("gpu-server-1", (5,)),))
    for ledger in (nobody, eve, bob, ada, root):
        ledger.close()


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
