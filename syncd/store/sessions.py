"""Sessions: opened, found by what the browser has, used and refreshed; see ``ending`` for the rest.

Whether a session holds is asked of the person each time: whoever is shut out by whatever door has
none at that moment, before anybody has written down that it is over.
"""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, bindparam, exists, func, insert, or_, select, true, update

from syncd.errors import SignInRefused
from syncd.store import schema
from syncd.store.ending import end, end_by_hash, unended
from syncd.store.feed import new_ids
from syncd.store.leases import clock
from syncd.store.staging import allocate

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection, Select

    from syncd.store.database import Database

__all__ = [
    "LiveSession",
    "NewSession",
    "active",
    "claim_refresh",
    "end",
    "end_by_hash",
    "find",
    "get",
    "note_seen",
    "of_person",
    "open_session",
    "page",
    "sealed",
    "set_sealed",
]
S, U, X, ORG = schema.sessions, schema.users, schema.restrictions, schema.organizations
# How often the last use of a session is written down, at most and in parts of its idle time.
NOTED, NOTED_PARTS = timedelta(seconds=60), 20
REPLACED = "replaced"
# Of those that a page is made of, at a time: some may hold no more.
LOOKED_AT = 200


class NewSession(NamedTuple):
    """A session to be opened; its secret, and that of the one it replaces, as hashes."""

    hash: bytes
    user_id: int
    # idp | ldap | admin
    way: str
    address: str
    agent: str
    # How long it lasts without use, and in any case.
    idle: timedelta
    absolute: timedelta
    # By what a provider's logout token names it.
    issuer: str | None = None
    subject: str | None = None
    sid: str | None = None
    # The provider's tokens, and when the provider is to be asked again.
    sealed: bytes | None = None
    refresh_in: timedelta | None = None
    # Of the provider's settings that let somebody in.
    provider_mark: bytes | None = None
    replaced: bytes | None = None


class LiveSession(NamedTuple):
    """A session that holds now, of a person who may sign in now."""

    id: int
    organization_id: str
    organization_name: str
    user_id: int
    username: str
    email: str | None
    first_name: str | None
    last_name: str | None
    way: str
    started_at: datetime
    seen_at: datetime
    idle_until: datetime
    expires_at: datetime
    address: str
    agent: str
    issuer: str | None
    subject: str | None
    provider_mark: bytes | None
    # The provider is to be asked again; the use is to be written down.
    refresh_due: bool
    touch_due: bool

    def shown(self) -> dict[str, Any]:
        """Return what there is to know for those who look at it."""
        found = self._asdict()
        for name in ("issuer", "subject", "provider_mark", "refresh_due", "touch_due"):
            del found[name]
        return found


def open_session(database: Database, organization_id: str, new: NewSession) -> LiveSession:
    """Open a session of somebody who may sign in now; the one it replaces ends.

    Raises:
        SignInRefused: ``disabled``, also for whoever is missing or gone; ``other_provider``;
            ``deleted``.

    """
    mine_alone = database.of(organization_id)
    # On SQLite the transaction keeps all other writers waiting anyway.
    ids = new_ids(mine_alone, "sessions") if database.dialect == "postgresql" else []
    with mine_alone.write() as connection:
        now = clock(connection)
        session_id = ids[0] if ids else allocate(connection, "sessions", 1)
        mine = and_(U.c.id == new.user_id, U.c.organization_id == organization_id)
        # Locks the person: whoever purges him comes before or after.
        connection.execute(update(U).where(mine).values(last_sign_in=now))
        if refusal := _refusal(connection, organization_id, new.user_id, now):
            # Takes the time of the sign-in back, which was none.
            raise refusal
        expires_at = now + new.absolute
        connection.execute(
            insert(S).values(
                id=session_id,
                organization_id=organization_id,
                user_id=new.user_id,
                hash=new.hash,
                way=new.way,
                started_at=now,
                seen_at=now,
                idle_until=min(now + new.idle, expires_at),
                expires_at=expires_at,
                idle_seconds=round(new.idle.total_seconds()),
                address=new.address,
                agent=new.agent,
                issuer=new.issuer,
                subject=new.subject,
                sid=new.sid,
                sealed=new.sealed,
                provider_mark=new.provider_mark,
                refresh_due_at=None if new.refresh_in is None else now + new.refresh_in,
            )
        )
        found = connection.execute(_live(by="id"), {"value": session_id, "now": now}).one()
    if new.replaced is not None:
        # Not in the same transaction: it may be another person's, and locks come in one order. It
        # may be another organization's, too.
        end_by_hash(database, new.replaced, REPLACED)
    return _made(found, now)


