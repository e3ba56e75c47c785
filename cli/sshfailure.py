"""What can go wrong on the way to a ledger on another machine, each with its facts as fields.

GpuledgerError
├── NoSsh                  there is no ssh program here                  78
├── NotReached             ssh ended before gpuledger began there        74
├── ConnectionLost         the connection went while a command ran       74
├── FarFailed              a command there ended with another code       1
├── NotThere               no gpuledger on that machine                  78
├── VersionsDiffer         another release there                         78
└── SecondHop              that machine's ledger lies on a third one     78
"""

from __future__ import annotations

from ..ledger.errors import GpuledgerError


class NoSsh(GpuledgerError):
    """`program` is not on the path, or cannot be run; `why` is what the system said."""

    code = "no_ssh"

    def __init__(self, program: str, why: str) -> None:
        super().__init__(program=program, why=why)


class NotReached(GpuledgerError):
    """No connection to `place` came about; `command` is what to try again."""

    code = "not_reached"

    def __init__(self, place: str, command: str) -> None:
        super().__init__(place=place, command=command)


class ConnectionLost(GpuledgerError):
    """The connection to `place` went while a command ran there.

    `command` is what to try again. `act` is `read`, `keyed` where the command carries a retry
    key, `bare` where it may be done or not and nothing tells, and `run` for a hold that is
    given back where the command did not begin.
    """

    code = "connection_lost"

    def __init__(self, place: str, command: str, act: str) -> None:
        super().__init__(place=place, command=command, act=act)


class FarFailed(GpuledgerError):
    """What was asked of `place` ended there with the exit code `status`."""

    code = "far_failed"

    def __init__(self, place: str, status: int) -> None:
        super().__init__(place=place, status=status)


class NotThere(GpuledgerError):
    """`place` has no `word` on the path of commands run through ssh; ssh ended with `status`."""

    code = "not_there"

    def __init__(self, place: str, word: str, status: int) -> None:
        super().__init__(place=place, word=word, status=status)


class VersionsDiffer(GpuledgerError):
    """The release `here`, where the command was typed, is another than the one at `place`."""

    code = "versions_differ"

    def __init__(self, place: str, here: str, there: str) -> None:
        super().__init__(place=place, here=here, there=there)


class SecondHop(GpuledgerError):
    """The ledger that `place` itself would use is `ledger`, on yet another machine."""

    code = "second_hop"

    def __init__(self, place: str, ledger: str) -> None:
        super().__init__(place=place, ledger=ledger)
