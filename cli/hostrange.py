"""Host ranges as Slurm writes them, and texts for the GPUs of a server.

`gpu-server-[0-3]`, `venus[001-121]`, `a[1,3,5-7]b`, `rack[1-2]n[1-4]` and comma lists of
these. A zero at the front of a range's first number keeps the width of every number.
GPUs follow a colon: `gpu-server-0:0-1,4`, also with brackets, `gpu-server-0:[0,1,4]`.

A comma inside brackets belongs to the brackets. A comma outside them begins the next
server, except in front of a bare number or number range after a GPU list, which goes on
with that list: `a:0,2` is two GPUs of one server, `a:0,b:2` is a GPU on each of two. A
server whose name is a bare number therefore stands first or behind a server without GPUs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import product

from ..replay.errors import BadRequest
from ..replay.facts import Placed
from ..replay.request import name as checked_name

MOST_SERVERS = 10_000
"""More names than this in one text are taken for a slip of the hand."""

MOST_DIGITS = 12

RANGE_RULE = "a host range such as gpu-server-[0-3] or venus[001-121]"
GPU_RULE = "GPU indices such as 0-1,4"


Check = Callable[[str, str], str]
"""Takes field and name, gives the name as it is kept; raises BadRequest."""


def expand(text: str, *, field: str = "server", check: Check = checked_name) -> tuple[str, ...]:
    """The server names that a text means, in its order. Raises BadRequest.

    A name that comes twice is an error, so that no range overlaps another unnoticed.
    """
    names: list[str] = []
    for part in _parts(text, field):
        names += [check(field, name) for name in _expand_one(part, text, field)]
        if len(names) > MOST_SERVERS:
            raise BadRequest(field, text, f"at most {MOST_SERVERS:,} servers")
    _each_once(names, text, field)
    return tuple(names)


def places(text: str, *, field: str = "server") -> tuple[Placed, ...]:
    """The servers and GPUs that `SERVER[:GPUS]` and comma lists of it mean. Raises BadRequest."""
    found: list[Placed] = []
    for server, listed in _with_gpus(_parts(text, field)):
        gpus = None if listed is None else gpu_indices(listed, field=field)
        names = _expand_one(server, text, field)
        found += [Placed(checked_name(field, name), gpus) for name in names]
        if len(found) > MOST_SERVERS:
            raise BadRequest(field, text, f"at most {MOST_SERVERS:,} servers")
    _each_once([place.server for place in found], text, field)
    return tuple(found)


def gpu_indices(text: str, *, field: str = "GPUs") -> tuple[int, ...]:
    """The GPU indices that `0-1,4` or `[0,1,4]` means, in ascending order. Raises BadRequest."""
    inner = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    indices: list[int] = []
    for piece in inner.split(","):
        first, dash, last = piece.strip(" ").partition("-")
        low, high = _number(first, text, field), _number(last if dash else first, text, field)
        if low > high:
            raise BadRequest(field, text, "a range that runs upwards, such as 0-3")
        indices += range(low, high + 1)
    if len(set(indices)) < len(indices):
        raise BadRequest(field, text, "each GPU once")
    return tuple(sorted(indices))


def gpu_text(indices: Iterable[int]) -> str:
    """Indices as `0-1,4`; an empty text for none."""
    runs: list[list[int]] = []
    for index in sorted(indices):
        if runs and runs[-1][1] + 1 == index:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in runs)


def place_text(server: str, gpus: Iterable[int]) -> str:
    """A server and its GPUs as `gpu-server-0:0-1,4`."""
    return f"{server}:{gpu_text(gpus)}"


def compress(names: Sequence[str]) -> str:
    """The shortest text that `expand` turns into just these names, in this order.

    Neighbours that differ in their last number fold into one range; each name is
    expected once.
    """
    return ",".join(text for text, _ in fold(names))


def fold(names: Sequence[str]) -> list[tuple[str, int]]:
    """The same as single ranges, each with the number of neighbours that it stands for."""
    return [(_folded(run), len(run)) for run in _alike(names)]


def _parts(text: str, field: str) -> list[str]:
    """The text split at the commas outside brackets; none of the parts is empty."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter == "[") - (letter == "]")
        if depth not in (0, 1):
            raise BadRequest(field, text, RANGE_RULE)
        if letter == "," and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    parts = [part.strip(" ") for part in parts]
    if depth or not all(parts):
        raise BadRequest(field, text, RANGE_RULE)
    return parts


