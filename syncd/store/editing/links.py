"""Links that were sent by mail and work once, and the passwords that are chosen by them.

Of a link's secret the store has only the hash: whoever reads the store can use none of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, delete, func, insert, select, update

from syncd.records import batched
from syncd.store import schema
from syncd.store.editing.users import UNVERIFIED
from syncd.store.ending import ended
from syncd.store.leases import clock
from syncd.store.run_reads import iso

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime, timedelta

    from sqlalchemy import Connection

    from syncd.store.editing.change import Change
    from syncd.store.editing.opening import Scope

L, U, ORG, PW, X = (
    schema.links,
    schema.users,
    schema.organizations,
    schema.passwords,
    schema.restrictions,
)
S = schema.sessions
IN_LIST = 500


class Link(NamedTuple):
    """A link, and for whom it is."""

    organization_id: str
    organization_name: str
    user_id: int
    username: str
    # The address that it was sent to, and the one that the person has now.
    sent_to: str
    email: str | None
    provider: str
    purpose: str
    expires_at: datetime
    used_at: datetime | None
    # By the database's clock.
    expired: bool


def add(
    change: Change, purpose: str, links: Sequence[tuple[bytes, int, str]], lasts: timedelta
) -> str:
    """Write (hash, person, address) as links of a purpose; older ones of it work no more.

    Return when they expire.
    """
    withdraw(change, [user_id for _, user_id, _ in links], purpose)
    expires_at = change.now + lasts
    change.connection.execute(
        insert(L),
        [
            {
                "hash": hashed,
                "organization_id": change.organization_id,
                "user_id": user_id,
                "purpose": purpose,
                "email": email,
                "created_at": change.now,
                "expires_at": expires_at,
            }
            for hashed, user_id, email in links
        ],
    )
    return str(iso(expires_at))


def withdraw(change: Change, user_ids: Collection[int], *purposes: str) -> None:
    """Let unused links of these people, of these purposes or of all, work no more."""
    for part in batched(user_ids, IN_LIST):
        where = [L.c.user_id.in_(part), L.c.used_at.is_(None)]
        if purposes:
            where.append(L.c.purpose.in_(purposes))
        change.connection.execute(delete(L).where(*where))


def find(connection: Connection, hashed: bytes) -> Link | None:
    """Return the link of this hash, whatever has become of it."""
    query = (
        select(
            L.c.organization_id,
            ORG.c.name,
            L.c.user_id,
            U.c.username,
            L.c.email,
            U.c.email,
            U.c.provider,
            L.c.purpose,
            L.c.expires_at,
            L.c.used_at,
        )
        .join(U, U.c.id == L.c.user_id)
        .join(ORG, ORG.c.id == L.c.organization_id)
        .where(L.c.hash == hashed, ORG.c.deleted_at.is_(None))
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else Link._make((*row, row.expires_at <= clock(connection)))


def use(change: Change, hashed: bytes) -> bool:
    """Mark a link as used; False when somebody else was faster."""
    done = change.connection.execute(
        update(L)
        .where(
            L.c.hash == hashed,
            L.c.organization_id == change.organization_id,
            L.c.used_at.is_(None),
            L.c.expires_at > change.now,
        )
        .values(used_at=change.now)
    )
    return done.rowcount == 1


def set_password(change: Change, user_id: int, hashed: str) -> None:
    """Write somebody's password; links for another one, and his sessions, are over."""
    change.connection.execute(delete(PW).where(PW.c.user_id == user_id))
    change.connection.execute(
        insert(PW).values(
            user_id=user_id,
            organization_id=change.organization_id,
            hash=hashed,
            set_at=change.now,
        )
    )
    withdraw(change, [user_id], "password")
    # Whoever got in by the old one is out.
    theirs = select(S.c.id).where(S.c.user_id == user_id, S.c.ended_at.is_(None))
    ids = list(change.connection.scalars(theirs.order_by(S.c.id).with_for_update()))
    ended(change.connection, ids, "ended_by_person")
    change.of_person(user_id, "password")


def invited(at: Scope) -> list[dict[str, Any]]:
    """Return who has not taken his invitation yet, with the newest one, by username."""
    newest = (
        select(L.c.user_id, func.max(L.c.expires_at).label("expires_at"))
        .where(
            L.c.organization_id == at.organization_id,
            L.c.purpose == "invitation",
            L.c.used_at.is_(None),
        )
        .group_by(L.c.user_id)
        .subquery()
    )
    source, reason = UNVERIFIED
    query = (
        select(U.c.id, U.c.username, U.c.email, X.c.since, L.c.created_at, newest.c.expires_at)
        .join(X, and_(X.c.user_id == U.c.id, X.c.source == source, X.c.reason == reason))
        .outerjoin(newest, newest.c.user_id == U.c.id)
        .outerjoin(
            L,
            and_(
                L.c.user_id == U.c.id,
                L.c.purpose == "invitation",
                L.c.used_at.is_(None),
                L.c.expires_at == newest.c.expires_at,
            ),
        )
        .where(X.c.organization_id == at.organization_id)
        .order_by(U.c.username_key, U.c.id)
    )
    now = clock(at.connection)
    return [
        {
            "user_id": user_id,
            "username": username,
            "email": email,
            "since": iso(since),
            # Null where none was ever sent, or the last was withdrawn.
            "created_at": iso(created_at),
            "expires_at": iso(expires_at),
            "expired": expires_at is None or expires_at <= now,
        }
        for user_id, username, email, since, created_at, expires_at in at.connection.execute(query)
    ]
