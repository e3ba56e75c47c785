"""Where the mirrors are, for a reader who does not know the state."""

from __future__ import annotations

import sqlite3

import msgspec

from .catalogue import MirrorAdded

_SAVED = "SELECT key FROM pieces WHERE key >= 'mirror:' AND key < 'mirror;'"
_SINCE = """
SELECT kind, CAST(data AS BLOB) FROM events WHERE seq > coalesce((SELECT max(seq) FROM snapshot), 0)
AND kind IN ('mirror.added', 'mirror.removed') ORDER BY seq
"""


class _Where(msgspec.Struct, frozen=True):
    directory: str


_where = msgspec.json.Decoder(_Where).decode


def mirrors_of(conn: sqlite3.Connection) -> tuple[str, ...]:
    """The directories of the mirrors, by the saved pieces and the events since.

    None where these cannot be read, of which others will tell.
    """
    try:
        found = dict.fromkeys(key[7:] for (key,) in conn.execute(_SAVED) if isinstance(key, str))
        for kind, data in conn.execute(_SINCE):
            directory = _where(data).directory
            if kind == MirrorAdded.KIND:
                found[directory] = None
            else:
                found.pop(directory, None)
    except (sqlite3.Error, ValueError, RecursionError):
        return ()
    return tuple(found)
