"""An organization's sessions for those who look after its people."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import exists, select

from syncd.records import fold
from syncd.store import schema, sessions
from syncd.store.editing.owners import OWNER_ROLE, holders

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

    from syncd.store.database import Database
    from syncd.store.sessions import LiveSession

U = schema.users


class Holder(NamedTuple):
    """Somebody who may have sessions."""

    id: int
    username: str
    owner: bool


class HeldSessions:
    """The sessions of one organization that hold."""

    def __init__(self, database: Database, organization_id: str) -> None:
        self.database = database.of(organization_id)
        self.organization_id = organization_id

    def named(self, username: str) -> Holder | None:
        """Return a living person by username."""
        return self._holder(U.c.username_key == fold(username))

    def holder(self, user_id: int) -> Holder | None:
        """Return a living person by id."""
        return self._holder(U.c.id == user_id)

    def _holder(self, which: ColumnElement[bool]) -> Holder | None:
        owners = holders(OWNER_ROLE, self.organization_id).subquery()
        query = select(U.c.id, U.c.username, exists().where(owners.c.user_id == U.c.id)).where(
            U.c.organization_id == self.organization_id, U.c.living, which
        )
        with self.database.read() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else Holder(row[0], row[1], bool(row[2]))

    def page(self, *, limit: int, after: int = 0, user_id: int | None = None) -> list[LiveSession]:
        """Return so many sessions behind an id, of everybody or of one person."""
        return sessions.page(
            self.database, self.organization_id, limit=limit, after=after, user_id=user_id
        )

    def get(self, session_id: int) -> LiveSession | None:
        """Return a session."""
        return sessions.get(self.database, self.organization_id, session_id)

    def end(
        self, because: str, *, session_id: int | None = None, user_id: int | None = None
    ) -> int:
        """End one session, or all of a person; return how many that were."""
        return sessions.end(
            self.database, self.organization_id, because, session_id=session_id, user_id=user_id
        )
