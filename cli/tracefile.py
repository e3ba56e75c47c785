"""A trace file: the jobs of a past that lies elsewhere, as rows.

CSV or CSV.gz with a header; of its columns `job_id, user, start, end, gpus` must be there,
`project, cpus, nodes, servers` may be, others are passed over, in any order. Times are ISO
8601, UTC where no offset is written; an empty `end` is a job that still runs. `gpus` and
`cpus` are totals, `servers` reads `host:0,1,2;host2:3` where the trace names them.

A row that says nothing sensible is counted with its line and its reason; only a file that
is no trace at all is an error.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from ..replay.errors import BadRequest
from ..replay.importing import Source
from ..replay.trace import TraceRow, Unusable
from .hostrange import gpu_indices
from .instants import LAST_US, to_us
from .poolsource import content, shown

REQUIRED = ("job_id", "user", "start", "end", "gpus")
OPTIONAL = ("project", "cpus", "nodes", "servers")
MOST = 1_000_000
MOST_BYTES = 1 << 30
"""A longer file, packed or not, is no trace: a device that never ends is one."""

Fields = dict[str, str]


class _Senseless(ValueError):
    """A row that says nothing sensible; its text is the reason."""


def read(path: str, opened: Mapping[str, bytes] | None = None) -> Source:
    """The rows of a file (`-` is stdin), and the SHA-256 of its bytes; `opened` are those that
    were opened on another machine. Raises BadRequest, NotPermitted, StorageFailed.
    """
    import hashlib

    raw = opened[path] if opened and path in opened else trace_content(path)
    text = _text(raw, path)
    rows, unusable = _rows(text, path)
    name = shown(os.path.basename(path))
    return Source(name, hashlib.sha256(raw).hexdigest(), tuple(rows), tuple(unusable))


def trace_content(path: str) -> bytes:
    """The bytes of a trace. Raises BadRequest, NotPermitted, StorageFailed."""
    there = "a trace that is there"
    return _bounded(content(path, field="FILE", expected=there, most=MOST_BYTES), path)


def _bounded(raw: bytes, path: str) -> bytes:
    if len(raw) > MOST_BYTES:
        raise BadRequest("FILE", shown(path), "a trace of at most 1 GiB")
    return raw


def _text(raw: bytes, path: str) -> str:
    """The text of a file, unpacked where it is packed."""
    import gzip
    import zlib
    from io import BytesIO

    try:
        packed = raw.startswith(b"\x1f\x8b")
        plain = gzip.GzipFile(fileobj=BytesIO(raw)).read(MOST_BYTES + 1) if packed else raw
    except (OSError, EOFError, zlib.error):
        raise BadRequest("FILE", path, "a gzip file that is whole") from None
    try:
        return _bounded(plain, path).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadRequest("FILE", path, "CSV in UTF-8, or that packed by gzip") from None


def _rows(text: str, path: str) -> tuple[list[TraceRow], list[Unusable]]:
    rows: list[TraceRow] = []
    unusable: list[Unusable] = []
    lines = _lines(text)
    nothing: tuple[int, list[str]] = (1, [])
    _, header = next(lines, nothing)
    places = _places(header if isinstance(header, list) else [], path)
    for line, cells in lines:
        if isinstance(cells, str):
            unusable.append(Unusable(line, "", cells))
            continue
        if len(cells) != len(header):
            why = f"{len(cells)} columns, not {len(header)}"
            unusable.append(Unusable(line, cells[0][:200], why))
            continue
        fields = {name: cells[at].strip() for name, at in places.items()}
        try:
            rows.append(_row(line, fields))
        except _Senseless as error:
            unusable.append(Unusable(line, fields["job_id"][:200], str(error)))
    return rows, unusable


def _lines(text: str) -> Iterator[tuple[int, list[str] | str]]:
    """Each row with the line on which it begins; in place of one that is no CSV, the reason."""
    import csv
    import io

    reader = csv.reader(io.StringIO(text, newline=""))
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield line, f"no CSV: {error}"
            continue
        if cells:
            yield line, cells


def _places(header: list[str], path: str) -> dict[str, int]:
    """Where the columns stand that are read."""
    names = [name.strip() for name in header]
    known = [name for name in names if name in REQUIRED or name in OPTIONAL]
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        raise BadRequest("FILE", path, f"CSV with the columns {', '.join(missing)} in its header")
    if len(set(known)) < len(known):
        raise BadRequest("FILE", path, "CSV that has each column once")
    return {name: names.index(name) for name in known}


def _row(line: int, fields: Fields) -> TraceRow:
    """One job. Raises _Senseless."""
    job, user = _word(fields, "job_id"), _word(fields, "user")
    start, end = _instant(fields, "start"), _instant(fields, "end")
    if start is None:
        raise _Senseless("start is empty")
    if end is not None and end < start:
        raise _Senseless("end is before start")
    gpus, nodes = _count(fields, "gpus"), _count(fields, "nodes")
    if gpus is None:
        raise _Senseless("gpus is empty")
    servers = _servers(fields.get("servers", ""))
    if servers and sum(len(indices) for _, indices in servers) != gpus:
        raise _Senseless("servers does not name as many GPUs as gpus says")
    if servers and nodes not in (None, len(servers)):
        raise _Senseless("servers does not name as many as nodes says")
    if nodes == 0 and gpus:
        raise _Senseless("nodes is 0")
    return TraceRow(
        line, job, user, start, gpus, fields.get("project") or None, end,
        _count(fields, "cpus"), nodes or len(servers) or 1, servers,
    )  # fmt: skip


def _word(fields: Fields, name: str) -> str:
    text = fields[name]
    if not text:
        raise _Senseless(f"{name} is empty")
    if not text.isprintable() or len(text) > 200:
        raise _Senseless(f"{name} is no name")
    return text


def _instant(fields: Fields, name: str) -> int | None:
    """A time in microseconds UTC, None where it is empty."""
    text = fields[name]
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        at_us = to_us(moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        raise _Senseless(f"{name} is no time: {text[:40]}") from None
    if not 0 <= at_us <= LAST_US:
        raise _Senseless(f"{name} is out of range: {text[:40]}")
    return at_us


def _count(fields: Fields, name: str) -> int | None:
    """A whole number, also written `1.0`; None where it is empty."""
    text = fields.get(name, "")
    if not text:
        return None
    whole, _, rest = text.partition(".")
    if not (whole.isascii() and whole.isdigit() and len(whole) <= 9 and not rest.strip("0")):
        raise _Senseless(f"{name} is no whole number: {text[:40]}")
    if int(whole) > MOST:
        raise _Senseless(f"{name} is too large: {text[:40]}")
    return int(whole)


def _servers(text: str) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """`host:0,1,2;host2:3` as pairs; empty where the trace does not tell."""
    if not text:
        return ()
    named: dict[str, tuple[int, ...]] = {}
    for part in text.split(";"):
        server, _, indices = part.strip().partition(":")
        try:
            gpus = gpu_indices(indices)
        except BadRequest:
            raise _Senseless(f"servers is no list of GPUs: {text[:40]}") from None
        if not server or server in named:
            raise _Senseless(f"servers names a server not at all or twice: {text[:40]}")
        named[server] = gpus
    return tuple(named.items())