def _refusal(
    connection: Connection, organization_id: str, user_id: int, now: datetime
) -> SignInRefused | None:
    row = connection.execute(
        select(U.c.username, U.c.living, U.c.provider, ORG.c.provider, ORG.c.deleted_at)
        .join(ORG, ORG.c.id == U.c.organization_id)
        .where(U.c.id == user_id, U.c.organization_id == organization_id)
    ).one_or_none()
    if row is None:
        return SignInRefused("disabled", f"there is no person {user_id} in {organization_id}")
    username, living, provider, applied, deleted_at = row
    if deleted_at is not None:
        return SignInRefused("deleted", f"{organization_id} was deleted; nobody signs in any more")
    if provider != applied:
        return SignInRefused(
            "other_provider",
            f"{username} is of the provider {provider}, and {organization_id} has {applied}; "
            f"`syncd provider link` takes somebody over",
        )
    shut = connection.execute(select(_shut(now)).where(U.c.id == user_id)).scalar()
    if shut or not living:
        return SignInRefused(
            "disabled",
            f"{username} may not sign in; `syncd show {organization_id} {username}` says why",
        )
    return None


# --- finding --------------------------------------------------------------------------------


def find(database: Database, hash: bytes) -> LiveSession | None:  # noqa: A002 - that is what it is
    """Return the session whose secret a browser has, if it holds."""
    return _find(database, "hash", hash)


def get(database: Database, organization_id: str, session_id: int) -> LiveSession | None:
    """Return a session of the organization, if it holds."""
    found = _find(database.of(organization_id), "id", session_id)
    return found if found is not None and found.organization_id == organization_id else None


def of_person(
    database: Database, organization_id: str, user_id: int, *, limit: int = 100
) -> list[LiveSession]:
    """Return somebody's sessions that hold, newest first."""
    with database.of(organization_id).read_by_key() as connection:
        now = clock(connection)
        query = _live(by="user_id").where(S.c.organization_id == organization_id)
        query = query.order_by(S.c.started_at.desc(), S.c.id.desc()).limit(limit)
        rows = connection.execute(query, {"value": user_id, "now": now})
        return [_made(row, now) for row in rows]


def page(
    database: Database,
    organization_id: str,
    *,
    limit: int,
    after: int = 0,
    user_id: int | None = None,
) -> list[LiveSession]:
    """Return so many of an organization's sessions that hold, behind an id."""
    of = true() if user_id is None else S.c.user_id == user_id
    unended_next = (
        select(S.c.id)
        .where(unended(organization_id), of, S.c.id > bindparam("after"))
        .order_by(S.c.id)
        .limit(max(limit, LOOKED_AT))
    )
    of_these = S.c.id.in_(bindparam("ids", expanding=True))
    query = _live(by="organization_id").where(of_these).order_by(S.c.id)
    found: list[LiveSession] = []
    with database.of(organization_id).read_by_key() as connection:
        now = clock(connection)
        # The ids first: PostgreSQL would rather walk through all of an organization's people.
        while len(found) < limit:
            ids = list(connection.scalars(unended_next, {"after": after}))
            if not ids:
                break
            given = {"value": organization_id, "now": now, "ids": ids}
            found += [_made(row, now) for row in connection.execute(query, given)]
            after = ids[-1]
    return found[:limit]


def _find(database: Database, by: str, value: object) -> LiveSession | None:
    with database.read_by_key() as connection:
        now = clock(connection)
        row = connection.execute(_live(by=by), {"value": value, "now": now}).one_or_none()
    return None if row is None else _made(row, now)


@cache
def _live(*, by: str) -> Select[Any]:
    """Return the sessions that hold, by a column; asked too often to be made anew."""
    now = bindparam("now", type_=schema.UtcTime())
    return (
        select(
            S.c.id,
            S.c.organization_id,
            ORG.c.name,
            S.c.user_id,
            U.c.username,
            U.c.email,
            U.c.first_name,
            U.c.last_name,
            S.c.way,
            S.c.started_at,
            S.c.seen_at,
            S.c.idle_until,
            S.c.expires_at,
            S.c.address,
            S.c.agent,
            S.c.issuer,
            S.c.subject,
            S.c.provider_mark,
            S.c.refresh_due_at,
            S.c.idle_seconds,
        )
        .select_from(S)
        .join(U, and_(U.c.id == S.c.user_id, U.c.organization_id == S.c.organization_id))
        .join(ORG, ORG.c.id == S.c.organization_id)
        .where(
            S.c[by] == bindparam("value", type_=S.c[by].type),
            *holding(now),
        )
    )


