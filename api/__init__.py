"""gpuledger: allocates a team's GPUs, and the grant is the record.

`gpuledger.open()` gives a `Ledger`; `Ledger.allocate` gives an `Allocation`, which is a context
manager. Every failure is a `GpuledgerError` with its facts as fields. Names load on first use,
so that `import gpuledger` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gpuledger.allocation import Allocation, Released
    from gpuledger.handle import Ledger, init, open  # noqa: A004 - the front door's verb
    from gpuledger.ledger.errors import (
        BrokenChain,
        Damaged,
        GpuledgerError,
        HeadMoved,
        KeyReused,
        LedgerExists,
        LedgerMissing,
        LockTimeout,
        LostTail,
        MirrorUnusable,
        NetworkFilesystem,
        NewerFormat,
        NoHistory,
        NoSuchGroup,
        NotALedger,
        NothingLeft,
        NotPermitted,
        OtherLedger,
        StorageFailed,
        UnknownEvent,
        UnsuitableFolder,
    )
    from gpuledger.recovery import restore
    from gpuledger.replay.errors import (
        AmbiguousTask,
        BadRequest,
        DoesNotExtend,
        HasEnded,
        NoLease,
        NoSuchMirror,
        NoSuchProject,
        NoSuchServer,
        NoSuchTask,
        NotEmpty,
        NotWaiting,
        ReasonNeeded,
        Refused,
        ServerInUse,
        TaskInUse,
        WaitedInVain,
    )
    from gpuledger.replay.facts import Card, Limits, Pool, Server
    from gpuledger.salvaging import salvage

__version__ = "0.3.0"

__all__ = [
    "Allocation",
    "AmbiguousTask",
    "BadRequest",
    "BrokenChain",
    "Card",
    "Damaged",
    "DoesNotExtend",
    "GpuledgerError",
    "HasEnded",
    "HeadMoved",
    "KeyReused",
    "Ledger",
    "LedgerExists",
    "LedgerMissing",
    "Limits",
    "LockTimeout",
    "LostTail",
    "MirrorUnusable",
    "NetworkFilesystem",
    "NewerFormat",
    "NoHistory",
    "NoLease",
    "NoSuchGroup",
    "NoSuchMirror",
    "NoSuchProject",
    "NoSuchServer",
    "NoSuchTask",
    "NotALedger",
    "NotEmpty",
    "NotPermitted",
    "NotWaiting",
    "NothingLeft",
    "OtherLedger",
    "Pool",
    "ReasonNeeded",
    "Refused",
    "Released",
    "Server",
    "ServerInUse",
    "StorageFailed",
    "TaskInUse",
    "UnknownEvent",
    "UnsuitableFolder",
    "WaitedInVain",
    "__version__",
    "init",
    "open",
    "restore",
    "salvage",
]

# Where each name lives that is not an error of the ledger floor.
_HOMES = {
    "gpuledger.allocation": {"Allocation", "Released"},
    "gpuledger.handle": {"Ledger", "init", "open"},
    "gpuledger.recovery": {"restore"},
    "gpuledger.salvaging": {"salvage"},
    "gpuledger.replay.facts": {"Card", "Limits", "Pool", "Server"},
    "gpuledger.replay.errors": {
        "AmbiguousTask",
        "BadRequest",
        "DoesNotExtend",
        "HasEnded",
        "NoLease",
        "NoSuchMirror",
        "NoSuchProject",
        "NoSuchServer",
        "NoSuchTask",
        "NotEmpty",
        "NotWaiting",
        "ReasonNeeded",
        "Refused",
        "ServerInUse",
        "TaskInUse",
        "WaitedInVain",
    },
}


def _home(name: str) -> str:
    homes = (home for home, names in _HOMES.items() if name in names)
    return next(homes, "gpuledger.ledger.errors")


if not TYPE_CHECKING:  # a checker that saw this would believe every misspelt name

    def __getattr__(name: str) -> object:
        """Load the module that holds a public name, the first time somebody asks for it."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name)
        value: object = getattr(import_module(_home(name)), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
