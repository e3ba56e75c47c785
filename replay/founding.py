"""Founding: the first event of a ledger, with its random id and its first pool."""

from __future__ import annotations

import secrets

from ..ledger import clock
from ..ledger.canonical import encode
from ..ledger.creation import create
from ..ledger.event import Draft, Event
from ..ledger.format import FORMAT
from . import pool_request
from .actor import Actor
from .catalogue import LedgerCreated, version
from .errors import BadRequest
from .facts import Admins, AdminUser, Pool
from .rights import by
from .store_schema import STORES


def found(
    path: str, pool: Pool, actor: Actor, *, at: int | None, group: str | None, public: bool
) -> Event:
    """Make the ledger file with its first event.

    Where the pool names no admins, the founder is the first one; root always is. Raises
    BadRequest, LedgerExists, NotPermitted, NetworkFilesystem, StorageFailed.
    """
    pool = pool_request.pool(pool)
    founder = Admins((AdminUser(actor.user, actor.identity),))
    admins = founder if pool.admins == Admins() else pool.admins
    pool = Pool(pool.servers, pool.limits, admins, pool.projects, pool.members)
    now = clock.now_us()
    if at is not None and not 0 <= at <= now:
        raise BadRequest("at", at, "an instant that has passed (microseconds UTC)")
    created = LedgerCreated(
        secrets.token_hex(16), FORMAT, pool, by(actor), None if at is None else now
    )
    when = now if at is None else at
    draft = Draft(when, created.KIND, version(created.KIND), actor.identity, None, encode(created))
    return create(path, draft, store_migrations=STORES, group=group, public=public)