def _with_gpus(parts: list[str]) -> Iterator[tuple[str, str | None]]:
    """Each server with its GPU list, to which the bare numbers that follow are added."""
    server, listed = "", None
    for part in parts:
        if listed is not None and _bare_number(part):
            listed = f"{listed},{part}"
            continue
        if server:
            yield server, listed
        server, colon, after = part.partition(":")
        listed = after if colon else None
    yield server, listed


def _bare_number(part: str) -> bool:
    return part.isascii() and all(piece.isdigit() for piece in part.split("-", 1))


def _number(text: str, whole: str, field: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 4):
        raise BadRequest(field, whole, GPU_RULE)
    return int(text)


def _expand_one(part: str, text: str, field: str) -> list[str]:
    """The names of one part; its brackets multiply from the left."""
    if "[" not in part:
        return [part]
    fixed: list[str] = []
    choices: list[list[str]] = []
    total = 1
    rest = part
    while "[" in rest:
        before, _, rest = rest.partition("[")
        inner, _, rest = rest.partition("]")
        fixed.append(before)
        choices.append(_numbers(inner, text, field))
        total *= len(choices[-1])
        if total > MOST_SERVERS:
            raise BadRequest(field, text, f"at most {MOST_SERVERS:,} servers")
    return [
        "".join(a + b for a, b in zip(fixed, chosen, strict=True)) + rest
        for chosen in product(*choices)
    ]


def _numbers(inner: str, text: str, field: str) -> list[str]:
    """The numbers inside one pair of brackets, as texts of the right width."""
    numbers: list[str] = []
    for piece in inner.split(","):
        first, dash, last = piece.strip(" ").partition("-")
        last = last if dash else first
        digits = first.isascii() and last.isascii() and first.isdigit() and last.isdigit()
        if not digits or max(len(first), len(last)) > MOST_DIGITS or not _same_width(first, last):
            raise BadRequest(field, text, RANGE_RULE)
        low, high = int(first), int(last)
        if low > high:
            raise BadRequest(field, text, "a range that runs upwards, such as [0-3]")
        if high - low >= MOST_SERVERS:
            raise BadRequest(field, text, f"at most {MOST_SERVERS:,} servers")
        numbers += [_like(first, number) for number in range(low, high + 1)]
    _each_once(numbers, text, field)
    return numbers


def _padded(text: str) -> bool:
    return len(text) > 1 and text[0] == "0"


def _same_width(first: str, last: str) -> bool:
    """Whether the ends of a range agree on padding: `001-121`, `08-12`, `8-12`, not `1-012`."""
    if _padded(first):
        return len(last) == len(first) or (len(last) > len(first) and not _padded(last))
    return not _padded(last)


def _like(first: str, number: int) -> str:
    return f"{number:0{len(first)}d}" if _padded(first) else str(number)


def _each_once(names: Sequence[str], text: str, field: str) -> None:
    if len(set(names)) < len(names):
        raise BadRequest(field, text, "each server once, as the ranges overlap")


def _alike(names: Sequence[str]) -> Iterator[list[tuple[str, str, str]]]:
    """Runs of neighbours that differ only in their last number, split into its parts."""
    run: list[tuple[str, str, str]] = []
    for split in map(_split, names):
        if run and split[1] and (split[0], split[2]) == (run[0][0], run[0][2]):
            run.append(split)
            continue
        if run:
            yield run
        run = [split]
    if run:
        yield run


def _split(name: str) -> tuple[str, str, str]:
    """A name as what stands before its last number, the number, and what follows."""
    end = len(name)
    while end and not _digit(name[end - 1]):
        end -= 1
    start = end
    while start and _digit(name[start - 1]):
        start -= 1
    if not 0 < end - start <= MOST_DIGITS:
        return name, "", ""
    return name[:start], name[start:end], name[end:]


def _digit(letter: str) -> bool:
    return "0" <= letter <= "9"


def _folded(run: list[tuple[str, str, str]]) -> str:
    before, number, after = run[0]
    if len(run) == 1:
        return before + number + after
    ranges: list[list[str]] = []
    for _, number, _ in run:
        if ranges and _like(ranges[-1][0], int(ranges[-1][-1]) + 1) == number:
            ranges[-1][1:] = [number]
        else:
            ranges.append([number])
    return f"{before}[{','.join('-'.join(ends) for ends in ranges)}]{after}"
