"""`gpuledger audit refusals`: what was asked for in vain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ....replay.refusal import REASONS
from ...duration import units_text
from ...moment import moment
from ...options import define
from ...report import now_of, tell_head, tell_window, window_of, windowed
from ...session import Session
from ...shape_audit import refusals
from ...table import Column, Table
from ...timetext import utc_text
from ...words import _

if TYPE_CHECKING:
    from ....replay.episode import Episode
    from ....replay.facts import Asked, AskedExtend, AskedRelease

EXAMPLES = """
gpuledger audit refusals                     the last 7 days
gpuledger audit refusals --month last-month --csv
"""
CSV = "user act asked reason first last times granted".split()


@define("refusals", examples=EXAMPLES, csv=True)
@windowed
def command(session: Session, *, since: str | None, until: str | None, month: str | None) -> None:
    """Unmet demand in episodes: the same user and ask, ended by a grant or an hour of silence."""
    with session.ledger() as ledger:
        window = window_of(session, now_of(session, ledger), since, until, month)
        episodes, head = ledger.refusals(window)
        session.notices(ledger)
    if session.json:
        session.document(refusals(window, episodes, head))
        return
    tell_window(session, window)
    if session.csv:
        session.table(_exact(episodes))
    elif episodes:
        session.table(_table(session, episodes))
    else:
        session.notice(_("nothing was refused in this window"))
    tell_head(session, head)


def _exact(episodes: list[Episode]) -> Table:
    rows = [
        (one.user, one.act, asked_text(one), one.reason, utc_text(one.first), utc_text(one.last),
         str(one.times), "" if one.granted is None else str(one.granted))
        for one in episodes
    ]  # fmt: skip
    return Table(tuple(map(Column, CSV)), rows)


def _table(session: Session, episodes: list[Episode]) -> Table:
    columns = (
        Column("user", style="strong", shrink=1),
        Column("asked", shrink=2, least=16),
        Column("why not", shrink=3, least=12),
        Column("first"),
        Column("last", drop=1),
        Column("times", right=True),
        Column("granted", right=True, hide_empty=True),
    )
    rows = [
        (one.user, asked_text(one), _(REASONS.get(one.reason, one.reason)),
         moment(one.first, session.zone), moment(one.last, session.zone),
         str(one.times), "" if one.granted is None else f"@{one.granted}")
        for one in episodes
    ]  # fmt: skip
    return Table(columns, rows)


def asked_text(episode: Episode) -> str:
    """What was asked for, as it would be typed."""
    words = [episode.act]
    if episode.asked is not None:
        words += _allocate(episode.asked)
    elif episode.asked_release is not None:
        words += _release(episode.asked_release)
    elif episode.asked_change is not None:
        words += episode.asked_change.on
    elif episode.asked_extend is not None:
        words += _extend(episode.asked_extend)
    return " ".join(words)


def _allocate(asked: Asked) -> list[str]:
    words = [asked.task, str(asked.gpus)]
    words += [] if asked.cpus is None else [str(asked.cpus)]
    for place in asked.on:
        words += ["--on", place]
    words += ["--here"] if asked.here is not None else []
    words += ["--servers", str(asked.servers)] if asked.servers > 1 else []
    words += [] if asked.lease is None else ["--lease", units_text(asked.lease)]
    words += [] if asked.project is None else ["--project", asked.project]
    return words + (["--for", asked.beneficiary] if asked.beneficiary is not None else [])


def _release(asked: AskedRelease) -> list[str]:
    words = [*asked.tasks]
    words += ["--mine"] if asked.mine else []
    words += ["--server", ",".join(asked.servers)] if asked.servers else []
    words += ["--for", asked.user] if asked.user is not None else []
    return words + (["--force"] if asked.force else [])


def _extend(asked: AskedExtend) -> list[str]:
    words = [*asked.tasks, "--by", units_text(asked.lease)]
    words += ["--for", asked.user] if asked.user is not None else []
    return words + (["--force"] if asked.force else [])
