"""Running a command where no process can fork: its GPUs are taken, then it is made.

There is no tie: a hold whose `run` was killed lasts until its lease ends or somebody ends it.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping, Sequence

from .executable import failure
from .hold import Hold, give_back
from .leaseend import KILLED, LeaseEnd, ending

Say = Callable[[str], None]


def spawn(hold: Hold, words: Sequence[str], say: Say) -> int:
    """Run a command with what `hold` has taken; its exit code.

    Raises CommandMissing, CommandRefused and what `hold.take` raises; then nothing is held.
    """
    granted = hold.take(None)
    try:
        say(granted.sentence)
        lease = LeaseEnd(granted.ends, granted.lease_s, hold.ends)
        code = _watched(_made(words, granted.variables), lease, say)
    finally:
        give_back(hold, say)
    return code if code >= 0 else 128 - code


def _made(words: Sequence[str], variables: Mapping[str, str]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(words, env={**os.environ, **variables})  # noqa: S603 - the person's own command
    except OSError as error:
        raise failure(words[0], error.errno or 0) from error


def _watched(child: subprocess.Popen[bytes], lease: LeaseEnd, say: Say) -> int:
    """Wait for the end of a child, or end it with its lease. Ctrl-C reaches it by itself."""
    while True:
        try:
            return child.wait(lease.left())
        except subprocess.TimeoutExpired:
            due = lease.due()
        except KeyboardInterrupt:
            due = None
        if due is not None:
            say(ending(due))
            (child.kill if due == KILLED else child.terminate)()
