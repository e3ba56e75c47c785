"""How the verifier spells records: by the canonical JSON of its own."""

from __future__ import annotations

from functools import lru_cache

import msgspec

from .checked_json import canonical, spell, text
from .holding import Holding


def spelled(record: object) -> bytes:
    """The canonical JSON of a record, and of records inside it."""
    return canonical(msgspec.to_builtins(record))


def closed(holding: Holding) -> bytes:
    """The same of an ended holding, of which there are as many as events: at a fourth of the cost,
    field by field in the order of their names.
    """
    (
        allocation, server, gpus, cpus, task, user, start, end, uuids, project, note, cause, reason,
        ordinal, uncertain, sure,
    ) = msgspec.structs.astuple(holding)  # fmt: skip
    if end is None or cause is None or not ordinal or uncertain is not None or sure is not None:
        return spelled(holding)
    noted = "" if note is None else f'"note":{text(note)},'
    project = "" if project is None else f'"project":{text(project)},'
    reason = "" if reason is None else f'"reason":{text(reason)},'
    uuids = "" if uuids is None else f',"uuids":{_listed(uuids)}'
    return (
        f'{{"allocation":{allocation},"cause":{text(cause)},"cpus":{cpus},"end":{end},'
        f'"gpus":{_listed(gpus)},{noted}"ordinal":{ordinal},{project}{reason}'
        f'"server":{text(server)},"start":{start},"task":{text(task)},"user":{text(user)}{uuids}}}'
    ).encode()


@lru_cache(maxsize=10_000)
def _listed(values: tuple[int | str | None, ...]) -> str:
    return spell(values)
