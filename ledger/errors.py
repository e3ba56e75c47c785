"""What can go wrong below the command line, each with its facts as fields.

GpuledgerError
├── LedgerMissing          no file there                            exit 78
├── LedgerExists           where a ledger, its lock or a file lies        5
├── NotALedger             another kind of file                          65
├── NewerFormat            made by a later release                       65
├── UnknownEvent           an event kind or version from later           65
├── NetworkFilesystem      locks lie there                               78
├── NotPermitted           the operating system says no                  77
├── StorageFailed          disk full, I/O error                          74
├── Damaged                the record does not hold together              1
│   ├── BrokenChain        an event that does not link or decode          1
│   ├── LostTail           the log is behind its own note                 1
│   └── NothingLeft        no event can be had from it any more           1
├── LockTimeout            somebody holds the ledger too long            75
├── KeyReused              a retry key with another request               5
├── HeadMoved              the log ends elsewhere (replicated logs only)   4
├── NoHistory              sources without a history from event 1        65
├── OtherLedger            sources, or a place, of another ledger          5
├── NoSuchGroup            init --group with a name nobody knows         78
├── UnsuitableFolder       init --group in a folder that is not shared   78
├── MirrorUnusable         a folder that cannot be a mirror               78
└── replay.errors …        what a request can run into

The lower floors raise facts; only the command line turns them into sentences.
"""

from __future__ import annotations


class GpuledgerError(Exception):
    """The root: `code` names the failure for programs, `facts` holds its fields."""

    code = "failed"

    def __init__(self, **facts: object) -> None:
        super().__init__(self.code, facts)
        self.facts = facts

    def __str__(self) -> str:
        told = ", ".join(f"{name}={value!r}" for name, value in self.facts.items())
        return f"{self.code}({told})"


class LedgerMissing(GpuledgerError):
    """There is no ledger at `path`."""

    code = "ledger_missing"

    def __init__(self, path: str) -> None:
        super().__init__(path=path)
        self.path = path


class LedgerExists(GpuledgerError):
    """Something lies at `path` already: `what` is `ledger`, `lock`, `file`, `other` where that is
    no backup, or `new` where a backup, or a ledger that is made again, was to be. `neighbour` is
    the name of a file that belongs to another one, whether it is there or not.
    """

    code = "already_there"

    def __init__(self, path: str, what: str) -> None:
        super().__init__(path=path, what=what)
        self.path = path
        self.what = what


class NotALedger(GpuledgerError):
    """The file at `path` is something else; `found` says what."""

    code = "not_a_ledger"

    def __init__(self, path: str, found: str) -> None:
        super().__init__(path=path, found=found)
        self.path = path
        self.found = found


class NewerFormat(GpuledgerError):
    """The ledger's format number is above what this release knows."""

    code = "newer_format"

    def __init__(self, path: str, found: int, known: int) -> None:
        super().__init__(path=path, found=found, known=known)
        self.path = path
        self.found = found
        self.known = known


class UnknownEvent(GpuledgerError):
    """An event of a kind or version that this release cannot fold."""

    code = "unknown_event"

    def __init__(self, seq: int, kind: str, version: int) -> None:
        super().__init__(seq=seq, kind=kind, version=version)
        self.seq = seq
        self.kind = kind
        self.version = version


class NetworkFilesystem(GpuledgerError):
    """`path` lies on a filesystem whose locks cannot be trusted."""

    code = "network_filesystem"

    def __init__(self, path: str, filesystem: str) -> None:
        super().__init__(path=path, filesystem=filesystem)
        self.path = path
        self.filesystem = filesystem


class NotPermitted(GpuledgerError):
    """The operating system refuses: `wanted` is `read`, `write` or `create`; `group` may help."""

    code = "not_permitted"

    def __init__(self, path: str, wanted: str, group: str | None = None) -> None:
        super().__init__(path=path, wanted=wanted, group=group)
        self.path = path
        self.wanted = wanted
        self.group = group


class StorageFailed(GpuledgerError):
    """Writing or reading the disk failed; `full` where there was no room."""

    code = "storage_failed"

    def __init__(self, path: str, why: str, *, full: bool = False) -> None:
        super().__init__(path=path, why=why, full=full)
        self.path = path
        self.why = why
        self.full = full


