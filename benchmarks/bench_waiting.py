"""Waiting: from a release to the grant of who waits for it, in another process.

Beside it the least that could be: a bare insert, a datagram, and a bare insert by who hears it.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import one_waiter
import sample_ledgers as ledgers
from figure import TIME, Compare
from floors import BareInserts

MEANWHILE = 20
"""Rows inserted untimed while who has said that he waits falls asleep."""


class Waiter:
    """A process that waits when it is told to."""

    def __init__(self, *args: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, one_waiter.__file__, *args],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def hear(self) -> str:
        """The next line that it says."""
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def tell(self) -> str:
        """Let it go a step further; what it says then."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self.hear()

    def granted(self) -> None:
        """Wait until it has what it waits for."""
        heard = self.hear()
        assert heard == "granted", f"who waited said {heard!r}"

    def dismiss(self) -> None:
        """End it."""
        self._process.communicate(timeout=60)


@contextmanager
def waiter(*args: str) -> Iterator[Waiter]:
    """One who waits, ended at the end."""
    made = Waiter(*args)
    try:
        yield made
    finally:
        made.dismiss()


def test_a_release_and_the_grant_of_who_waits(
    tmp_path: Path, small: bool, compare: Compare
) -> None:
    """One server, held and given back; the next in line is told and takes it."""
    like, path = tmp_path / "like", tmp_path / "team.db"
    with ledgers.empty(path, servers=1) as ledger:
        ledger.allocate("holds", 8, 8)
        (*_, granted) = ledger.log.read(0)
        ledger.release("holds")
        like.write_bytes(granted.data)
        floor, bare = str(tmp_path / "bare.db"), BareInserts(tmp_path / "mine.db", granted.data)
        ear = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with waiter(str(path)) as ours, waiter(floor, str(like)) as theirs, ear as sender:

            def in_line() -> Callable[[], object]:
                assert ours.tell() == "ready"
                ledger.allocate("holds", 8, 8)
                assert int(ours.tell()) > 0
                bare.insert(MEANWHILE)
                return lambda: (ledger.release("holds"), ours.granted())

            def at_a_socket() -> Callable[[], object]:
                assert theirs.tell() == "ready"
                port = int(theirs.tell())
                bare.insert(MEANWHILE)

                def told() -> None:
                    bare.insert(1)
                    sender.sendto(b"bare", (one_waiter.LOOPBACK, port))
                    theirs.granted()

                return told

            in_line()()
            at_a_socket()()  # whatever has to be loaded is now
            compare(
                "from a release to the grant of who waits",
                in_line,
                at_a_socket,
                against="bare INSERT, a datagram, and a bare INSERT by who hears it",
                goal=TIME,
                rounds=3 if small else 60,
            )
        bare.close()
