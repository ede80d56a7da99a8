"""What the rules about people ask of the store: an organization's accounts, open for changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from syncd.permissions import added
from syncd.records import fold
from syncd.store import effective, schema
from syncd.store.editing import exclusions, links, users
from syncd.store.editing.belonging import hold
from syncd.store.editing.opening import Editing
from syncd.store.editing.owners import OWNER_ROLE, holders
from syncd.store.people import People
from syncd.store.purging import purge
from syncd.store.sides import ROLES
from syncd.store.staging import allocate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from syncd.permissions import Level
    from syncd.store.database import Database
    from syncd.store.editing.change import Change

U, ORG, R = schema.users, schema.organizations, schema.roles


class Accounts(Editing):
    """An organization's people, to be looked at and changed by hand."""

    def __init__(self, database: Database, organization_id: str, *, actor: str) -> None:
        super().__init__(database, organization_id, actor=actor)
        self._people = People(database, organization_id)

    # --- looking --------------------------------------------------------------------------

    def provider(self) -> str | None:
        """Return the active provider as applied; None before the organization is written down."""
        with self.database.read() as connection:
            query = select(ORG.c.provider).where(ORG.c.id == self.organization_id)
            found: str | None = connection.execute(query).scalar_one_or_none()
            return found

    def get(self, user_id: int) -> dict[str, Any] | None:
        """Return a person as he is shown."""
        with self.database.read_by_key() as connection:
            return self._people.person(connection, user_id)

    def shape(self, change: Change, user_id: int) -> dict[str, Any] | None:
        """Return a person as he is shown, as the change sees him."""
        return self._people.person(change.connection, user_id)

    def id_of(self, username: str) -> int | None:
        """Return who has a username; a living person goes before a missing one."""
        query = (
            select(U.c.id)
            .where(U.c.organization_id == self.organization_id, U.c.username_key == fold(username))
            .order_by(U.c.living.desc(), U.c.id.desc())
            .limit(1)
        )
        with self.database.read() as connection:
            found: int | None = connection.execute(query).scalar_one_or_none()
            return found

    def owners(self) -> list[dict[str, Any]]:
        """Return the owners as they are shown, by username."""
        query = (
            select(U.c.id)
            .where(U.c.id.in_(holders(OWNER_ROLE, self.organization_id)))
            .order_by(U.c.username_key, U.c.id)
        )
        with self.database.read() as connection:
            ids = list(connection.scalars(query))
            shapes = [self._people.person(connection, user_id) for user_id in ids]
            return [shape for shape in shapes if shape is not None]

    def role_id(self, name: str) -> int | None:
        """Return the role of a name."""
        mine = R.c.organization_id == self.organization_id
        query = select(R.c.id).where(mine | R.c.organization_id.is_(None))
        with self.database.read() as connection:
            found: int | None = connection.execute(
                query.where(R.c.name_key == fold(name)).order_by(R.c.id).limit(1)
            ).scalar_one_or_none()
            return found

    def invited(self) -> list[dict[str, Any]]:
        """Return who has not taken his invitation yet."""
        with self.look() as at:
            return links.invited(at)

    def excluded(self) -> list[dict[str, Any]]:
        """Return whom syncs pass over."""
        with self.look() as at:
            return exclusions.listed(at)

    # --- of a change ----------------------------------------------------------------------

    find = staticmethod(users.find)
    names_taken = staticmethod(users.names_taken)
    addresses_taken = staticmethod(users.addresses_taken)
    create = staticmethod(users.create)
    update_fields = staticmethod(users.update_fields)
    restrict = staticmethod(users.restrict)
    lift = staticmethod(users.lift)
    include = staticmethod(exclusions.include)
    add_links = staticmethod(links.add)
    withdraw_links = staticmethod(links.withdraw)
    use_link = staticmethod(links.use)
    set_password = staticmethod(links.set_password)

    def new_ids(self, count: int) -> int:
        """Take so many ids of people, before the change that uses them; return the first."""
        with self.database.write_ahead() as connection:
            return allocate(connection, "users", count)

    @staticmethod
    def levels(change: Change, user_id: int) -> Mapping[str, Level]:
        """Return what somebody may do."""
        return effective.levels(change.connection, [user_id])[user_id]

    @staticmethod
    def role(change: Change, role_id: int) -> tuple[str, Mapping[str, Level]] | None:
        """Return a role's name and what it allows."""
        query = select(R.c.name).where(
            R.c.id == role_id,
            R.c.organization_id.is_(None) | (R.c.organization_id == change.organization_id),
        )
        name = change.connection.execute(query).scalar_one_or_none()
        if name is None:
            return None
        sets = effective.role_permissions(change.connection, [role_id]).get(role_id, [])
        return name, added({each.section: each.level} for each in sets)

    @staticmethod
    def hold_role(change: Change, user_id: int, role_id: int, *, granted: bool) -> None:
        """Give somebody a role by hand, or take it away again."""
        roles = [role_id]
        if granted:
            hold(change, ROLES, user_id, granted=roles)
        else:
            hold(change, ROLES, user_id, revoked=roles)

    @staticmethod
    def delete(change: Change, user_id: int, username: str) -> int:
        """Delete somebody with all that is his; return under how many ids syncs pass over him."""
        count = exclusions.exclude(change, user_id, username)
        purge(change.connection, change.organization_id, [user_id])
        change.forget_person(user_id)
        change.of_person(user_id, "delete")
        return count