class Damaged(GpuledgerError):
    """The file is malformed; `why` is what SQLite or a check said."""

    code = "damaged"

    def __init__(self, path: str, why: str) -> None:
        super().__init__(path=path, why=why)
        self.path = path
        self.why = why


class BrokenChain(Damaged):
    """The event at `seq` does not link to the one before, or cannot be decoded."""

    code = "broken_chain"

    def __init__(self, path: str, why: str, seq: int) -> None:
        super().__init__(path, why)
        self.facts["seq"] = seq
        self.seq = seq


class LostTail(Damaged):
    """The note in the lock file knows more than the log.

    `first`..`last` are the missing seqs; where both are equal to a seq that is
    present, its hash is another than the one noted.
    """

    code = "lost_tail"

    def __init__(self, path: str, why: str, *, first: int, last: int) -> None:
        super().__init__(path, why)
        self.facts.update(first=first, last=last)
        self.first = first
        self.last = last


class NothingLeft(Damaged):
    """Nothing of the ledger at `path` is left: no event, in it or in any copy that was named."""

    code = "nothing_left"

    def __init__(self, path: str) -> None:
        super().__init__(path, "no event is left")


class LockTimeout(GpuledgerError):
    """Nobody let go of the ledger within `waited_s` seconds.

    `pid`, `host`, `user` and `since_us` (microseconds UTC) tell who holds it, where known.
    """

    code = "lock_timeout"

    def __init__(
        self,
        path: str,
        waited_s: float,
        *,
        pid: int | None = None,
        host: str | None = None,
        user: str | None = None,
        since_us: int | None = None,
    ) -> None:
        super().__init__(
            path=path, waited_s=waited_s, pid=pid, host=host, user=user, since_us=since_us
        )
        self.path = path
        self.waited_s = waited_s
        self.pid = pid
        self.host = host
        self.user = user
        self.since_us = since_us


class KeyReused(GpuledgerError):
    """The actor used this retry key for another request, recorded at `seq`."""

    code = "key_reused"

    def __init__(self, key: str, seq: int) -> None:
        super().__init__(key=key, seq=seq)
        self.key = key
        self.seq = seq


class HeadMoved(GpuledgerError):
    """The log ends at `found`, not at `expected`, where an append was to follow."""

    code = "head_moved"

    def __init__(self, expected: int, found: int) -> None:
        super().__init__(expected=expected, found=found)
        self.expected = expected
        self.found = found


class NoHistory(GpuledgerError):
    """The sources at `paths` hold no history: nothing in them begins with event 1."""

    code = "no_history"

    def __init__(self, paths: tuple[str, ...]) -> None:
        super().__init__(paths=paths)
        self.paths = paths


class OtherLedger(GpuledgerError):
    """`path` is of the ledger `found` where `expected` is restored (32 hex digits each).

    It is a copy, or where `place` says so, the place that the restored one was to take.
    """

    code = "other_ledger"

    def __init__(self, path: str, found: str, expected: str, *, place: bool = False) -> None:
        super().__init__(path=path, found=found, expected=expected, place=place)
        self.path = path
        self.found = found
        self.expected = expected
        self.place = place


class NoSuchGroup(GpuledgerError):
    """This machine knows no group called `group`."""

    code = "no_such_group"

    def __init__(self, group: str) -> None:
        super().__init__(group=group)
        self.group = group


class UnsuitableFolder(GpuledgerError):
    """The folder at `path` is in use and not shared with `group`; init will not change it."""

    code = "unsuitable_folder"

    def __init__(self, path: str, group: str) -> None:
        super().__init__(path=path, group=group)
        self.path = path
        self.group = group


class MirrorUnusable(GpuledgerError):
    """No mirror can be in `directory`; `trouble` and `why` are those of `Mirrored`."""

    code = "mirror_unusable"

    def __init__(self, directory: str, trouble: str, why: str) -> None:
        super().__init__(directory=directory, trouble=trouble, why=why)
        self.directory = directory
        self.trouble = trouble
        self.why = why
