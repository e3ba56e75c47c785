"""Output: JSON documents as text, and streams that never fail over a letter.

JSON is indented and keeps every script as it is where stdout is UTF-8. What a stream cannot
write it writes as an escape, which inside of JSON is JSON's own.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import Any

import msgspec

MAPPINGS: type[Any] = dict
SEQUENCES: tuple[type[Any], ...] = (list, tuple)
"""What values of any kind are taken apart by, so that their parts are of any kind, too."""


def plain(value: Any) -> Any:  # noqa: ANN401 - records, and lists and tables of them
    """A value as JSON has it: records as objects with every field, tuples as lists."""
    if isinstance(value, msgspec.Struct):
        return {name: plain(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, MAPPINGS):
        return {str(key): plain(one) for key, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, SEQUENCES) else value


def json_text(document: dict[str, Any]) -> str:
    """The document as JSON, over several lines, without the last line's end."""
    if _unicode():
        try:
            return msgspec.json.format(msgspec.json.encode(document), indent=2).decode()
        except UnicodeEncodeError:
            pass  # A text that came from bytes which are no UTF-8: shown as JSON's escapes.
    import json

    return json.dumps(document, indent=2)


NO_ANSWER = (errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EBADF)
"""Why an answer could not be written. (What the ledger's own disk lacks, StorageFailed tells.)"""


class Unanswered(OSError):
    """The answer could not be written; `done` says what is so all the same."""

    def __init__(self, error: OSError, done: str) -> None:
        super().__init__(error.errno, error.strerror)
        self.done = done


class Closed(io.RawIOBase):
    """What a process has for stdout that was started without one: writing to it fails."""

    def writable(self) -> bool:
        """It is for writing."""
        return True

    def write(self, _: object) -> int:
        """Fail as the system would."""
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))


def ready_streams() -> None:
    """Make the standard streams safe to write to, whatever the process was started with.

    Where one is closed, the next file that is opened would get its number, and what is meant
    for people would be written into the ledger: such numbers lead nowhere instead, and an
    answer on a closed stdout fails as on a full disk. Stdout escapes what it cannot write, as
    stderr does by itself.
    """
    number = os.open(os.devnull, os.O_RDWR)
    while number <= 2:
        number = os.open(os.devnull, os.O_RDWR)
    os.close(number)
    if getattr(sys, "stdout", None) is None:
        sys.stdout = io.TextIOWrapper(io.BufferedWriter(Closed()), encoding="utf-8")
    if getattr(sys, "stderr", None) is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - for good
    _buffered()
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")


def _buffered() -> None:
    """Give stdout a buffer where PYTHONUNBUFFERED took it, as many containers set it.

    Without one a long text is written by a single call, and what a closing pipe or a full disk
    does not take of it is lost in silence.
    """
    if isinstance(getattr(sys.stdout, "buffer", None), io.RawIOBase):
        sys.stdout = open(  # noqa: SIM115 - for good
            sys.stdout.fileno(),
            "w",
            buffering=1 if sys.stdout.isatty() else -1,
            encoding=sys.stdout.encoding,
            closefd=False,
        )


def _unicode() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
