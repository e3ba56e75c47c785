"""`gpuledger salvage`: all that can be had of a damaged ledger, in a new one."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from ..exit import FAILED
from ..options import completed, define
from ..recovering import is_there, tell_problems
from ..report import head_text
from ..session import Session
from ..words import _

if TYPE_CHECKING:
    from datetime import tzinfo

    from ...ledger.lineage import Hole
    from ...salvaging import Helped, Salvaged

EXAMPLES = """
gpuledger salvage ledger.db -o new.db
gpuledger salvage ledger.db -o new.db --mirror /mnt/mirror --backup /mnt/backup/ledger.db
gpuledger --ledger ledger.db restore new.db --replace      puts it in the ledger's place
"""
NOTHING_THERE = (
    "a file that is there; where it is gone,"
    " gpuledger restore makes a ledger of mirrors and backups"
)
MOST = 20
"""Lines about lost stretches; JSON has them all."""


@define("salvage", examples=EXAMPLES, here=True)
@click.argument("damaged", metavar="DAMAGED", shell_complete=completed("files"))
@click.option(
    "-o", "--output", "new", required=True, metavar="NEW", help="The ledger that is made.",
    shell_complete=completed("files"),
)  # fmt: skip
@click.option(
    "--mirror", "mirrors", multiple=True, metavar="DIR", help="A mirror of it; repeatable.",
    shell_complete=completed("files"),
)  # fmt: skip
@click.option(
    "--backup", "backups", multiple=True, metavar="FILE",
    help="A backup or an export of it; repeatable.", shell_complete=completed("files"),
)  # fmt: skip
@click.option("--reason", metavar="TEXT", help="Why; stays in the record where events are lost.")
def command(
    session: Session,
    *,
    damaged: str,
    new: str,
    mirrors: tuple[str, ...],
    backups: tuple[str, ...],
    reason: str | None,
) -> None:
    """Make a NEW ledger of every event that is left of the DAMAGED one.

    Events are looked for in the file and its -wal byte by byte, and each must have the hash of what
    it says. The damaged file is only read. What cannot be had is recorded in the new ledger as
    lost; 1 is the exit code then.
    """
    from ...salvaging import salvage

    is_there(damaged, "DAMAGED", NOTHING_THERE)
    for field, copies in (("--mirror", mirrors), ("--backup", backups)):
        for copy in copies:
            is_there(copy, field)
    made = salvage(
        os.path.abspath(damaged), os.path.abspath(new), copies=(*mirrors, *backups), reason=reason
    )
    if session.json:
        from ..shape_recovery import salvaged

        session.document(salvaged(made))
    else:
        _tell(session, made, os.path.abspath(damaged))
    if made.lost or made.problems:
        raise click.exceptions.Exit(FAILED)


def _tell(session: Session, made: Salvaged, damaged: str) -> None:
    total = made.recovered + made.missing
    sentence = _(
        "{path} holds {recovered} of {total} event", "{path} holds {recovered} of {total} events",
        total,
    )  # fmt: skip
    session.say(sentence.format(path=made.path, recovered=made.recovered, total=total))
    for one in made.helped:
        session.say(_helped(one))
    for hole in made.lost[:MOST]:
        session.say(_hole(hole, session.zone))
    for told in _doubts(made):
        session.say(told)
    tell_problems(session, made.problems)
    session.say(
        _("to put it in the ledger's place: gpuledger --ledger {damaged} restore {new} --replace")
        .format(damaged=shlex.quote(damaged), new=shlex.quote(made.path))
    )  # fmt: skip
    session.say(head_text(made.head.seq, made.head.hash))


def _helped(one: Helped) -> str:
    told = _(
        "{path} has {count} of them, {alone} that are nowhere else",
    ).format(path=one.path, count=one.events, alone=one.alone)  # fmt: skip
    if not one.skipped:
        return told
    more = _(
        "{count} record that does not prove itself was passed over",
        "{count} records that do not prove themselves were passed over",
        one.skipped,
    )
    return f"{told}; {more.format(count=one.skipped)}"


def _hole(hole: Hole, zone: tzinfo) -> str:
    """`events 7 to 9 are lost, written between <time> and <time>`."""
    from ..timetext import local_text

    lost = _(
        "event {first} is lost", "events {first} to {last} are lost", hole.last - hole.first + 1
    ).format(first=hole.first, last=hole.last)
    start = None if hole.from_us is None else local_text(hole.from_us, zone)
    end = None if hole.to_us is None else local_text(hole.to_us, zone)
    if start is not None and end is not None:
        when = _("written between {start} and {end}")
    elif start is not None:
        when = _("written at or after {start}")
    else:
        when = _("written at or before {end}") if end is not None else ""
    return ", ".join(filter(None, (lost, when.format(start=start, end=end))))


def _doubts(made: Salvaged) -> Iterator[str]:
    """What else is not in the new ledger, and what nobody can tell."""
    if len(made.lost) > MOST:
        more = len(made.lost) - MOST
        yield _("{count} more stretches are lost; --json tells them all").format(count=more)
    if made.gap is not None:
        yield _(
            "event {seq} records that; what it leaves open is marked with ? in every report"
        ).format(seq=made.gap)
    if made.forked:
        yield _forked(made)
    if made.unfinished:
        yield _(
            "{count} event of a turn that was never committed is left out",
            "{count} events of turns that were never committed are left out",
            made.unfinished,
        ).format(count=made.unfinished)
    if not made.noted:
        yield _("no lock file tells where the log ended, so more may be lost at its end")
    if made.unreadable:
        yield _("the disk did not give back {count} bytes").format(count=made.unreadable)
    if made.given_up:
        yield _("too much in the file only looks like events: it was not searched to its end")


def _forked(made: Salvaged) -> str:
    """How many events were set aside, where, and what decided that."""
    told = _(
        "{count} event stands on another branch and is left out: seq {where}",
        "{count} events stand on other branches and are left out: seq {where}",
        len(made.forked),
    ).format(count=len(made.forked), where=_ranges([event.seq for event in made.forked]))
    if made.noted:
        return told + _("; the branch that was taken leads to the head that the lock file names")
    return told + _("; the branch that was taken goes furthest")


def _ranges(seqs: Sequence[int]) -> str:
    """`7, 9-12`."""
    found: list[list[int]] = []
    for seq in sorted(set(seqs)):
        if found and found[-1][1] == seq - 1:
            found[-1][1] = seq
        else:
            found.append([seq, seq])
    texts = [f"{first}-{last}" if last > first else str(first) for first, last in found[:MOST]]
    return ", ".join([*texts, *(["…"] if len(found) > MOST else [])])
