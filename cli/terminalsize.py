"""The size of the terminal that a command's answer goes to."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import suppress


def size() -> tuple[int, int]:
    """Columns and lines: what COLUMNS and LINES say, else of stdout's terminal or stderr's."""
    fallback = os.terminal_size((80, 24))
    with suppress(OSError, ValueError):
        fallback = os.get_terminal_size(sys.stderr.fileno())
    columns, lines = shutil.get_terminal_size(fallback)
    return columns, lines
