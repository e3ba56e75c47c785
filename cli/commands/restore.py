"""`gpuledger restore`: a ledger made again from backups, exports and mirrors."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from ...replay.errors import DoesNotExtend
from ..exit import FAILED
from ..options import completed, define
from ..recovering import is_there, only_there, tell_problems
from ..report import head_text
from ..sentence_problem import problem_sentence
from ..session import Session
from ..trust import against_options, checkpoints
from ..usage import Misused, one_of
from ..words import _

if TYPE_CHECKING:
    from ...recovery import Restored, Told
    from ...replay.catalogue import PoolDrained
    from ...replay.checked_tree import Anchor

EXAMPLES = """
gpuledger restore backup.db -o tried.db                   beside the ledger, to look at it
gpuledger restore backup.db /mnt/mirror --replace         in the ledger's place
gpuledger restore backup.db --replace --against monday.checkpoint --signed-by team.vkey
gpuledger restore events.jsonl.gz --replace --reason 'the disk died'
"""


@define("restore", examples=EXAMPLES, here=True)
@click.argument(
    "sources", nargs=-1, required=True, metavar="SOURCE...", shell_complete=completed("files")
)
@click.option(
    "-o", "--output", metavar="NEW", help="Make a new ledger there.",
    shell_complete=completed("files"),
)  # fmt: skip
@click.option(
    "--replace", is_flag=True,
    help="Take the ledger's own place; what lies there is put aside.",
)  # fmt: skip
@against_options
@click.option(
    "--force",
    is_flag=True,
    help="Also back behind a checkpoint, or in another ledger's place; needs a reason.",
)
@click.option("--reason", metavar="TEXT", help="Why; stays in the record.")
def command(
    session: Session,
    *,
    sources: tuple[str, ...],
    output: str | None,
    replace: bool,
    against: tuple[str, ...],
    signed_by: str | None,
    key_file: str | None,
    force: bool,
    reason: str | None,
) -> None:
    """Make a ledger again of the longest history that all SOURCEs hold together.

    A SOURCE is a backup or any ledger's file, an export (plain or gzip), or a mirror's folder. What
    was granted behind that history nobody knows, so all servers come back drained.
    """
    from ...recovery import restore

    only_there(session, "restore")
    for source in sources:
        is_there(source, "SOURCE")
    if output is not None and replace:
        raise one_of("--output", "--replace")
    if output is None and not replace:
        raise Misused(
            _("where the ledger is to be made is not said"),
            _("give -o NEW for a new file, or --replace for the ledger's own place"),
        )
    path = session.location.path if output is None else os.path.abspath(output)
    made = restore(
        path, sources, replace=replace, reason=reason, force=force,
        against=_anchors(session, path, against, signed_by, key_file),
        lock_timeout_s=session.lock_timeout_s,
    )  # fmt: skip
    if session.json:
        from ..shape_recovery import restored

        session.document(restored(made))
    else:
        _tell(session, made)
    if made.problems:
        raise click.exceptions.Exit(FAILED)


def _anchors(
    session: Session,
    path: str,
    against: tuple[str, ...],
    signed_by: str | None,
    key_file: str | None,
) -> list[Anchor]:
    """The checkpoints to extend. Raises DoesNotExtend where a signature is not good."""
    good, bad = checkpoints(session, against, signed_by, key_file)
    for problem in bad:
        raise DoesNotExtend(path, problem.what, problem.seq, problem.detail)
    return good


def _tell(session: Session, made: Restored) -> None:
    from ..timetext import local_text

    for source in made.sources:
        session.say(_source(source))
    session.say(
        _("{path} is restored to event {seq} of {time}").format(
            path=made.path, seq=made.restored.seq, time=local_text(made.restored.at, session.zone)
        )
    )
    for sentence in _doubts(made):
        session.say(sentence)
    if made.aside is not None:
        session.say(_("what was there lies in {folder}").format(folder=made.aside))
    tell_problems(session, made.problems)
    _tell_drained(session, made)
    session.say(head_text(made.head.seq, made.head.hash))


def _tell_drained(session: Session, made: Restored) -> None:
    from ..moving import moved

    drained: PoolDrained = made.drained.payload
    told = _("all servers are drained: {reason}").format(reason=drained.reason or "")
    session.say(told)
    if drained.places:
        step = _("see what runs there, then: gpuledger resume {places}")
        session.say(step.format(places=moved(drained.places)))


def _source(source: Told) -> str:
    told = _("{path} holds {count} event", "{path} holds {count} events", source.events).format(
        path=source.path, count=source.events
    )
    parts = [told]
    if source.skipped:
        more = _(
            "{count} record that does not prove itself was passed over",
            "{count} records that do not prove themselves were passed over",
            source.skipped,
        )
        parts.append(more.format(count=source.skipped))
    if source.cut is not None:
        cut = _("behind event {seq} it cannot be read") if source.cut else _("it cannot be read")
        parts.append(cut.format(seq=source.cut))
    return "; ".join(parts)


def _doubts(made: Restored) -> list[str]:
    """What is not in it that was somewhere."""
    told: list[str] = []
    if made.lost is not None:
        first, last = made.lost
        sentence = _(
            "event {first}, which was written and acknowledged, is not in it",
            "events {first} to {last}, which were written and acknowledged, are not in it",
            last - first + 1,
        )
        told.append(sentence.format(first=first, last=last))
    if made.differs is not None:
        told.append(
            _("event {seq} is another than the one that was there").format(seq=made.differs)
        )
    told += [problem_sentence(problem) for problem in made.behind]
    for fork in made.forks:
        sentence = _("the sources part at event {seq}; the branch that ends at {upto} is left out")
        told.append(sentence.format(seq=fork.seq, upto=fork.upto))
    if made.unlinked:
        sentence = _(
            "{count} more event, up to {seq}, does not link to it; gpuledger salvage can take it",
            "{count} more events, up to {seq}, do not link to it; gpuledger salvage can take them",
            made.unlinked,
        )
        told.append(sentence.format(count=made.unlinked, seq=made.beyond))
    return told
