"""API tokens: made, listed, revoked, and found again when somebody shows one."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, exists, insert, or_, select, update

from syncd.errors import NotFound, Refused
from syncd.permissions import Level
from syncd.records import fold
from syncd.store import effective, schema
from syncd.store.editing.change import change
from syncd.store.editing.owners import OWNER_ROLE, holders
from syncd.store.feed import new_ids
from syncd.store.leases import clock
from syncd.store.restricting import holds
from syncd.store.run_reads import iso

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from sqlalchemy import Connection, Select

    from syncd.store.database import Database
    from syncd.store.editing.change import Change

T, U, X, ORG = schema.api_tokens, schema.users, schema.restrictions, schema.organizations
# How often the last use of a token is written down.
NOTED_SECONDS = 60


class TokenStore:
    """One organization's API tokens."""

    def __init__(self, database: Database, organization_id: str) -> None:
        self.database = database.of(organization_id)
        self.organization_id = organization_id

    def create(
        self,
        *,
        actor: str,
        name: str,
        digest: bytes,
        scopes: Mapping[str, str],
        user_id: int | None,
        lifetime: timedelta,
        maker: int | None = None,
        why: str | None = None,
    ) -> dict[str, Any]:
        """Write a token down; return it. What the token ``maker`` makes ends no later than that.

        Raises:
            NotFound: No such person.
            Refused: ``exceeds_own``.

        """
        (token_id,) = new_ids(self.database, "api_tokens")
        with change(self.database, self.organization_id, actor=actor, why=why) as c:
            if user_id is not None:
                there = exists().where(
                    U.c.id == user_id, U.c.organization_id == self.organization_id, U.c.living
                )
                if not c.connection.execute(select(there)).scalar():
                    raise NotFound(f"there is no person {user_id} in {self.organization_id}")
            if maker is not None:
                self._require_shorter(c, maker, lifetime)
            row = {
                "id": token_id,
                "organization_id": self.organization_id,
                "name": name,
                "hash": digest,
                "scopes": json.dumps(dict(sorted(scopes.items()))),
                "user_id": user_id,
                "created_at": c.now,
                "created_by": actor,
                "expires_at": c.now + lifetime,
            }
            c.connection.execute(insert(T).values(row))
            shape = self._one(c.connection, token_id)
            c.of_object("token", token_id, name, before=None, after=_snapshot(shape))
        return shape

    def revoke(self, token_id: int, *, actor: str, why: str | None = None) -> dict[str, Any]:
        """End a token at once; return it. One that was revoked before stays as it is.

        Raises:
            NotFound: No such token.

        """
        with change(self.database, self.organization_id, actor=actor, why=why) as c:
            before = self._one(c.connection, token_id)
            if before["revoked_at"] is not None:
                return before
            c.connection.execute(update(T).where(T.c.id == token_id).values(revoked_at=c.now))
            after = self._one(c.connection, token_id)
            c.of_object(
                "token",
                token_id,
                before["name"],
                before=_snapshot(before),
                after=_snapshot(after),
            )
        return after

    def get(self, token_id: int) -> dict[str, Any]:
        """Return a token without its secret, which nobody has.

        Raises:
            NotFound: No such token.

        """
        with self.database.read() as connection:
            return self._one(connection, token_id)

    def page(self, *, limit: int, after: int = 0) -> list[dict[str, Any]]:
        """Return so many tokens behind an id, revoked and expired ones too."""
        query = self._tokens().where(T.c.id > after).order_by(T.c.id).limit(limit)
        with self.database.read() as connection:
            return [_shape(row) for row in connection.execute(query)]

    def user_id(self, username: str) -> int:
        """Return the id of a living person.

        Raises:
            NotFound: No such person.

        """
        query = select(U.c.id).where(
            U.c.organization_id == self.organization_id,
            U.c.username_key == fold(username),
            U.c.living,
        )
        with self.database.read() as connection:
            found: int | None = connection.execute(query).scalar_one_or_none()
        if found is None:
            raise NotFound(f"there is no person {username} in {self.organization_id}")
        return found

    def _require_shorter(self, c: Change, maker: int, lifetime: timedelta) -> None:
        query = select(T.c.expires_at).where(
            T.c.id == maker, T.c.organization_id == self.organization_id, T.c.revoked_at.is_(None)
        )
        ends = c.connection.execute(query).scalar_one_or_none()
        if ends is None or c.now + lifetime > ends:
            raise Refused(
                "a token makes none that outlives it; give it a shorter time, or make it on the "
                "daemon's own machine: `syncd token create`",
                "exceeds_own",
            )

    def _one(self, connection: Connection, token_id: int) -> dict[str, Any]:
        row = connection.execute(self._tokens().where(T.c.id == token_id)).one_or_none()
        if row is None:
            raise NotFound(
                f"there is no token {token_id}; `syncd token list {self.organization_id}` lists "
                "them"
            )
        return _shape(row)

    def _tokens(self) -> Select[Any]:
        return (
            select(
                T.c.id,
                T.c.name,
                T.c.scopes,
                T.c.user_id,
                U.c.username,
                T.c.created_at,
                T.c.created_by,
                T.c.expires_at,
                T.c.last_used_at,
                T.c.revoked_at,
            )
            .outerjoin(U, U.c.id == T.c.user_id)
            .where(T.c.organization_id == self.organization_id)
        )


