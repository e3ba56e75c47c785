"""The entry: `gpuledger COMMAND`, from the words that were typed to the exit code.

Whatever goes wrong becomes one sentence on stderr, or the error document on stdout with
`--json`, and the documented exit code; never a traceback. Next to nothing is imported before
`main` runs, so that Ctrl-C is minded from early on.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NoReturn


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run one command and end the process with its exit code."""
    try:
        code = _code(list(sys.argv[1:] if args is None else args))
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)


def _code(args: list[str]) -> int:
    from .failure import ended
    from .program import COMPLETION, complete, run

    asked = os.environ.get(COMPLETION)
    if asked:
        return complete(asked)
    return ended(run, args)
