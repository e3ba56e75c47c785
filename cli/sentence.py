"""Facts to words: every failure as one whole sentence and the next step.

`said(error)` is the one way; the text on stderr and the JSON error are made from the same
two texts. What each code says stands in `sentence_storage` (the ledger and where it lies),
`sentence_recovery` (what it is made of again), `sentence_request` (what was asked), `sentence_run`
(what was to be run), `sentence_refusal` (what was turned down) and `sentence_ssh` (the way to
another machine).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..ledger.errors import GpuledgerError
from . import (
    sentence_recovery,
    sentence_refusal,
    sentence_request,
    sentence_run,
    sentence_ssh,
    sentence_storage,
)
from .said import Facts, Said
from .words import _

BY_CODE: Mapping[str, Callable[[Facts], Said]] = {
    **sentence_storage.BY_CODE,
    **sentence_recovery.BY_CODE,
    **sentence_request.BY_CODE,
    **sentence_ssh.BY_CODE,
    **sentence_run.BY_CODE,
    "refused": sentence_refusal.refused,
}


def said(error: GpuledgerError) -> Said:
    """What a failure says to people: what happened and why, and what to do next."""
    speak = BY_CODE.get(error.code)
    if speak is None:
        return Said(
            _("this failed: {code}").format(code=error.code),
            _("please report it with the command that you typed"),
        )
    return speak(Facts(error.facts))
