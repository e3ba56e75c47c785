"""The numbers and SQL text of format 1, for writers, readers and the verifier.

Apart from `schema.py`, so that no daily command imports sqlite-utils to know them.
`docs/FORMAT.md` tells the same to a stranger; a difference between the two is a bug.
"""

from __future__ import annotations

FORMAT = 1
"""The ledger's format, kept in SQLite's `user_version`."""

APPLICATION_ID = 0x4750554C
"""`GPUL`, kept in SQLite's `application_id`, so that `file(1)` and we know our own."""

MAX_INTEGER = 2**53 - 1
"""The greatest integer that every JSON reader keeps exactly; the least is its negative."""

LOCK_SUFFIX = ".lock"

NEW_SUFFIX = ".new"
"""What `init` calls the file while it is being made."""

EVENTS_TABLE = """\
CREATE TABLE events (
  seq INTEGER PRIMARY KEY CHECK (seq >= 1),
  at INTEGER NOT NULL CHECK (at >= 0),
  kind TEXT NOT NULL CHECK (length(kind) BETWEEN 1 AND 64),
  version INTEGER NOT NULL CHECK (version >= 1),
  actor TEXT NOT NULL CHECK (length(actor) BETWEEN 1 AND 256),
  key TEXT CHECK (length(key) BETWEEN 1 AND 256),
  data TEXT NOT NULL CHECK (length(data) >= 2),
  prev BLOB NOT NULL CHECK (length(prev) = 32),
  hash BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT"""

EVENTS_KEYS = """\
CREATE UNIQUE INDEX events_keys ON events (actor, key) WHERE key IS NOT NULL"""

EVENTS_INSERT = """\
CREATE TRIGGER events_insert BEFORE INSERT ON events BEGIN
  SELECT RAISE(ABORT, 'events are appended: seq must be the last one plus 1')
  WHERE NEW.seq IS NOT (SELECT coalesce(max(seq), 0) + 1 FROM events);
  SELECT RAISE(ABORT, 'events are appended: this actor has used this key')
  WHERE NEW.key IS NOT NULL
  AND EXISTS (SELECT 1 FROM events WHERE actor = NEW.actor AND key = NEW.key);
END"""

EVENTS_UPDATE = """\
CREATE TRIGGER events_update BEFORE UPDATE ON events BEGIN
  SELECT RAISE(ABORT, 'events are never changed: record a correction instead');
END"""

EVENTS_DELETE = """\
CREATE TRIGGER events_delete BEFORE DELETE ON events BEGIN
  SELECT RAISE(ABORT, 'events are never deleted');
END"""

EVENTS_READABLE = """\
SELECT seq,
  strftime('%Y-%m-%dT%H:%M:%S', at / 1000000, 'unixepoch')
    || printf('.%06dZ', at % 1000000) AS at,
  kind, version, actor, key, data, lower(hex(prev)) AS prev, lower(hex(hash)) AS hash
FROM events"""

TRIGGERS = {
    "events_insert": EVENTS_INSERT,
    "events_update": EVENTS_UPDATE,
    "events_delete": EVENTS_DELETE,
}
"""The triggers a ledger has, by name, as `sqlite_schema` keeps their text."""

OURS = {
    ("table", "events"): EVENTS_TABLE,
    ("index", "events_keys"): EVENTS_KEYS,
    **{("trigger", name): sql for name, sql in TRIGGERS.items()},
}
"""What hangs on the table of events, by type and name, and nothing else does."""
