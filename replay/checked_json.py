"""The verifier's own JSON, by the standard library: what is canonical, and what is in it.

Nothing here is the writer's. Most texts take the short way, which names what makes it enough:
an ASCII text without a long run of digits has ASCII keys and no integer out of bounds, and a
key named twice is gone when the value is spelled again, so that the text is not what it was.
"""

from __future__ import annotations

import json
import re
from json.encoder import encode_basestring
from typing import Any, NoReturn

MOST = 2**53 - 1


def _refuse(text: str) -> NoReturn:
    raise ValueError(f"{text} is no integer")


def _bounded(text: str) -> int:
    number = int(text)
    if abs(number) > MOST:
        raise ValueError(f"{text} is beyond 2**53 - 1")
    return number


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs) or not all(key.isascii() for key in made):
        raise ValueError("an object key twice, or not ASCII")
    return made


spell = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, check_circular=False
).encode
"""The canonical JSON of a value as a str; see `canonical`."""
_short = json.JSONDecoder(parse_float=_refuse, parse_constant=_refuse).decode
_long = json.JSONDecoder(
    object_pairs_hook=_once, parse_float=_refuse, parse_constant=_refuse, parse_int=_bounded
).decode
_digits = re.compile(rb"[0-9]{16}").search


def canonical(value: object) -> bytes:
    """RFC 8785 for strings, integers, booleans, null, lists and objects."""
    return spell(value).encode()


def text(value: str) -> str:
    """The canonical JSON of a string."""
    return encode_basestring(value)


def strictly(data: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """The JSON value in `data`, which must be canonical. Raises ValueError, RecursionError.

    So it does for duplicate keys, floats, and integers beyond 2**53 - 1.
    """
    decode = _short if data.isascii() and not _digits(data) else _long
    value = decode(data.decode())
    if canonical(value) != data:
        raise ValueError("it is spelled otherwise")
    return value
