"""Ending sessions: a person's, an admin's, a provider's word. The provider's tokens go at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import and_, or_, select, update

from syncd.store import schema
from syncd.store.leases import clock

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import ColumnElement, Connection

    from syncd.store.database import Database

S = schema.sessions
# Sessions that end in one transaction.
AT_ONCE = 500
BY_PROVIDER = "ended_by_provider"


def end(
    database: Database,
    organization_id: str,
    because: str,
    *,
    session_id: int | None = None,
    user_id: int | None = None,
    but: int | None = None,
) -> int:
    """End one session, or all of a person's but one; return how many that were.

    With both ids the session ends only if it is this person's. The provider's tokens go at once.
    """
    which = [unended(organization_id)]
    if session_id is not None:
        which.append(S.c.id == session_id)
    if user_id is not None:
        which.append(S.c.user_id == user_id)
    if len(which) == 1:
        return 0
    if but is not None:
        which.append(S.c.id != but)
    return end_those(database.of(organization_id), and_(*which), because)


def end_by_hash(database: Database, hash: bytes, because: str) -> int:  # noqa: A002 - the same
    """End the session whose secret a browser has."""
    return end_those(database, and_(S.c.hash == hash, S.c.ended_at.is_(None)), because)


def of_provider(
    organization_id: str, issuer: str, *, sid: str | None, subject: str | None
) -> ColumnElement[bool] | None:
    """Return which sessions a provider names, one or all of a subject; None if it names none.

    With both it is this session of this subject, and those of his whose session id at the provider
    is not known here.
    """
    which = [unended(organization_id), S.c.issuer == issuer]
    if subject is not None:
        which.append(S.c.subject == subject)
        if sid is not None:
            which.append(or_(S.c.sid == sid, S.c.sid.is_(None)))
    elif sid is not None:
        which.append(S.c.sid == sid)
    else:
        return None
    return and_(*which)


def unended(organization_id: str) -> ColumnElement[bool]:
    """Return which of the organization's sessions nobody has ended yet."""
    return and_(S.c.organization_id == organization_id, S.c.ended_at.is_(None))


def end_those(database: Database, which: ColumnElement[bool], because: str) -> int:
    """End sessions, so many at once; return how many that were."""
    count = 0
    # In one order, so that two who end the same do not wait for each other for ever.
    some = select(S.c.id).where(which).order_by(S.c.id).limit(AT_ONCE)
    while True:
        with database.read_by_key() as connection:
            # Nobody who has nothing to end waits for SQLite's one writer.
            if connection.execute(some.limit(1)).first() is None:
                return count
        with database.write() as connection:
            ids = list(connection.scalars(some.with_for_update()))
            count += len(ended(connection, ids, because))


def ended(connection: Connection, ids: Collection[int], because: str) -> list[int]:
    """Write down that these sessions have ended; return those that had not before."""
    statement = (
        update(S)
        .where(S.c.id.in_(ids), S.c.ended_at.is_(None))
        .values(ended_at=clock(connection), ended_because=because, sealed=None, refresh_due_at=None)
        .returning(S.c.id)
    )
    return list(connection.scalars(statement))
