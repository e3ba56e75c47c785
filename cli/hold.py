"""A hold: what `run` needs of whoever keeps the GPUs for its child, wherever the ledger lies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from ..ledger.errors import GpuledgerError
from ..replay.facts import Placed, Tie
from .gang import Gang
from .words import _


class Wish(msgspec.Struct, frozen=True):
    """What `run` was asked for; without `task` a name is made of the command's `words`.

    `form` is one of `environment.FORMS`. `lease` and `wait_s` are seconds.
    """

    words: tuple[str, ...]
    gpus: int
    cpus: int | None = None
    task: str | None = None
    on: tuple[Placed, ...] = ()
    on_words: tuple[str, ...] = ()
    here: str | None = None
    servers: int = 1
    project: str | None = None
    note: str | None = None
    lease: int | None = None
    wait_s: float = 0.0
    form: str | None = None


class Held(msgspec.Struct, frozen=True):
    """What a ledger has granted: the gang, and whether this host is a server of the pool.

    With a lease of `lease_s` seconds it ends at `until` (microseconds UTC), in `left_s` seconds.
    """

    gang: Gang
    listed: bool
    lease_s: int | None = None
    until: int | None = None
    left_s: float | None = None


class Granted(msgspec.Struct, frozen=True):
    """What a child needs to know: `variables` for its environment, and a sentence that tells of
    the grant.

    With a lease it `ends` at an instant of the monotonic clock, `lease_s` seconds after it began.
    """

    variables: Mapping[str, str]
    sentence: str
    ends: float | None = None
    lease_s: int | None = None


class Hold(Protocol):
    """GPUs for one child. Where something fails GpuledgerError is raised."""

    def take(self, tie: Tie | None) -> Granted:
        """Take the GPUs; they are free again when all processes of `tie` are gone."""
        ...

    def ends(self, within_s: float) -> float | None:
        """When the lease ends as things stand now, asked for at most `within_s` seconds.

        An instant of the monotonic clock; None where there is no lease any more, and minus
        infinity where the hold has ended.
        """
        ...

    def give_back(self) -> None:
        """Give the GPUs back; nothing where none were taken, or somebody else did it."""
        ...


def give_back(hold: Hold, say: Callable[[str], None]) -> None:
    """Give back what a command held that has ended, whose exit code counts more than a failure."""
    try:
        hold.give_back()
    except Exception as error:  # noqa: BLE001 - whatever it is, the tie ends the hold after it
        from .sentence import said

        why = said(error).sentence if isinstance(error, GpuledgerError) else str(error)
        say(
            _("this could not be given back: {why}; the next command that writes does it").format(
                why=why
            )
        )
