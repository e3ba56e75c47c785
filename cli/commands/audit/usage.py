"""`gpuledger audit usage`: who used how much of what there was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ....replay.errors import BadRequest
from ....replay.spent import HOUR_US, SECOND_US
from ....replay.usage import DIMENSIONS
from ...actor import user_identity
from ...duration import units_text
from ...gapwords import mark
from ...options import define
from ...report import now_of, tell_head, tell_window, window_of, windowed
from ...session import Session
from ...shape_audit import seconds_text, usage
from ...table import Column, Table, with_column
from ...words import _

if TYPE_CHECKING:
    from ....replay.usage import Allowance, Usage, UsageRow

EXAMPLES = """
gpuledger audit usage                                  by user, the last 7 days
gpuledger audit usage --by project --month last-month
gpuledger audit usage --by user,server -S 2026-03-01 -E 2026-04-01 --csv
"""
LIMITED = {"gpus": "GPUs now", "cpus": "CPUs now", "gpu_hours": "of GPU-hours"}
"""What can be limited, and the heading of its column."""


def _by(text: str) -> tuple[str, ...]:
    names = tuple(name.strip().lower() for name in text.split(","))
    if not set(names) <= set(DIMENSIONS) or len(set(names)) < len(names):
        raise BadRequest("--by", text, _("some of {names}").format(names=",".join(DIMENSIONS)))
    return names


@define("usage", examples=EXAMPLES, csv=True)
@click.option("--by", type=_by, default="user", metavar="NAMES",
              help="Some of user,project,server,task (user).")  # fmt: skip
@windowed
def command(
    session: Session,
    *,
    by: tuple[str, ...],
    since: str | None,
    until: str | None,
    month: str | None,
) -> None:
    """GPU-hours and CPU-hours in a window, beside the pool's capacity as it was then.

    What is yet to come counts for nothing: a window ends now at the latest. JSON and CSV
    have exact seconds. Where the pool limits users or projects, rows of theirs tell how much
    of that is in use now, running leases to their ends.
    """
    with session.ledger() as ledger:
        now = now_of(session, ledger)
        window = window_of(session, now, since, until, month)
        used, head = ledger.usage(window, by, limits=window.to_us >= now, identify=user_identity)
        session.notices(ledger, window)
    if session.json:
        session.document(usage(used, head))
        return
    tell_window(session, used.window)
    session.table(_exact(used) if session.csv else _table(used))
    if not session.csv:
        session.say(_offered(used))
    tell_head(session, head)


def _exact(used: Usage) -> Table:
    """The table for programs: the JSON document's rows."""
    columns = (*used.by, "allocations", "gpu_seconds", "cpu_seconds")
    rows = [
        (*(value or "" for value in row.values), str(row.allocations),
         seconds_text(row.gpu_us), seconds_text(row.cpu_us))
        for row in used.rows
    ]  # fmt: skip
    unsure = [seconds_text(row.unsure_us) if used.unsure_us else "" for row in used.rows]
    table = Table(tuple(map(Column, columns)), rows)
    return with_column(table, Column("uncertain_gpu_seconds"), unsure)


def _table(used: Usage) -> Table:
    told = {one.what for row in used.rows for one in row.limits}
    limited = [what for what in LIMITED if what in told]
    columns = (
        *(Column(name, style="strong", shrink=1) for name in used.by),
        Column("allocations", right=True, drop=2),
        Column("GPU-hours", right=True),
        Column("CPU-hours", right=True, drop=1),
        Column("of capacity", right=True),
        *(Column(LIMITED[what], right=True) for what in limited),
    )
    rows = [
        (*(value or _("(none)") for value in row.values),
         *_sums(row.allocations, row.gpu_us, row.cpu_us, used.capacity_us),
         *_limits(row, limited))
        for row in used.rows
    ]  # fmt: skip
    sums = _sums(used.allocations, used.gpu_us, used.cpu_us, used.capacity_us)
    totals = (_("all"), *[""] * (len(used.by) - 1), *sums, *[""] * len(limited))
    unsure = [_unsure(row.unsure_us) for row in used.rows]
    column = Column("of it uncertain", right=True)
    return with_column(Table(columns, rows, totals), column, unsure, _unsure(used.unsure_us))


def _sums(allocations: int, gpu_us: int, cpu_us: int, capacity_us: int) -> tuple[str, ...]:
    return str(allocations), hours(gpu_us), hours(cpu_us), share(gpu_us, capacity_us)


def _unsure(us: int) -> str:
    """Those of the GPU-hours of which a gap leaves open whether they were held."""
    return mark(hours(us), us) if us else ""


def _limits(row: UsageRow, limited: list[str]) -> list[str]:
    """What is used of what is allowed: `6/16`, `120/500 in 7d`; empty where nothing limits it."""
    told = {one.what: one for one in row.limits}
    return [_allowance(told[what]) if what in told else "" for what in limited]


def _allowance(one: Allowance) -> str:
    if one.window is None:
        return f"{one.used}/{one.allowed}"
    used = hours(one.used * SECOND_US).removesuffix(".00")
    allowed, window = one.allowed * SECOND_US // HOUR_US, units_text(one.window)
    return _("{used}/{allowed} in {window}").format(used=used, allowed=allowed, window=window)


def _offered(used: Usage) -> str:
    """What there was: the capacity, and the shares of it that were held, drained and free."""
    capacity = used.capacity_us
    free = capacity - used.gpu_us - used.drained_us
    return _(
        "capacity {capacity} GPU-hours: {held} held, {drained} drained, {free} free"
    ).format(
        capacity=hours(capacity),
        held=share(used.gpu_us, capacity),
        drained=share(used.drained_us, capacity),
        free=share(free, capacity),
    )  # fmt: skip


def hours(us: int) -> str:
    """Microseconds as hours with two digits."""
    hundredths = (us * 100 + HOUR_US // 2) // HOUR_US
    return f"{hundredths // 100}.{hundredths % 100:02d}"


def share(part_us: int, whole_us: int) -> str:
    """A part as `26.3 %`; a dash where there is no whole."""
    return f"{100 * part_us / whole_us:.1f} %" if whole_us else "-"
