"""The tables of `status`: a row a server, or a row a GPU.

On a terminal a long table folds: neighbours that are alike in every cell stand in one row
under a host range with their number, `venus[003-012] ×10`, and its cells tell of each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from .gapwords import mark
from .hostrange import fold, place_text
from .occupancy import Occupancy, Seat, Totals
from .shape import held_s
from .table import Cell, Column, Row, Table, with_column
from .timetext import held_text, utc_text
from .words import _

MOST_ROWS = 40
"""A longer table folds on a terminal."""

COLUMNS = (
    Column("server", style="strong", shrink=1),
    Column("state"),
    Column("GPU free", right=True),
    Column("GPU held", right=True),
    Column("CPU free", right=True),
    Column("CPU held", right=True),
    Column("tasks", right=True),
)
GPU_COLUMNS = (
    Column("GPU", style="strong", shrink=1),
    Column("state"),
    Column("id", right=True, style="dim"),
    Column("task", shrink=3, least=12),
    Column("user", shrink=2),
    Column("project", shrink=2, drop=2, hide_empty=True),
    Column("since", style="dim", drop=3),
    Column("held for", right=True),
)
CSV_COLUMNS = (
    "server", "state", "gpus_free", "gpus_total", "cpus_free", "cpus_total", "tasks",
)  # fmt: skip
GPU_CSV_COLUMNS = (
    "server", "gpu", "uuid", "state", "allocation", "task", "user", "project", "start", "held_s",
)  # fmt: skip
LOOK = {"idle": "good", "free": "good", "drained": "warn", "draining": "warn", "full": "dim"}
"""The style of a state; the others are plain."""


def server_table(rows: Sequence[Occupancy], sums: Totals, *, short: bool) -> Table:
    """A row a server and the totals; `short` folds a long table."""
    every = ((Cell(row.server), row) for row in rows)
    shown = _folded(rows) if short and len(rows) > MOST_ROWS else every
    return Table(
        COLUMNS,
        [(name, _state(row), *_counts(row, row.tasks)) for name, row in shown],
        (_("total"), "", *_counts(sums, sums.tasks)),
    )  # fmt: skip


def gpu_table(
    rows: Sequence[Occupancy], at_us: int, time_of: Callable[[int], Cell], *, short: bool
) -> Table:
    """A row a GPU with its holder; `short` puts GPUs that are alike into one row where many are."""
    long = sum(len(row.seats) for row in rows) > MOST_ROWS
    seats = _grouped(rows) if short and long else _each(rows)
    return Table(GPU_COLUMNS, [_gpu_row(name, seat, at_us, time_of) for name, seat in seats])


def server_csv(rows: Iterable[Occupancy]) -> Table:
    """A row a server, for programs."""
    return Table(
        tuple(map(Column, CSV_COLUMNS)),
        [
            (row.server, row.state, *map(str, (
                row.gpus_free, row.gpus_total, row.cpus_free, row.cpus_total, row.tasks,
            )))
            for row in rows
        ],
    )  # fmt: skip


def gpu_csv(rows: Iterable[Occupancy], at_us: int) -> Table:
    """A row a GPU, for programs."""
    rows = list(rows)
    table = Table(
        tuple(map(Column, GPU_CSV_COLUMNS)),
        [(row.server, *_gpu_cells(seat, at_us)) for row in rows for seat in row.seats],
    )
    doubtful = ["yes" if seat.doubtful else "" for row in rows for seat in row.seats]
    return with_column(table, Column("doubtful"), doubtful)


def share_text(part: int, whole: int) -> str:
    """A share in whole per cent; 0% only of nothing, and 100% only of everything."""
    if not whole or not part:
        return "0%"
    return "100%" if part >= whole else f"{min(99, max(1, round(100 * part / whole)))}%"


def _counts(of: Occupancy | Totals, tasks: int) -> tuple[str, ...]:
    return (
        f"{of.gpus_free}/{of.gpus_total}",
        share_text(of.gpus_held, of.gpus_total),
        f"{of.cpus_free}/{of.cpus_total}",
        share_text(of.cpus_total - of.cpus_free, of.cpus_total),
        str(tasks),
    )


def _state(row: Occupancy) -> Cell:
    """The state, and how many GPUs are drained where that are some of them, or in doubt."""
    drained = sum(seat.drained for seat in row.seats)
    doubtful = sum(seat.doubtful for seat in row.seats)
    text = brief = row.state
    if 0 < drained < len(row.seats):
        text = _("{state}, {count} drained").format(state=text, count=drained)
        brief = _("{state}, {count} dr.").format(state=brief, count=drained)
    if doubtful:
        text = _("{state}, {count} in doubt?").format(state=text, count=doubtful)
        brief = _("{state}, {count}?").format(state=brief, count=doubtful)
    if text == row.state:
        return Cell(text, LOOK.get(text, ""))
    return Cell(text, LOOK["drained"], brief)


def _folded(rows: Iterable[Occupancy]) -> Iterator[tuple[Cell, Occupancy]]:
    """Runs of servers that are alike under their range."""
    run: list[Occupancy] = []
    for row in rows:
        if run and _alike(run[0]) != _alike(row):
            yield from _named(run)
            run = []
        run.append(row)
    yield from _named(run)


def _alike(row: Occupancy) -> tuple[object, ...]:
    return _state(row), _counts(row, row.tasks)


def _named(run: Sequence[Occupancy]) -> Iterator[tuple[Cell, Occupancy]]:
    if run:
        for names, count in fold([row.server for row in run]):
            yield Cell(f"{names} ×{count}" if count > 1 else names, brief=names), run[0]


def _each(rows: Iterable[Occupancy]) -> Iterator[tuple[str, Seat]]:
    for row in rows:
        for seat in row.seats:
            yield f"{row.server}:{seat.index}", seat


def _grouped(rows: Iterable[Occupancy]) -> Iterator[tuple[str, Seat]]:
    """Runs of GPUs that are alike, and runs of servers of which that one row tells all."""
    whole: list[tuple[str, str, Seat]] = []
    for row in rows:
        groups = list(_seat_runs(row.seats))
        indices = place_text("", (seat.index for seat in row.seats))
        if whole and not (len(groups) == 1 and whole[0][1:] == (indices, _plain(groups[0][0]))):
            yield from _whole(whole)
            whole = []
        if len(groups) == 1 and groups[0][0].holder is None:
            whole.append((row.server, indices, _plain(groups[0][0])))
            continue
        for group in groups:
            yield place_text(row.server, (seat.index for seat in group)), group[0]
    yield from _whole(whole)


def _plain(seat: Seat) -> Seat:
    """A seat without what differs from GPU to GPU."""
    return Seat(0, None, seat.state, seat.holder, seat.drained, seat.doubtful)


def _whole(run: Sequence[tuple[str, str, Seat]]) -> Iterator[tuple[str, Seat]]:
    if run:
        for names, _count in fold([server for server, _, _ in run]):
            yield f"{names}{run[0][1]}", run[0][2]


def _seat_runs(seats: Iterable[Seat]) -> Iterator[list[Seat]]:
    run: list[Seat] = []
    for seat in seats:
        if run and _plain(run[0]) != _plain(seat):
            yield run
            run = []
        run.append(seat)
    if run:
        yield run


def _gpu_row(name: str, seat: Seat, at_us: int, time_of: Callable[[int], Cell]) -> Row:
    state = Cell(state_text(seat), LOOK["drained"] if seat.drained else LOOK.get(seat.state, ""))
    holder = seat.holder
    if holder is None:
        return (name, state, "", "", "", "", "", "")
    return (
        name, state, f"@{holder.id}", holder.task, holder.user, holder.project or "",
        time_of(holder.start), held_text(held_s(holder.start, at_us)),
    )  # fmt: skip


def state_text(seat: Seat) -> str:
    """`free`, `held`, `drained`, or `draining` where a drained GPU is still held; `free?` …"""
    drains = seat.drained and seat.holder is not None
    return mark("draining" if drains else seat.state, seat.doubtful)


def _gpu_cells(seat: Seat, at_us: int) -> tuple[str, ...]:
    holder = seat.holder
    told = (str(seat.index), seat.uuid or "", seat.state)
    if holder is None:
        return (*told, "", "", "", "", "", "")
    return (
        *told, str(holder.id), holder.task, holder.user, holder.project or "",
        utc_text(holder.start), str(held_s(holder.start, at_us)),
    )  # fmt: skip
