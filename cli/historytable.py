"""The rows of `history`: the table for people, CSV for programs, and the fields of `-o`.

The fields have Slurm's names beside ours, so that a line that was written for sacct
reads here: `-o JobID,JobName%20,User,Account,NodeList,AllocTRES,Start,End,Elapsed,State`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import tzinfo
from typing import TYPE_CHECKING

from ..replay.spent import SECOND_US
from .gapwords import SURE, mark
from .hostrange import compress
from .moment import moment
from .placing import place_text
from .shape_audit import elapsed_us, seconds_text, state_of
from .table import Column, Table, with_column
from .timetext import elapsed_text, local_text, utc_text
from .words import _

if TYPE_CHECKING:
    from ..replay.history import Spell

COLUMNS = (
    Column("id", right=True, style="dim"),
    Column("task", style="strong", shrink=3, least=12),
    Column("user", shrink=2),
    Column("project", shrink=2, drop=3, hide_empty=True),
    Column("GPUs", shrink=4, least=16, fold=True),
    Column("CPUs", right=True, drop=2),
    Column("start", style="dim", drop=1),
    Column("end", style="dim", drop=4),
    Column("elapsed", right=True),
    Column("state"),
    Column("reason", shrink=5, drop=5, hide_empty=True),
)
CSV_COLUMNS = (
    "allocation", "task", "user", "project", "servers", "cpus", "start", "end", "elapsed_s",
    "state", "reason",
)  # fmt: skip

Cell = Callable[["Spell", int, tzinfo], str]

FIELDS: dict[str, Cell] = {
    "id": lambda spell, _now, _zone: f"@{spell.allocation}",
    "task": lambda spell, _now, _zone: spell.task,
    "user": lambda spell, _now, _zone: spell.user,
    "project": lambda spell, _now, _zone: spell.project or "",
    "gpus": lambda spell, _now, _zone: str(spell.gpus),
    "cpus": lambda spell, _now, _zone: str(spell.cpus),
    "servers": lambda spell, _now, _zone: place_text(spell.servers),
    "start": lambda spell, _now, zone: local_text(spell.start, zone),
    "end": lambda spell, _now, zone: "" if spell.end is None else local_text(spell.end, zone),
    "elapsed": lambda spell, now, _zone: elapsed(spell, now),
    "state": lambda spell, _now, _zone: state_of(spell),
    "cause": lambda spell, _now, _zone: spell.cause or "",
    "reason": lambda spell, _now, _zone: spell.reason or "",
    "note": lambda spell, _now, _zone: spell.note or "",
    "certain": lambda spell, _now, zone: "" if spell.sure is None else local_text(spell.sure, zone),
    "JobID": lambda spell, _now, _zone: str(spell.allocation),
    "JobName": lambda spell, _now, _zone: spell.task,
    "Account": lambda spell, _now, _zone: spell.project or "",
    "NodeList": lambda spell, _now, _zone: compress([share.server for share in spell.servers]),
    "AllocTRES": lambda spell, _now, _zone: f"cpu={spell.cpus},gres/gpu={spell.gpus}",
    "Comment": lambda spell, _now, _zone: spell.note or "",
}
"""Each field that `-o` knows, and its text; names are taken in any case."""

USUAL = "id,task,user,project,servers,cpus,start,end,elapsed,state"
"""The fields of `-P` and `-n` where none are chosen."""

RIGHT = frozenset({"id", "JobID", "gpus", "cpus", "elapsed"})

STATES = {
    "running": "running",
    "r": "running",
    "ended": "ended",
    "completed": "ended",
    "cd": "ended",
}
"""What `-s` takes, in any case: our two states, and Slurm's names for them."""


def elapsed(spell: Spell, now_us: int) -> str:
    """How long it ran, as Slurm writes it."""
    return elapsed_text(elapsed_us(spell, now_us) // SECOND_US)


def cells(spells: Iterable[Spell], now_us: int, zone: tzinfo) -> list[list[str]]:
    """Every field of every allocation, in the order of `FIELDS`."""
    return [[text(spell, now_us, zone) for text in FIELDS.values()] for spell in spells]


def table(spells: Iterable[Spell], now_us: int, zone: tzinfo) -> Table:
    """The table for people."""
    rows = [
        (
            f"@{spell.allocation}", spell.task, spell.user, spell.project or "",
            place_text(spell.servers), str(spell.cpus), moment(spell.start, zone),
            moment(spell.end, zone), elapsed(spell, now_us),
            mark(state_of(spell), spell.uncertain), why(spell),
        )
        for spell in spells
    ]  # fmt: skip
    return Table(COLUMNS, rows)


def why(spell: Spell) -> str:
    """Why it ended, for people: the words that were given, or what ended it by itself."""
    words = {
        "lease": _("its lease ended"),
        "process": _("its process was gone"),
        "reboot": _("its host started anew"),
        "gap": _("lost in a gap"),
    }
    return spell.reason or words.get(spell.cause or "", "")


def csv_table(spells: Iterable[Spell], now_us: int) -> Table:
    """The table for programs: times in UTC, seconds exact."""
    spells = list(spells)
    rows = [
        (
            str(spell.allocation), spell.task, spell.user, spell.project or "",
            place_text(spell.servers), str(spell.cpus), utc_text(spell.start),
            "" if spell.end is None else utc_text(spell.end),
            seconds_text(elapsed_us(spell, now_us)), state_of(spell), spell.reason or "",
        )
        for spell in spells
    ]  # fmt: skip
    sure = ["" if spell.sure is None else utc_text(spell.sure) for spell in spells]
    return with_column(Table(tuple(map(Column, CSV_COLUMNS)), rows), Column(SURE), sure)
