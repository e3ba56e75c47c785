"""Watching: a table on a terminal, drawn anew whenever it changes.

The end of the log is asked for once a second, and only where it has moved is the state read
again. The terminal's other screen is used, as by watch(1); Ctrl-C gives back the first one
with the last table on it, and is no failure. A lease that ends is seen though nothing is written.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from datetime import tzinfo
from typing import TYPE_CHECKING

from ..ledger import clock
from .table import Table, text_for
from .timetext import local_text
from .words import _

if TYPE_CHECKING:
    from ..handle import Ledger
    from ..replay.state import State

POLL_S = 1.0
OTHER_SCREEN, FIRST_SCREEN = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
HOME, REST_OF_LINE, REST_OF_SCREEN = "\x1b[H", "\x1b[K", "\x1b[J"

Draw = Callable[["State", int], Table]


def watch(ledger: Ledger, draw: Draw, zone: tzinfo) -> None:
    """Show what `draw` makes of state and time until Ctrl-C."""
    last = ""
    try:
        with _other_screen():
            for text, seq in _texts(ledger, draw):
                last = text
                title = _("{time}, event {seq}; Ctrl-C ends").format(
                    time=local_text(clock.now_us(), zone), seq=seq
                )
                sys.stdout.write(screen(title, text, *shutil.get_terminal_size()[::-1]))
                sys.stdout.flush()
    except KeyboardInterrupt:
        sys.stdout.write(last)


def screen(title: str, text: str, height: int, width: int) -> str:
    """What fills a screen of that size: the title, and of the text what has room below it."""
    lines = [title[:width], *text.splitlines()]
    if len(lines) > height:
        missing = len(lines) - height + 1
        lines = [*lines[: height - 1], _("… {count} more lines").format(count=missing)]
    return HOME + "\n".join(f"{line}{REST_OF_LINE}" for line in lines) + REST_OF_SCREEN


def _texts(ledger: Ledger, draw: Draw) -> Iterator[tuple[str, int]]:
    """The table's text with the seq that it tells of, once a second; state read where it moved."""
    state = ledger.state()
    while True:
        yield text_for(draw(state, clock.now_us())), state.seq
        time.sleep(POLL_S)
        first = state.docket.first_end()
        over = first is not None and first[0] <= clock.now_us()
        if over or ledger.head() != state.head:
            state = ledger.state()
            ledger.notices.clear()


@contextmanager
def _other_screen() -> Generator[None]:
    sys.stdout.write(OTHER_SCREEN)
    try:
        yield
    finally:
        sys.stdout.write(FIRST_SCREEN)
        sys.stdout.flush()