class Shown(NamedTuple):
    """What there is to know of whoever shows a token."""

    organization_id: str
    digest: bytes
    name: str
    scopes: Mapping[str, Level]
    # Past its time, revoked, or of an organization that is gone.
    over: bool
    # The person it acts for, with what that person may do now.
    user_id: int | None
    username: str | None
    may_sign_in: bool
    levels: Mapping[str, Level]
    owner: bool


def shown(database: Database, token_id: int) -> Shown | None:
    """Return a token, and the person whom it acts for, as both are now."""
    query = (
        select(
            T.c.organization_id,
            T.c.hash,
            T.c.name,
            T.c.scopes,
            T.c.user_id,
            T.c.expires_at,
            T.c.revoked_at,
            ORG.c.deleted_at,
            U.c.username,
            U.c.living,
        )
        .outerjoin(ORG, ORG.c.id == T.c.organization_id)
        .outerjoin(U, and_(U.c.id == T.c.user_id, U.c.organization_id == T.c.organization_id))
        .where(T.c.id == token_id)
    )
    with database.read() as connection:
        row = connection.execute(query).one_or_none()
        if row is None:
            return None
        now = clock(connection)
        may_sign_in, levels, owner = False, dict[str, Level](), False
        if row.user_id is not None and row.living:
            may_sign_in = not _is_shut(connection, row.user_id, now)
            levels = effective.levels(connection, [row.user_id])[row.user_id]
            owners = holders(OWNER_ROLE, row.organization_id).subquery()
            holds_it = exists().where(owners.c.user_id == row.user_id)
            owner = bool(connection.execute(select(holds_it)).scalar())
    return Shown(
        organization_id=row.organization_id,
        digest=bytes(row.hash),
        name=row.name,
        scopes={section: Level.of(word) for section, word in json.loads(row.scopes).items()},
        over=row.expires_at <= now or row.revoked_at is not None or row.deleted_at is not None,
        user_id=row.user_id,
        username=row.username,
        may_sign_in=may_sign_in,
        levels=levels,
        owner=owner,
    )


def _is_shut(connection: Connection, user_id: int, now: datetime) -> bool:
    query = select(exists().where(X.c.user_id == user_id, holds(now)))
    return bool(connection.execute(query).scalar())


def _shape(row: Any) -> dict[str, Any]:  # noqa: ANN401 - a row
    return {
        "id": row.id,
        "name": row.name,
        "scopes": json.loads(row.scopes),
        "user": None if row.user_id is None else {"id": row.user_id, "username": row.username},
        "created_at": iso(row.created_at),
        "created_by": row.created_by,
        "expires_at": iso(row.expires_at),
        "last_used_at": iso(row.last_used_at),
        "revoked_at": iso(row.revoked_at),
    }


def _snapshot(shape: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the journal keeps of a token."""
    user = shape["user"]
    return {
        "name": shape["name"],
        "scopes": shape["scopes"],
        "user_id": None if user is None else user["id"],
        "expires_at": shape["expires_at"],
        "revoked_at": shape["revoked_at"],
    }


def note_use(database: Database, token_ids: Iterable[int]) -> None:
    """Write down that tokens are used now, unless that was done a moment ago."""
    with database.write_ahead() as connection:
        now = clock(connection)
        old = now - timedelta(seconds=NOTED_SECONDS)
        connection.execute(
            update(T)
            .where(
                T.c.id.in_(sorted(token_ids)),
                or_(T.c.last_used_at.is_(None), T.c.last_used_at < old),
            )
            .values(last_used_at=now)
        )
