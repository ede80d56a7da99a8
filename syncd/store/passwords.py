"""The stored password of whoever signs in by one that is kept here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, select, update

from syncd.records import fold
from syncd.store import schema

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Select

    from syncd.store.database import Database

U, PW, ORG = schema.users, schema.passwords, schema.organizations
ADMIN = "admin"


class StoredPassword(NamedTuple):
    """Whose password it is, and its hash in its own notation."""

    user_id: int
    username: str
    hash: str


class Passwords:
    """One organization's passwords; there are none while it has another provider."""

    def __init__(self, database: Database, organization_id: str) -> None:
        self.database = database.of(organization_id)
        self.organization_id = organization_id

    def stored(self, username: str) -> StoredPassword | None:
        """Return the password of a username; else of a verified address that is one person's."""
        name = fold(username)
        with self.database.read_by_key() as connection:
            rows = self._rows(connection, U.c.username_key == name)
            if not rows:
                rows = self._rows(connection, and_(U.c.email_key == name, U.c.email_verified))
        if len(rows) != 1 or rows[0].hash is None:
            return None
        return StoredPassword(*rows[0])

    def _rows(self, connection: Connection, which: ColumnElement[bool]) -> list[Any]:
        return [*connection.execute(self._people().where(which).limit(2))]

    def _people(self) -> Select[Any]:
        return (
            select(U.c.id, U.c.username, PW.c.hash)
            .join(ORG, ORG.c.id == U.c.organization_id)
            .outerjoin(PW, PW.c.user_id == U.c.id)
            .where(
                U.c.organization_id == self.organization_id,
                U.c.living,
                U.c.provider == ADMIN,
                ORG.c.provider == ADMIN,
                ORG.c.deleted_at.is_(None),
            )
        )

    def renew(self, user_id: int, old: str, new: str) -> None:
        """Keep another hash of the same password, unless another password was set meanwhile."""
        mine = and_(PW.c.user_id == user_id, PW.c.organization_id == self.organization_id)
        with self.database.write() as connection:
            connection.execute(update(PW).where(mine, PW.c.hash == old).values(hash=new))