def holding(now: datetime | ColumnElement[datetime]) -> tuple[ColumnElement[bool], ...]:
    """Return when a session holds, for a statement that joins its person and organization."""
    return (S.c.ended_at.is_(None), S.c.idle_until > now, *lets_in(now))


def lets_in(now: datetime | ColumnElement[datetime]) -> tuple[ColumnElement[bool], ...]:
    """Return what has to hold of a person and his organization, with whom a statement joins."""
    return (U.c.living, U.c.provider == ORG.c.provider, ORG.c.deleted_at.is_(None), ~_shut(now))


def _shut(now: datetime | ColumnElement[datetime]) -> ColumnElement[bool]:
    return exists().where(
        X.c.user_id == U.c.id, X.c.since <= now, or_(X.c.until.is_(None), X.c.until > now)
    )


def _made(row: Any, now: datetime) -> LiveSession:  # noqa: ANN401 - a row
    *fields, refresh_due_at, idle_seconds = row
    refresh_due = refresh_due_at is not None and refresh_due_at <= now
    often = min(NOTED, timedelta(seconds=idle_seconds) / NOTED_PARTS)
    return LiveSession._make((*fields, refresh_due, row.seen_at + often <= now))


def active(database: Database) -> dict[str, int]:
    """Return how many sessions hold, by organization; those that were just shut out may count."""
    with database.read() as connection:
        query = (
            select(S.c.organization_id, func.count())
            .where(S.c.ended_at.is_(None), S.c.idle_until > clock(connection))
            .group_by(S.c.organization_id)
        )
        return {row[0]: row[1] for row in connection.execute(query)}


# --- using ----------------------------------------------------------------------------------


def note_seen(database: Database, organization_id: str, session_id: int) -> None:
    """Write down that a session is used now: it goes on for its idle time."""
    with database.of(organization_id).write_ahead() as connection:
        now = clock(connection)
        mine = and_(S.c.id == session_id, S.c.organization_id == organization_id)
        holds = and_(mine, S.c.ended_at.is_(None), S.c.idle_until > now)
        query = select(S.c.idle_seconds, S.c.expires_at).where(holds).with_for_update()
        row = connection.execute(query).one_or_none()
        if row is None:
            return
        idle_until = min(now + timedelta(seconds=row.idle_seconds), row.expires_at)
        connection.execute(update(S).where(mine).values(seen_at=now, idle_until=idle_until))


def sealed(database: Database, organization_id: str, session_id: int) -> bytes | None:
    """Return the provider's tokens of a session that has not ended, as they are kept."""
    query = select(S.c.sealed).where(unended(organization_id), S.c.id == session_id)
    with database.of(organization_id).read_by_key() as connection:
        found: bytes | None = connection.execute(query).scalar_one_or_none()
    return None if found is None else bytes(found)


def claim_refresh(
    database: Database, organization_id: str, session_id: int, *, again: timedelta
) -> bytes | None:
    """Return the tokens to whoever shall ask the provider: one, until ``again`` is over."""
    with database.of(organization_id).write() as connection:
        now = clock(connection)
        due = and_(
            unended(organization_id),
            S.c.id == session_id,
            S.c.refresh_due_at <= now,
            S.c.sealed.is_not(None),
        )
        claimed = update(S).where(due).values(refresh_due_at=now + again).returning(S.c.sealed)
        found = connection.execute(claimed).scalar_one_or_none()
    return None if found is None else bytes(found)


def set_sealed(
    database: Database,
    organization_id: str,
    session_id: int,
    sealed: bytes | None,
    *,
    refresh_in: timedelta | None,
) -> bool:
    """Keep other tokens, and when the provider is to be asked again; False if it has ended."""
    with database.of(organization_id).write() as connection:
        due = None if refresh_in is None else clock(connection) + refresh_in
        done = connection.execute(
            update(S)
            .where(unended(organization_id), S.c.id == session_id)
            .values(sealed=sealed, refresh_due_at=due)
        )
    return done.rowcount == 1
