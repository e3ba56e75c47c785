"""gpuledger: allocates a team's GPUs, and the grant is the record.

`gpuledger.open()` gives a `Ledger`; `Ledger.allocate` gives an `Allocation`, which is a context
manager. Every failure is a `GpuledgerError` with its facts as fields. Names load on first use,
so that `import gpuledger` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gpuledger.handle import Allocation, Ledger, init, open  # noqa: A004 - the front door's verb
    from gpuledger.ledger.errors import (
        BrokenChain,
        Damaged,
        GpuledgerError,
        KeyReused,
        LedgerExists,
        LedgerMissing,
        LockTimeout,
        LostTail,
        NetworkFilesystem,
        NewerFormat,
        NotALedger,
        NotPermitted,
        StorageFailed,
        UnknownEvent,
    )
    from gpuledger.replay.errors import (
        AmbiguousTask,
        BadRequest,
        NoSuchServer,
        NoSuchTask,
        NotEmpty,
        ReasonNeeded,
        Refused,
        ServerInUse,
        TaskInUse,
    )

__version__ = "0.1.0"

__all__ = [
    "Allocation",
    "AmbiguousTask",
    "BadRequest",
    "BrokenChain",
    "Damaged",
    "GpuledgerError",
    "KeyReused",
    "Ledger",
    "LedgerExists",
    "LedgerMissing",
    "LockTimeout",
    "LostTail",
    "NetworkFilesystem",
    "NewerFormat",
    "NoSuchServer",
    "NoSuchTask",
    "NotALedger",
    "NotEmpty",
    "NotPermitted",
    "ReasonNeeded",
    "Refused",
    "ServerInUse",
    "StorageFailed",
    "TaskInUse",
    "UnknownEvent",
    "__version__",
    "init",
    "open",
]

_HANDLE = frozenset({"Allocation", "Ledger", "init", "open"})
_REPLAY = frozenset(
    {
        "AmbiguousTask",
        "BadRequest",
        "NoSuchServer",
        "NoSuchTask",
        "NotEmpty",
        "ReasonNeeded",
        "Refused",
        "ServerInUse",
        "TaskInUse",
    }
)


if not TYPE_CHECKING:  # a checker that saw this would believe every misspelt name

    def __getattr__(name: str) -> object:
        """Load the module that holds a public name, the first time somebody asks for it."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name)
        if name in _HANDLE:
            home = "gpuledger.handle"
        elif name in _REPLAY:
            home = "gpuledger.replay.errors"
        else:
            home = "gpuledger.ledger.errors"
        value: object = getattr(import_module(home), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
