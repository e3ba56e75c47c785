"""The entry: `gpuledger COMMAND`, from the words that were typed to the exit code.

Whatever goes wrong becomes one sentence on stderr, or the error document on stdout with
`--json`, and the documented exit code; never a traceback. Next to nothing is imported before
`main` runs, so that Ctrl-C is minded from early on.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from typing import NoReturn


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run one command and end the process with its exit code.

    Modules are no garbage: not looking for any while they are imported, and not again when
    the interpreter takes them apart, saves a fifth of a command's time. In between, when the
    command runs, garbage is collected as ever.
    """
    gc.disable()
    try:
        code = _code(list(sys.argv[1:] if args is None else args))
    except KeyboardInterrupt:
        code = 130
    gc.freeze()
    sys.exit(code)


def _code(args: list[str]) -> int:
    from .failure import ended
    from .program import COMPLETION, complete, run

    asked = os.environ.get(COMPLETION)
    if asked:
        return complete(asked)
    return ended(run, args)
