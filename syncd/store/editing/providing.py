"""Taking a person over by hand: somebody of a former provider becomes the present one's."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from uuid import uuid4

from sqlalchemy import and_, delete, exists, insert, select, update

from syncd.errors import NotFound, Refused
from syncd.records import fold, provider_of
from syncd.store import schema
from syncd.store.identifying import IDP, is_issuer
from syncd.store.linking import OTHER_PROVIDER, PROVIDER, is_left_behind
from syncd.store.restricting import holds

if TYPE_CHECKING:
    from syncd.store.editing.change import Change

U, I, X = schema.users, schema.identities, schema.restrictions


class Taken(NamedTuple):
    """Who was taken over."""

    user_id: int
    username: str
    was: str


def take_over(change: Change, username: str, *, source: str, external_id: str | None) -> Taken:
    """Let the person with this username be one whom ``source`` knows, by this id or a new one.

    Raises:
        NotFound: There is nobody of that username.
        Refused: He is the provider's already, the id is another person's, or there is none where
            only an identity provider can say it.

    """
    connection, org = change.connection, change.organization_id
    provider = provider_of(source)
    if external_id is None and provider == IDP:
        raise Refused(
            "only the identity provider can say by what subject it knows a person; name that with "
            "--external-id"
        )
    external_id = external_id or str(uuid4())
    mine = and_(U.c.organization_id == org, U.c.username_key == fold(username), U.c.living)
    row = connection.execute(select(U.c.id, U.c.username, U.c.provider).where(mine)).one_or_none()
    if row is None:
        raise NotFound(f"there is no person {username} in {org}")
    known = and_(I.c.organization_id == org, I.c.source == source)
    # Of an identity provider under another issuer: he was its person before that was changed.
    of_source = select(I.c.external_id).where(known, I.c.user_id == row.id)
    moved = provider == IDP and connection.execute(of_source).first() is None
    if row.provider == provider and not moved:
        raise Refused(f"{row.username} is of the provider {provider} already; nothing is to link")
    other = connection.execute(
        select(U.c.username)
        .join(I, I.c.user_id == U.c.id)
        .where(known, I.c.external_id == external_id, U.c.id != row.id)
    ).scalar_one_or_none()
    if other is not None:
        raise Refused(
            f"the provider's {external_id} is another person here, {other}; delete that one first",
            "in_use",
        )
    connection.execute(delete(I).where(known, I.c.user_id == row.id))
    if provider == IDP:
        forget_issuers(change, row.id)
    connection.execute(
        insert(I).values(
            organization_id=org,
            source=source,
            external_id=external_id,
            user_id=row.id,
            # Of nothing: the provider's next word is compared with what is stored.
            fingerprint=b"",
        )
    )
    left = connection.execute(select(U.c.id).where(U.c.id == row.id, is_left_behind(U.c.id)))
    if left.first() is not None:
        lifted = and_(X.c.source == PROVIDER, X.c.reason == OTHER_PROVIDER)
        connection.execute(delete(X).where(lifted, X.c.user_id == row.id))
        reason = f"{PROVIDER}:{OTHER_PROVIDER}"
        change.of_person(row.id, "restrictions", {reason: True}, {reason: False})
    shut = exists().where(X.c.user_id == U.c.id, holds(change.now))
    connection.execute(
        update(U)
        .where(U.c.id == row.id)
        .values(provider=provider, version=U.c.version + 1, enabled=~shut)
    )
    change.of_person(
        row.id,
        "identity",
        {"provider": row.provider},
        {"provider": provider, "source": source, "external_id": external_id},
    )
    return Taken(row.id, row.username, row.provider)


def forget_issuers(change: Change, user_id: int) -> None:
    """Let no identity provider know somebody any more; a person has one id of all of them."""
    issuers = and_(I.c.organization_id == change.organization_id, is_issuer(I.c.source))
    change.connection.execute(delete(I).where(issuers, I.c.user_id == user_id))
