"""`gpuledger audit verify`: everything recomputed, nothing believed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from ...exit import FAILED
from ...options import define
from ...report import expected_head, head_text
from ...session import Session
from ...trust import against_options, checkpoints
from ...words import _

if TYPE_CHECKING:
    from ....replay.checked_tree import Anchor
    from ....replay.verification import Verified

EXAMPLES = """
gpuledger audit verify
gpuledger audit verify --expect 48213:9f3c51e07ab2d846   against a head that was kept elsewhere
gpuledger audit verify --against monday.checkpoint --signed-by team.vkey
"""


@define("verify", examples=EXAMPLES)
@click.option(
    "--expect",
    metavar="SEQ:HASH",
    help="A head kept elsewhere, as a report's last line tells it, that must be in the log.",
)
@against_options
def command(
    session: Session,
    *,
    expect: str | None,
    against: tuple[str, ...],
    signed_by: str | None,
    key_file: str | None,
) -> None:
    """Check chain, invariants, snapshots and projections; 1 is the exit code of what is found."""
    expected = expected_head(expect)
    good, bad = checkpoints(session, against, signed_by, key_file)
    with session.ledger() as ledger:
        outcome = ledger.verify(expected, good)
    if bad:
        outcome = msgspec.structs.replace(
            outcome, problems=(*bad, *outcome.problems), anchored=False
        )
    if session.json:
        from ...shape_audit import verify

        session.document(verify(outcome))
    else:
        _tell(session, outcome, expected, good)
    if not outcome.ok:
        raise click.exceptions.Exit(FAILED)


def _tell(
    session: Session,
    outcome: Verified,
    expected: tuple[int, str] | None,
    anchors: list[Anchor],
) -> None:
    from ...sentence_problem import gaps_sentence, next_step, problem_sentence

    for problem in outcome.problems:
        session.say(problem_sentence(problem))
    if outcome.gaps:
        session.say(gaps_sentence(outcome.gaps))
    if not outcome.ok:
        count = len(outcome.problems)
        found = _(
            "{count} problem in {events} events", "{count} problems in {events} events", count
        )
        session.say(
            f"{found.format(count=count, events=outcome.events)}; {next_step(outcome.problems)}"
        )
    elif anchors:
        sizes = ", ".join(str(one.size) for one in anchors)
        sentence = _("consistent, and extends the checkpoint of {sizes} events")
        session.say(sentence.format(sizes=sizes))
    elif expected is None:
        session.say(_("consistent; not compared with an outside copy"))
    else:
        sentence = _("consistent, and the expected head {seq}:{digits} is in it")
        session.say(sentence.format(seq=expected[0], digits=expected[1][:16]))
    session.say(head_text(outcome.seq, outcome.hash))
