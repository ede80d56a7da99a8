"""Codes by which a portal learns who has signed in: each once, within a minute.

A code that comes a second time was read by somebody on its way, so its session ends (RFC 6749,
section 4.1.2).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import exists, insert, select, update

from syncd.store import schema
from syncd.store.ending import end
from syncd.store.leases import clock

if TYPE_CHECKING:
    from collections.abc import Collection

    from syncd.store.database import Database

H = schema.handoffs
LASTS = timedelta(seconds=60)
REUSED = "code_reused"


class Redeemed(NamedTuple):
    """Whose code it was; whether the session holds is to be asked for."""

    organization_id: str
    user_id: int
    session_id: int
    # It was redeemed before: the session has been ended, and nobody is signed in by it.
    reused: bool


def make(
    database: Database,
    organization_id: str,
    *,
    hash: bytes,  # noqa: A002 - that is what it is
    session_id: int,
    user_id: int,
    client_id: str,
    redirect_uri: str,
) -> None:
    """Write a code down for a portal, by its hash."""
    with database.of(organization_id).write() as connection:
        now = clock(connection)
        connection.execute(
            insert(H).values(
                hash=hash,
                organization_id=organization_id,
                user_id=user_id,
                session_id=session_id,
                client_id=client_id,
                redirect_uri=redirect_uri,
                created_at=now,
                expires_at=now + LASTS,
            )
        )


def redeem(
    database: Database,
    hash: bytes,  # noqa: A002 - the same
    *,
    client_id: str,
    redirect_uri: str,
    organization_ids: Collection[str],
    token: bytes | None = None,
) -> Redeemed | None:
    """Return whose code it is, to the portal that it was made for; None if it is no good.

    ``organization_ids`` are those in which this client has proved who it is. To whoever else shows
    it, or with another address, the code stays as it is. ``token`` is the hash of what lets the
    portal ask the API as the person from then on.
    """
    query = select(H).where(
        H.c.hash == hash,
        H.c.client_id == client_id,
        H.c.redirect_uri == redirect_uri,
        H.c.organization_id.in_(sorted(organization_ids)),
    )
    with database.read_by_key() as connection:
        if connection.execute(query).first() is None:
            return None
    with database.write() as connection:
        row = connection.execute(query.with_for_update()).one_or_none()
        if row is None:
            return None
        now = clock(connection)
        reused = row.used_at is not None
        if not reused:
            if row.expires_at <= now:
                return None
            values = {"used_at": now, "token_hash": token}
            connection.execute(update(H).where(H.c.hash == hash).values(values))
    if reused:
        end(database, row.organization_id, REUSED, session_id=row.session_id)
    return Redeemed(row.organization_id, row.user_id, row.session_id, reused)


def is_known(database: Database, organization_id: str, session_id: int, client_id: str) -> bool:
    """Return whether a portal has learnt of a session by a code."""
    known = exists().where(
        H.c.session_id == session_id,
        H.c.organization_id == organization_id,
        H.c.client_id == client_id,
        H.c.used_at.is_not(None),
    )
    with database.of(organization_id).read_by_key() as connection:
        return bool(connection.execute(select(known)).scalar())
