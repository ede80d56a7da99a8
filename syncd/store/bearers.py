"""Who shows an access token, an identity provider's or a session's, and what he may do now."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, bindparam, exists, or_, select

from syncd.records import provider_of
from syncd.store import effective, schema
from syncd.store.editing.owners import OWNER_ROLE
from syncd.store.leases import clock
from syncd.store.sessions import holding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import ColumnElement, Select

    from syncd.permissions import Level
    from syncd.store.database import Database

S, H = schema.sessions, schema.handoffs
U, I, X, ORG = schema.users, schema.identities, schema.restrictions, schema.organizations
G, GM, GA, GR = (
    schema.grants,
    schema.group_members,
    schema.group_ancestors,
    schema.group_roles,
)


class Bearer(NamedTuple):
    """A person as he is now, whom a verified token is of."""

    user_id: int
    username: str
    may_sign_in: bool
    levels: Mapping[str, Level]
    owner: bool


class SessionBearer(NamedTuple):
    """The person of a session that holds now, at the API by way of a portal."""

    organization_id: str
    session_id: int
    client_id: str
    # What let the person in, and the mark of the provider's settings of then.
    way: str
    provider_mark: bytes | None
    bearer: Bearer


def bearer(
    database: Database, organization_id: str, source: str, external_id: str
) -> Bearer | None:
    """Return whom an issuer knows by this subject; None if nobody is here whom it speaks for.

    That is so, too, while the provider is not the one that is applied, or the organization is gone.
    """
    with database.of(organization_id).read_by_key() as connection:
        given = {
            "organization_id": organization_id,
            "source": source,
            "external_id": external_id,
            "provider": provider_of(source),
            "now": clock(connection),
        }
        row = connection.execute(_person(), given).one_or_none()
        if row is None:
            return None
        may = effective.levels(connection, [row.id])[row.id]
    return Bearer(row.id, row.username, not row.shut, may, bool(row.owner))


def session_bearer(database: Database, token_hash: bytes) -> SessionBearer | None:
    """Return whose session it is that a portal's token is of; None if it does not hold."""
    with database.read_by_key() as connection:
        given = {"token_hash": token_hash, "now": clock(connection)}
        row = connection.execute(_of_session(), given).one_or_none()
        if row is None:
            return None
        may = effective.levels(connection, [row.id])[row.id]
    found = Bearer(row.id, row.username, True, may, bool(row.owner))
    mark = None if row.provider_mark is None else bytes(row.provider_mark)
    return SessionBearer(row.organization_id, row.session_id, row.client_id, row.way, mark, found)


@cache
def _of_session() -> Select[Any]:
    now = bindparam("now", type_=schema.UtcTime())
    return (
        select(
            S.c.organization_id,
            H.c.session_id,
            H.c.client_id,
            S.c.way,
            S.c.provider_mark,
            U.c.id,
            U.c.username,
            _owns().label("owner"),
        )
        .select_from(H)
        .join(S, and_(S.c.id == H.c.session_id, S.c.organization_id == H.c.organization_id))
        .join(U, and_(U.c.id == S.c.user_id, U.c.organization_id == S.c.organization_id))
        .join(ORG, ORG.c.id == S.c.organization_id)
        .where(H.c.token_hash == bindparam("token_hash", type_=H.c.token_hash.type), *holding(now))
    )


@cache
def _person() -> Select[Any]:
    """Return the person, whether he is shut out and owns; asked too often to be made anew."""
    now = bindparam("now", type_=schema.UtcTime())
    shut = exists().where(
        X.c.user_id == U.c.id, X.c.since <= now, or_(X.c.until.is_(None), X.c.until > now)
    )
    return (
        select(U.c.id, U.c.username, shut.label("shut"), _owns().label("owner"))
        .select_from(I)
        .join(U, U.c.id == I.c.user_id)
        .join(ORG, and_(ORG.c.id == I.c.organization_id, ORG.c.deleted_at.is_(None)))
        .where(
            I.c.organization_id == bindparam("organization_id"),
            I.c.source == bindparam("source"),
            I.c.external_id == bindparam("external_id"),
            U.c.living,
            U.c.provider == bindparam("provider"),
            ORG.c.provider == bindparam("provider"),
        )
    )


def _owns() -> ColumnElement[bool]:
    granted = exists().where(G.c.user_id == U.c.id, G.c.role_id == OWNER_ROLE)
    by_group = exists().where(
        GM.c.user_id == U.c.id,
        GA.c.group_id == GM.c.group_id,
        GR.c.group_id == GA.c.ancestor_id,
        GR.c.role_id == OWNER_ROLE,
    )
    return or_(granted, by_group)
