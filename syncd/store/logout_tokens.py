"""Logout tokens of identity providers that were used: one that comes again is none."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from syncd.store import schema
from syncd.store.ending import BY_PROVIDER, ended, of_provider

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from syncd.store.database import Database

T, S = schema.used_logout_tokens, schema.sessions


def end_once(
    database: Database,
    organization_id: str,
    *,
    issuer: str,
    jti: str,
    expires_at: datetime,
    sid: str | None,
    subject: str | None,
) -> int | None:
    """End the sessions that a token names, once; return how many that were.

    None if the token was used before, by whichever process. ``expires_at`` is when nobody would
    take it any more. Both happen or neither does: one that failed here may come again.
    """
    which = of_provider(organization_id, issuer, sid=sid, subject=subject)
    with database.of(organization_id).write() as connection:
        if not _is_new(connection, organization_id, issuer, jti, expires_at):
            return None
        if which is None:
            return 0
        query = select(S.c.id).where(which).order_by(S.c.id).with_for_update()
        return len(ended(connection, list(connection.scalars(query)), BY_PROVIDER))


def _is_new(
    connection: Connection, organization_id: str, issuer: str, jti: str, expires_at: datetime
) -> bool:
    text = json.dumps([issuer, jti])
    values = {
        "organization_id": organization_id,
        "hash": sha256(text.encode()).digest(),
        "expires_at": expires_at,
    }
    kind = postgresql if connection.dialect.name == "postgresql" else sqlite
    written = kind.insert(T).values(values).on_conflict_do_nothing().returning(T.c.hash)
    return connection.execute(written).first() is not None
